"""The lines of stdin while something else is waited for as well."""

import asyncio
import os
from collections.abc import AsyncGenerator

CHUNK_BYTES = 64 * 1024


async def lines_of(descriptor: int) -> AsyncGenerator[str]:
    """Each line as it is entered, until the input ends; no thread is left behind."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
        is_watched = True
    except PermissionError:
        # epoll takes no files: they never have one wait.
        is_watched = False
        ready.set()
    try:
        rest = b""
        while True:
            await ready.wait()
            if is_watched:
                ready.clear()
            chunk = os.read(descriptor, CHUNK_BYTES)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines if chunk else [rest]:
                yield line.decode(errors="replace")
            if not chunk:
                return
    finally:
        if is_watched:
            loop.remove_reader(descriptor)
