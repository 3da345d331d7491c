import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.replies import EventReply, answer_to, failure_answer

ANSWER = {"jsonrpc": "2.0", "id": 1, "result": {"text": "grüße\n"}}
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
LOG = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x"}}


class Chunks(httpx2.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


async def messages(chunks: list[bytes], *, max_bytes: int = 10_000) -> list[dict[str, object]]:
    """Return the messages that are left of an event stream."""
    deadline = asyncio.get_running_loop().time() + 5
    response = httpx2.Response(200, stream=Chunks(chunks))
    reply = EventReply(response, 1, max_bytes=max_bytes, deadline=deadline)
    text = b"".join([event async for event in reply]).decode()
    events = text.removesuffix("\n\n").split("\n\n")
    return [json.loads(event.removeprefix("event: message\ndata: ")) for event in events]


def event(message: dict[str, object], end: str = "\n") -> bytes:
    return f"id: 1{end}event: message{end}data: {json.dumps(message)}{end}{end}".encode()


def kind_of(message: dict[str, object]) -> object:
    error = message["error"]
    assert isinstance(error, dict)
    return error["data"]["kind"]


@given(end=st.sampled_from(["\n", "\r\n", "\r"]), size=st.integers(1, 40))
def test_events_are_found_wherever_the_network_cuts_them(end: str, size: int):
    stream = b": hello" + 2 * end.encode() + event(PROGRESS, end) + event(ANSWER, end)
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert asyncio.run(messages(chunks)) == [PROGRESS, ANSWER]


async def test_data_on_several_lines_is_one_message():
    lines = json.dumps(ANSWER, indent=1).splitlines()
    stream = "".join(f"data: {line}\n" for line in lines) + "\n"
    assert await messages([stream.encode()]) == [ANSWER]


async def test_nothing_after_the_answer_is_read():
    assert await messages([event(ANSWER) + event(PROGRESS), b"data: {nonsense\n\n"]) == [ANSWER]


async def test_progress_is_thinned_out_and_other_notifications_are_dropped():
    stream = [event(PROGRESS) * 1000 + event(LOG) * 1000 + event(ANSWER)]
    *before, answer = await messages(stream, max_bytes=1_000_000)
    assert answer == ANSWER
    assert 1 <= len(before) < 50
    assert LOG not in before


async def test_a_stream_that_ends_without_an_answer_gets_one():
    left, failure = await messages([event(PROGRESS)])
    assert (left, kind_of(failure)) == (PROGRESS, "broken")


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"data: {nonsense\n\n", "garbage"),
        (b"data: [1,2]\n\n", "garbage"),
        (b"data: " + b"x" * 20_000, "too_large"),
        (b": ping\n\n" * 5_000, "too_large"),
    ],
)
async def test_a_stream_that_cannot_be_read_ends_in_an_error(stream: bytes, kind: str):
    (failure,) = await messages([stream])
    assert kind_of(failure) == kind


def test_an_answer_to_another_request_is_none():
    with pytest.raises(ExchangeFailed, match="answers another request"):
        answer_to(2, json.dumps(ANSWER).encode())


def test_an_error_without_an_id_answers_the_request_it_came_for():
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}
    assert json.loads(answer_to(7, json.dumps(error).encode())) == error | {"id": 7}


def test_a_failure_is_told_as_an_error_that_programs_can_read():
    failure = ExchangeFailed("http", "it answered with HTTP 503", status=503)
    assert json.loads(failure_answer(3, failure)) == {
        "jsonrpc": "2.0",
        "id": 3,
        "error": {
            "code": -32000,
            "message": "it answered with HTTP 503",
            "data": {"kind": "http", "status": 503},
        },
    }


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(body: bytes):
    with pytest.raises(ExchangeFailed):
        answer_to(1, body)
