"""A session read whole, as a file."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from orchestrator.domain.chat import AttachmentShown, Message, ToolCallRecord, Turn
from orchestrator.domain.session_file import (
    FiledAttachment,
    FiledCall,
    FiledMessage,
    FiledSession,
    FiledTurn,
    SessionFile,
)
from orchestrator.store import attachments, messages, sessions, turns
from orchestrator.store.schema import sessions as session_rows
from orchestrator.store.schema import turns as turn_rows


def ids_of_all(conn: Connection, owner_id: str) -> list[str]:
    """Return the ids of all sessions, the oldest first."""
    query = select(session_rows.c.id).where(session_rows.c.owner_id == owner_id)
    return list(
        conn.execute(query.order_by(session_rows.c.created_at, session_rows.c.id)).scalars()
    )


def read(conn: Connection, owner_id: str, session_id: str) -> SessionFile:
    """Return the session with all its branches. Raises NotFound."""
    session = sessions.get(conn, owner_id, session_id)
    found = messages.of_session(conn, owner_id, session_id)
    of_session = select(turn_rows.c.id).where(
        turn_rows.c.owner_id == owner_id, turn_rows.c.session_id == session_id
    )
    turn_ids = set(conn.execute(of_session).scalars())
    known = attachments.named(conn, owner_id, [file_id for m in found for file_id in _shown_in(m)])
    # Not validated: what is in the store was, and would be again.
    return SessionFile.model_construct(
        session=FiledSession.model_construct(
            **{name: getattr(session, name) for name in FiledSession.model_fields}
        ),
        messages=[_message(message) for message in found],
        turns=[_turn(turn) for turn in turns.with_ids(conn, owner_id, turn_ids)],
        attachments=[
            FiledAttachment.model_construct(
                **{name: getattr(attachment, name) for name in FiledAttachment.model_fields}
            )
            for attachment in known
        ],
    )


def _message(message: Message) -> FiledMessage:
    same = FiledMessage.model_fields.keys() - {"attachments", "tool_call"}
    return FiledMessage.model_construct(
        **{name: getattr(message, name) for name in same},
        attachments=_ids(message.attachments),
        tool_call=_call(message.tool_call) if message.tool_call else None,
    )


def _call(call: ToolCallRecord) -> FiledCall:
    same = FiledCall.model_fields.keys() - {"attachments", "state"}
    is_open = call.state in ("planned", "started")
    return FiledCall.model_construct(
        **{name: getattr(call, name) for name in same},
        attachments=_ids(call.attachments),
        state="unknown" if is_open else call.state,
    )


def _turn(turn: Turn) -> FiledTurn:
    same = FiledTurn.model_fields.keys() - {"state"}
    return FiledTurn.model_construct(
        **{name: getattr(turn, name) for name in same},
        state="interrupted" if turn.state == "running" else turn.state,
    )


def _ids(files: Iterable[AttachmentShown]) -> list[str]:
    return [file.id for file in files]


def _shown_in(message: Message) -> list[str]:
    of_call = message.tool_call.attachments if message.tool_call else ()
    return _ids((*message.attachments, *of_call))
