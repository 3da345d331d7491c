"""The parser gives the same events however the network cuts the bytes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.llm.sse import EventTooLarge, SSEParser

STREAM = (
    ": OPENROUTER PROCESSING\n\n"
    'data: {"a": "Grüße 👩‍🚀"}\n\n'
    "event: x\r\nid: 7\r\ndata: crlf\r\n\r\n"
    "data:no space\n\n"
    "data:  two spaces\n\n"
    "data: first\ndata: second\n\n"
    "\n\n"
    "retry: 3\n\n"
    "data: [DONE]\n\n"
).encode()
EVENTS = [
    '{"a": "Grüße 👩‍🚀"}'.encode(),
    b"crlf",
    b"no space",
    b" two spaces",
    b"first\nsecond",
    b"[DONE]",
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    parser = SSEParser(1000)
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(edges)]

    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


def test_single_bytes_give_the_same_events() -> None:
    parser = SSEParser(1000)

    events = [event for byte in STREAM for event in parser.feed(bytes([byte]))]

    assert events == EVENTS


@pytest.mark.parametrize("piece", [b"x" * 30, b"data: " + b"x" * 30 + b"\n"])
def test_an_endless_event_is_refused_at_the_limit(piece: bytes) -> None:
    parser = SSEParser(100)
    for _ in range(3):
        parser.feed(piece)

    with pytest.raises(EventTooLarge):
        parser.feed(piece)


def test_many_small_events_never_reach_the_limit() -> None:
    parser = SSEParser(100)

    events = [event for _ in range(100) for event in parser.feed(b"data: 0123456789\n\n")]

    assert len(events) == 100
