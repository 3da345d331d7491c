"""A file written into the store as a session of its own."""

from collections import Counter
from typing import Any

from sqlalchemy import Connection, Table

from orchestrator.domain.chat import Session
from orchestrator.domain.ids import new_id
from orchestrator.domain.session_file import FiledCall, FiledMessage, FiledTurn, SessionFile
from orchestrator.domain.times import now_rfc3339
from orchestrator.store import sessions
from orchestrator.store.schema import messages as message_rows
from orchestrator.store.schema import sessions as session_rows
from orchestrator.store.schema import tool_calls as call_rows
from orchestrator.store.schema import turns as turn_rows
from orchestrator.store.tool_calls import arguments_hash

_ROWS_PER_INSERT = 500


def write(conn: Connection, owner_id: str, file: SessionFile) -> Session:
    """Store the file under new ids, and return the session.

    Its messages are marked as imported; its attachments are shown as deleted, for their bytes are
    elsewhere; nothing that its calls did can be undone here; what it cost is not counted again.
    """
    return _Import(conn, owner_id, file).run()


class _Import:
    """One file on its way into the store, and the new ids of what is in it."""

    def __init__(self, conn: Connection, owner_id: str, file: SessionFile) -> None:
        self._conn = conn
        self._owner_id = owner_id
        self._file = file
        self._session_id = new_id("ses")
        self._messages = {message.id: new_id("msg") for message in file.messages}
        self._turns = {turn.id: new_id("turn") for turn in file.turns}
        requests = [call.tool_call_id for m in file.messages for call in m.tool_calls]
        # The calls of a round are shown in the order of their ids.
        calls = sorted(new_id("call") for _ in requests)
        self._calls = dict(zip(requests, calls, strict=True))
        self._attachments: dict[str, str] = {}

    def run(self) -> Session:
        """Store all of it."""
        messages = self._file.messages
        parents: dict[str, str | None] = {}
        for message in messages:
            if message.turn_id is not None:
                parents.setdefault(message.turn_id, message.parent_id)
        self._insert(session_rows, [self._session()])
        turns = [self._turn(turn, parents.get(turn.id)) for turn in self._file.turns]
        self._insert(turn_rows, turns)
        self._insert(call_rows, self._call_rows())
        self._insert(message_rows, [self._message(message) for message in messages])
        return sessions.get(self._conn, self._owner_id, self._session_id)

    def _session(self) -> dict[str, Any]:
        session, now = self._file.session, now_rfc3339()
        return {
            **session.model_dump(mode="json"),
            "id": self._session_id,
            "leaf_message_id": self._message_id(session.leaf_message_id),
            "created_at": min(session.created_at, now),
            "updated_at": min(session.updated_at, now),
        }

    def _turn(self, turn: FiledTurn, parent_id: str | None) -> dict[str, Any]:
        return {
            **turn.model_dump(),
            "id": self._turns[turn.id],
            "session_id": self._session_id,
            "user_message_id": self._message_id(turn.user_message_id),
            "parent_message_id": self._message_id(parent_id),
            "assistant_message_id": self._messages.get(turn.assistant_message_id) or new_id("msg"),
            "settings": {},
            "last_seq": 0,
        }

    def _call_rows(self) -> list[dict[str, Any]]:
        """Number the rounds of each turn: every answer that asks for tools is one."""
        rounds: Counter[str | None] = Counter()
        rows: list[dict[str, Any]] = []
        for message in self._file.messages:
            rounds[message.turn_id] += bool(message.tool_calls)
            call = message.tool_call
            if call is not None and message.turn_id is not None:
                place = {"turn_id": self._turns[message.turn_id], "round": rounds[message.turn_id]}
                rows.append(self._call(call) | place)
        return rows

    def _call(self, call: FiledCall) -> dict[str, Any]:
        return {
            **call.model_dump(exclude={"tool_call_id"}),
            "id": self._calls[call.tool_call_id],
            "session_id": self._session_id,
            "arguments_hash": arguments_hash(call.arguments),
            "attachments": self._attachment_ids(call.attachments),
            "undo": None,
        }

    def _message(self, message: FiledMessage) -> dict[str, Any]:
        call = message.tool_call
        return {
            **message.model_dump(exclude={"tool_call"}),
            "id": self._messages[message.id],
            "session_id": self._session_id,
            "parent_id": self._message_id(message.parent_id),
            "turn_id": None if message.turn_id is None else self._turns[message.turn_id],
            "content": "" if call is not None else message.content,
            "tool_calls": [
                request.model_dump() | {"tool_call_id": self._calls[request.tool_call_id]}
                for request in message.tool_calls
            ],
            "tool_call_id": None if call is None else self._calls[call.tool_call_id],
            "attachments": self._attachment_ids(message.attachments),
            "reasoning_details": [],
            "imported": True,
        }

    def _message_id(self, filed_id: str | None) -> str | None:
        return None if filed_id is None else self._messages[filed_id]

    def _attachment_ids(self, filed_ids: list[str]) -> list[str]:
        """Never those of the file, which may be those of another chat here."""
        return [self._attachments.setdefault(filed, new_id("att")) for filed in filed_ids]

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        owner = {"owner_id": self._owner_id}
        for start in range(0, len(rows), _ROWS_PER_INSERT):
            batch = rows[start : start + _ROWS_PER_INSERT]
            self._conn.execute(table.insert(), [{**row, **owner} for row in batch])
