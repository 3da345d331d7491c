"""Sessions and messages as the store keeps them."""

import pytest
from sqlalchemy import Connection, text

from orchestrator.domain.ids import new_id
from orchestrator.errors import NotFound
from orchestrator.store import audit, messages, sessions, tool_calls
from orchestrator.store.database import Database

ANN = "own_ann"


async def chat(database: Database, *texts: str, title: str = "Chat") -> str:
    session = await database.write(sessions.create, ANN, title)
    parent = None
    for number, words in enumerate(texts):
        parent = await database.write(add, session.id, parent, words, f"turn_{number}")
        await database.write(sessions.move_leaf, ANN, session.id, parent)
    return session.id


def add(conn: Connection, session_id: str, parent_id: str | None, words: str, turn_id: str) -> str:
    message_id = new_id("msg")
    place = {"session_id": session_id, "parent_id": parent_id, "turn_id": turn_id}
    messages.insert_user(conn, ANN, message_id=message_id, text=words, **place)
    return message_id


async def listed(database: Database, **query: object) -> list[str]:
    found, _ = await database.read(sessions.listed, ANN, limit=50, **query)  # type: ignore[arg-type]
    return [session.id for session in found]


async def test_paging_gives_every_session_once_pinned_ones_first(database: Database) -> None:
    made = [await chat(database, f"message {n}") for n in range(7)]
    await database.write(sessions.pin, ANN, made[2], pinned=True)
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page, cursor = await database.read(sessions.listed, ANN, limit=2, cursor=cursor)
        seen += [session.id for session in page]
    assert cursor is None
    assert seen == [made[2], *(made[n] for n in (6, 5, 4, 3, 1, 0))]


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "WzFd", "bnVsbA", "WyJhIiwgImIiLCAiYyJd", "WzAsIlx1ZDgwMCIsIngiXQ"]
)
async def test_a_foreign_cursor_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(NotFound):
        await database.read(sessions.listed, ANN, limit=2, cursor=cursor)


async def test_search_finds_all_words_in_one_message_or_the_title(database: Database) -> None:
    coffee = await chat(database, "Where is the best café in Lisbon?")
    trip = await chat(database, "Something else", title="Trip to Lisbon")
    await chat(database, "Berlin")
    assert await listed(database, words="CAFE lis") == [coffee]
    assert await listed(database, words="lisbon") == [trip, coffee]
    assert await listed(database, words='"*^:( AND OR NOT') == []
    found, _ = await database.read(sessions.listed, ANN, limit=5, words="lisbon best")
    assert found[0].snippet == "Where is the \x02best\x03 café in \x02Lisbon\x03?"
    assert (await database.read(sessions.listed, "own_bo", limit=5, words="lisbon"))[0] == []


async def test_a_deleted_session_takes_everything_with_it_however_long_it_is(
    database: Database,
) -> None:
    session_id = await chat(database, "first")
    leaf = (await database.read(sessions.get, ANN, session_id)).leaf_message_id

    def many(conn: Connection) -> None:
        parent = leaf
        for number in range(3_000):
            parent = add(conn, session_id, parent, f"word {number}", "t")

    await database.write(many)
    await database.write(sessions.remove, ANN, session_id)
    assert await listed(database, words="word") == []
    with pytest.raises(NotFound):
        await database.write(sessions.remove, ANN, session_id)


async def test_a_page_of_messages_begins_with_the_owner_and_leads_to_the_older_ones(
    database: Database,
) -> None:
    session_id = await chat(database, *(f"m{n}" for n in range(5)))
    leaf = (await database.read(sessions.get, ANN, session_id)).leaf_message_id
    newest, cursor = await database.read(messages.page, ANN, session_id, leaf, limit=2)
    older, end = await database.read(messages.page, ANN, session_id, leaf, limit=3, before=cursor)
    assert [m.content for m in older + newest] == [f"m{n}" for n in range(5)]
    assert end is None
    with pytest.raises(NotFound):
        await database.read(messages.page, ANN, session_id, leaf, limit=3, before="msg_other")


async def test_another_owner_cannot_see_or_touch_a_session(database: Database) -> None:
    session_id = await chat(database, "mine")
    for ask in (
        database.read(sessions.get, "own_bo", session_id),
        database.write(sessions.rename, "own_bo", session_id, "stolen"),
        database.write(sessions.pin, "own_bo", session_id, pinned=True),
        database.write(sessions.remove, "own_bo", session_id),
    ):
        with pytest.raises(NotFound):
            await ask
    assert (await database.read(messages.page, "own_bo", session_id, "x", limit=5))[0] == []


def test_the_hash_of_arguments_does_not_depend_on_their_order() -> None:
    one = tool_calls.arguments_hash({"a": 1, "b": {"c": [1, 2], "d": "é"}})
    assert one == tool_calls.arguments_hash({"b": {"d": "é", "c": [1, 2]}, "a": 1})
    assert one != tool_calls.arguments_hash({"b": {"d": "e", "c": [1, 2]}, "a": 1})


async def test_a_changed_audit_row_is_noticed(database: Database) -> None:
    for number in range(3):
        await database.write(
            audit.append, ANN, actor="test", action="did", subject=str(number), details={"n": 1}
        )
    assert await database.read(audit.first_broken_row, ANN) is None
    await database.write(
        lambda conn: (
            conn.execute(text("UPDATE audit SET subject = 'x' WHERE subject = '1'")) and None
        )
    )
    assert await database.read(audit.first_broken_row, ANN) == 2
