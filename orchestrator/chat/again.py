"""Turns that begin where an earlier one is: it goes on, or its question is answered anew."""

from sqlalchemy import Connection

from orchestrator.chat.accepting import NewTurn
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.errors import Conflict
from orchestrator.store import branches, messages, turns


def continuation(
    conn: Connection, owner_id: str, turn_id: str, client_message_id: str | None
) -> NewTurn:
    """Return what goes on where the turn stopped.

    Raises NotFound, and Conflict when the turn is running or came to its end.
    """
    turn = turns.get(conn, owner_id, turn_id)
    if turn.state == "running" or (turn.state == "finished" and turn.finish_reason == "stop"):
        raise Conflict(f"This turn is {turn.state}: there is nothing to continue.")
    leaf, _, _ = messages.end_of_turn(conn, owner_id, turn_id)
    return NewTurn(
        text=None,
        session_id=turn.session_id,
        client_message_id=client_message_id,
        parent_message_id=leaf or turn.user_message_id,
        settings=turns.settings_of(conn, owner_id, turn_id),
    )


def another_answer(
    conn: Connection,
    owner_id: str,
    turn_id: str,
    client_message_id: str | None,
    settings: SessionSettings,
) -> NewTurn:
    """Return what answers the question of the turn anew. Raises NotFound."""
    turn = turns.get(conn, owner_id, turn_id)
    question = turn.user_message_id
    if question is None:
        above = turns.parent_message_id(conn, owner_id, turn_id) or turn.assistant_message_id
        question = branches.question_above(conn, owner_id, turn.session_id, above).id
    return NewTurn(
        text=None,
        session_id=turn.session_id,
        client_message_id=client_message_id,
        answers=question,
        settings=settings,
    )
