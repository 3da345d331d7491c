"""Runs a command in a network of its own, in which every port is free.

    unshare --user --map-root-user --net python -m tests.walk.own_network SOCKET PORT COMMAND...

Programs outside reach port PORT of its 127.0.0.1 through the Unix socket SOCKET: the file system is
shared, the network is not.
"""

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from functools import partial

SIOCSIFFLAGS = 0x8914  # linux/sockios.h
IFF_UP_AND_RUNNING = 0x41
PR_SET_PDEATHSIG = 1
UNSHARED = ("unshare", "--user", "--map-root-user", "--net")


def main(address: str, port: str, *command: str) -> None:
    with socket.socket() as any_socket:
        flags = struct.pack("16sH14x", b"lo", IFF_UP_AND_RUNNING)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, flags)
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        asyncio.run(relay(address, int(port)))
    os.execvp(command[0], command)


async def relay(address: str, port: int) -> None:
    server = await asyncio.start_unix_server(partial(connect, port), address)
    await server.serve_forever()


async def connect(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        writer.close()
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(copy(reader, inner_writer))
        group.create_task(copy(inner_reader, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
