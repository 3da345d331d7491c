"""A wire to a server that a test can cut or hold in the middle of a tool call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CALL = b"tools/call"


class Wire:
    """Passes bytes both ways; connections that carried a tool call can be treated badly."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._handlers: set[asyncio.Task[None]] = set()
        self._calls: list[asyncio.StreamWriter] = []
        self.holds_answers = False
        self.cuts_answers = 0
        """So many answers to tool calls are lost, each with its connection."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def cut(self) -> None:
        """End all connections that carried a tool call."""
        while self._calls:
            self._calls.pop().close()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            there, answer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except ConnectionError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, answer, writer))
                group.create_task(self._answers(there, writer))
        finally:
            answer.close()
            writer.close()

    async def close(self) -> None:
        for task in self._handlers:
            task.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        while data := await _read(reader):
            if _CALL in data and client not in self._calls:
                self._calls.append(client)
            await _write(writer, data)
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await _read(reader):
            is_call = client in self._calls
            if is_call and self.holds_answers:
                continue
            if is_call and self.cuts_answers:
                self.cuts_answers -= 1
                break
            await _write(client, data)
        client.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except ConnectionError:
        writer.close()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A wire to a port of this machine, until the block ends."""
    wire = Wire(port)
    listener = await asyncio.start_server(wire.handle, "127.0.0.1", 0)
    wire.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield wire
        await wire.close()
