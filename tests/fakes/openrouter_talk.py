"""Short ways to talk with a fake, and an upstream that sends exactly the bytes it is told."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from orchestrator.errors import ModelError
from orchestrator.llm.deltas import Completion, CompletionRequest, Delta
from orchestrator.llm.openrouter import OpenRouterClient

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def raw_upstream(handler: Handler) -> AsyncGenerator[str]:
    """Serve one handler on a plain socket; it is called after the request has been read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        await reader.readexactly(length)
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def sending(*pieces: bytes) -> Handler:
    """Return a handler that writes these pieces, each by itself, and closes."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return handler


def ask(model: str, text: str = "Hello?", **fields: object) -> CompletionRequest:
    messages = fields.pop("messages", None) or [{"role": "user", "content": text}]
    return CompletionRequest(model=model, messages=messages, **fields)


async def collect(
    client: OpenRouterClient, request: CompletionRequest
) -> tuple[list[Delta], Completion, ModelError | None]:
    """Return the deltas, the completion, and the error that ended the stream if one did."""
    deltas: list[Delta] = []
    async with client.stream(request) as stream:
        try:
            async for batch in stream:
                deltas += batch
        except ModelError as error:
            return deltas, stream.completion, error
    return deltas, stream.completion, None


async def collect_raw(
    *pieces: bytes, request: CompletionRequest | None = None, **settings: object
) -> tuple[list[Delta], Completion, ModelError | None]:
    """Do the same against an upstream that sends these bytes."""
    async with (
        raw_upstream(sending(*pieces)) as url,
        OpenRouterClient(url, retry_delay_s=0.001, **settings) as client,
    ):
        return await collect(client, request or ask("m"))
