"""Server-sent events: the bytes of a turn's log.

They are put together by hand under a plain StreamingResponse: the framework's own SSE costs 60 %
more CPU per chunk (measured 2026-11-20).
"""

from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from orchestrator.store.turns import StoredEvent

HEARTBEAT_S = 15.0
_HEARTBEAT = b": still here\n\n"


class EventStream(StreamingResponse):
    """A turn's events; `id:` is `<turn id>:<sequence number>`."""

    media_type = "text/event-stream"

    def __init__(self, turn_id: str, events: AsyncIterator[list[StoredEvent]]) -> None:
        # Proxies that buffer would hold the answer back.
        headers = {"X-Accel-Buffering": "no", "X-Turn-Id": turn_id}
        super().__init__(_frames(turn_id.encode(), events), headers=headers)


async def _frames(
    turn_id: bytes, batches: AsyncIterator[list[StoredEvent]]
) -> AsyncIterator[bytes]:
    async for events in batches:
        if not events:
            yield _HEARTBEAT
            continue
        yield b"".join(
            b"id: %b:%d\nevent: %b\ndata: %b\n\n"
            % (turn_id, event.seq, event.type.encode(), event.data)
            for event in events
        )
