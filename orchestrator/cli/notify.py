"""Readiness over a datagram socket, as systemd has it (sd_notify(3))."""

import asyncio
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path


def notify_ready(address: str) -> None:
    """Tell whoever started us that requests are answered from now on; they may be gone."""
    with (
        suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.send(f"READY=1\nMAINPID={os.getpid()}".encode())


class ReadinessSocket:
    """The other end, for a process we start: hand it `address` as NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="flotilla-")
        self.address = str(Path(self._folder.name, "notify"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address)

    async def wait(self) -> None:
        """Return when the next READY=1 arrives."""
        loop = asyncio.get_running_loop()
        while b"READY=1" not in await loop.sock_recv(self._socket, 4096):
            pass

    def close(self) -> None:
        """Free the address."""
        self._socket.close()
        self._folder.cleanup()
