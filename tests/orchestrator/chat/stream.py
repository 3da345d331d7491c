"""Events as tests read them."""

import json
from dataclasses import dataclass
from typing import Any

from orchestrator.chat.events import ChatEvent
from orchestrator.store.turns import StoredEvent


@dataclass(frozen=True)
class Event:
    """One event; `data` has been checked against the event union."""

    seq: int
    type: str
    data: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.data[name]


def decoded(event: StoredEvent) -> Event:
    """Return the event, after checking that it is one of the contract's."""
    ChatEvent.model_validate_json(event.data)
    data = json.loads(event.data)
    assert data["type"] == event.type
    return Event(event.seq, event.type, data)


def types(events: list[Event]) -> list[str]:
    """Return the types of the events, with repeated deltas folded into one."""
    folded: list[str] = []
    for event in events:
        if not (event.type.endswith("_delta") and folded[-1:] == [event.type]):
            folded.append(event.type)
    return folded


def text_of(events: list[Event]) -> str:
    """Return the text of all text deltas."""
    return "".join(event["text"] for event in events if event.type == "text_delta")
