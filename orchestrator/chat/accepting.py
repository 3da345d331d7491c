"""Taking a message in: stored with its turn in one transaction, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from orchestrator.chat.events import TurnStarted
from orchestrator.domain.chat import Session, Turn
from orchestrator.domain.ids import new_id
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import Conflict, InvalidRequest, NotFound
from orchestrator.store import attachments, branches, messages, sessions, turns
from orchestrator.store.in_force import (
    DEFAULT_MODEL,
    SettingsLayer,
    first_said,
    session_layer,
    turn_layer,
)
from orchestrator.store.turns import StoredEvent

TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class NewTurn:
    """What a client asks for; `text` is None when an earlier answer is to be continued."""

    text: str | None
    session_id: str | None = None
    client_message_id: str | None = None
    parent_message_id: str | None = None
    version_of: str | None = None
    """The message of the owner beside which this one stands as another version."""
    answers: str | None = None
    """The message of the owner that is to be answered anew; there is no text then."""
    settings: SessionSettings = field(default_factory=SessionSettings)
    """What this turn does differently from its session."""
    attachment_ids: tuple[str, ...] | None = ()
    """Files that come with the text, in their order; each once. None: those of `version_of`."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored turn, and what it starts from."""

    turn: Turn
    parent_message_id: str | None
    """The message that the first answer hangs under."""
    started: StoredEvent | None
    """The first event; None when an earlier request started the turn."""
    opening: str | None = None
    """The text of the message when its session begins with it: there is no history to read.

    None also when files come with it.
    """
    layers: tuple[SettingsLayer, ...] = ()
    """What the turn and its session do differently."""


def accept(
    conn: Connection, owner_id: str, new: NewTurn, standing: Sequence[SettingsLayer]
) -> Accepted:
    """Store the message and its turn, or return the turn that this message started before.

    `standing` are the settings of all sessions, the strongest first.

    Raises NotFound for an unknown session, parent or file, Conflict while the session is answering,
    InvalidRequest for a message that says nothing.
    """
    if new.client_message_id is not None:
        earlier = turns.with_client_message(conn, owner_id, new.client_message_id)
        if earlier is not None:
            return Accepted(earlier, parent_message_id=None, started=None)
    turn_id, now = new_id("turn"), now_rfc3339()
    user_message_id = new.answers if new.text is None else new_id("msg")
    session = _session(conn, owner_id, new, user_message_id)
    parent_id = None if new.session_id is None else _parent(conn, owner_id, new, session)
    files = _files(conn, owner_id, new)
    if new.text is not None and user_message_id is not None:
        if not (new.text.strip() or files):
            raise InvalidRequest("message: must not be blank unless files come with it.")
        if files:
            attachments.claim(conn, owner_id, files, session.id)
        messages.insert_user(
            conn,
            owner_id,
            message_id=user_message_id,
            session_id=session.id,
            parent_id=parent_id,
            turn_id=turn_id,
            text=new.text,
            attachment_ids=files,
        )
    if new.session_id is not None and user_message_id is not None:
        if parent_id != session.leaf_message_id:
            branches.leave(conn, owner_id, session.id, session.leaf_message_id)
        sessions.move_leaf(conn, owner_id, session.id, user_message_id)
    layers = (turn_layer(new.settings), session_layer(session.settings))
    turn = Turn(
        id=turn_id,
        session_id=session.id,
        user_message_id=user_message_id,
        assistant_message_id=new_id("msg"),
        state="running",
        model=first_said((*layers, *standing), "model") or DEFAULT_MODEL,
        created_at=now,
        last_seq=1,
    )
    turns.insert(
        conn,
        owner_id,
        turn,
        client_message_id=new.client_message_id,
        parent_message_id=parent_id,
        settings=new.settings.model_dump(mode="json", exclude_unset=True),
    )
    started = _started(turn)
    turns.append_events(conn, [(turn.id, started)])
    return Accepted(
        turn,
        parent_message_id=user_message_id or parent_id,
        started=started,
        opening=new.text if parent_id is None and not files else None,
        layers=layers,
    )


def title_of(text: str) -> str:
    """Return the first line of `text`, cut at a word, as the title of its session."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "New chat")
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[: TITLE_CHARS - 1]
    return (cut.rsplit(None, 1)[0] if " " in cut else cut) + "…"


def _session(
    conn: Connection, owner_id: str, new: NewTurn, first_message_id: str | None
) -> Session:
    if new.session_id is None:
        if new.parent_message_id is not None:
            raise NotFound("A new session has no parent message: name its session.")
        return sessions.create(conn, owner_id, _title(conn, owner_id, new), first_message_id)
    session = sessions.get(conn, owner_id, new.session_id)
    if session.running_turn_id is not None:
        raise Conflict("This chat is still answering. Wait for the answer, or stop it.")
    return session


def _title(conn: Connection, owner_id: str, new: NewTurn) -> str:
    """Return what the session is about: a message of files alone tells it by their names."""
    text = new.text or ""
    if text.strip() or not new.attachment_ids:
        return title_of(text)
    return title_of(
        ", ".join(a.name for a in attachments.named(conn, owner_id, new.attachment_ids))
    )


def _parent(conn: Connection, owner_id: str, new: NewTurn, session: Session) -> str | None:
    if new.answers is not None:
        return _question(conn, owner_id, session.id, new.answers).id
    if new.version_of is not None:
        return _question(conn, owner_id, session.id, new.version_of).parent_id
    if new.parent_message_id is None:
        return session.leaf_message_id
    return messages.last_of_turn(conn, owner_id, new.parent_message_id, session.id)


def _question(conn: Connection, owner_id: str, session_id: str, message_id: str) -> branches.Place:
    place = branches.place_of(conn, owner_id, session_id, message_id)
    if place.role != "user":
        raise Conflict("Only what you wrote can be written or answered anew.")
    return place


def _files(conn: Connection, owner_id: str, new: NewTurn) -> tuple[str, ...]:
    """Return the files of the message; of those it takes over, the ones that are still there."""
    if new.attachment_ids is not None:
        return new.attachment_ids
    if new.version_of is None or new.session_id is None:
        return ()
    before = branches.place_of(conn, owner_id, new.session_id, new.version_of)
    return tuple(file.id for file in attachments.named(conn, owner_id, before.attachments))


def _started(turn: Turn) -> StoredEvent:
    event = TurnStarted(
        turn_id=turn.id,
        session_id=turn.session_id,
        user_message_id=turn.user_message_id,
        assistant_message_id=turn.assistant_message_id,
        model=turn.model,
    )
    return StoredEvent(1, event.type, event.model_dump_json().encode())
