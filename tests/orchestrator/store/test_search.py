"""What a search finds, in which order, and how it is shown."""

import unicodedata
from typing import Literal

import pytest
from sqlalchemy import Connection

from orchestrator.domain.chat import SearchHit
from orchestrator.domain.ids import new_id
from orchestrator.errors import NotFound
from orchestrator.store import messages, search, sessions
from orchestrator.store.database import Database
from orchestrator.store.snippets import plain

ANN = "own_ann"


def said(conn: Connection, title: str, *texts: str) -> str:
    session = sessions.create(conn, ANN, title)
    for text in texts:
        messages.insert_user(
            conn, ANN, message_id=new_id("msg"), session_id=session.id, parent_id=None,
            turn_id=None, text=text,
        )  # fmt: skip
    return session.id


async def hits(database: Database, words: str, **more: object) -> list[SearchHit]:
    found, _ = await database.read(search.hits, ANN, words, **{"limit": 50, **more})  # type: ignore[arg-type]
    return found


async def test_titles_come_first_and_of_equal_messages_the_newest(database: Database) -> None:
    old = await database.write(said, "Trip", "all about marzipan")
    new = await database.write(said, "Other", "all about marzipan")
    named = await database.write(said, "Marzipan shops", "nothing")
    await database.write(said, "Noise", *["nothing at all"] * 10)
    found = await hits(database, "MARZI")
    assert [hit.session_id for hit in found] == [named, new, old]
    assert found[0].snippet == "\x02Marzi\x03pan shops"
    assert (found[0].message_id, found[0].role) == (None, None)
    assert (found[1].snippet, found[1].role) == ("all about \x02marzipan\x03", "user")
    assert [hit.session_id for hit in await hits(database, "marzipan", session_id=old)] == [old]
    found_of_bo, _ = await database.read(search.hits, "own_bo", "marzipan", limit=5)
    assert found_of_bo == []
    assert await hits(database, '"*^:( ') == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_words_are_found_however_their_marks_are_written(
    database: Database, form: Literal["NFC", "NFD"]
) -> None:
    texts = (unicodedata.normalize(each, "Grüße aus Köln") for each in ("NFC", "NFD"))
    await database.write(said, "Trip", *texts)
    assert len(await hits(database, unicodedata.normalize(form, "köln grüße"))) == 2


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
async def test_pages_give_every_hit_once(database: Database, limit: int) -> None:
    for number in range(4):
        await database.write(said, f"Figs {number}", f"figs and {'more ' * number}", "no fruit")
    whole = await hits(database, "figs")
    seen: list[SearchHit] = []
    cursor = None
    for _ in range(10):
        page, cursor = await database.read(search.hits, ANN, "figs", limit=limit, cursor=cursor)
        seen += page
        if cursor is None:
            break
    assert len(whole) == 8
    assert seen == whole


@pytest.mark.parametrize("cursor", ["x", "WzAsIDEsICJhIl0", "W10"])
async def test_a_foreign_cursor_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(NotFound):
        await hits(database, "figs", cursor=cursor)


async def test_a_cursor_with_enormous_numbers_finds_nothing(database: Database) -> None:
    await database.write(said, "Figs", "figs")
    for kind in (0, 1):
        cursor = search.encode_cursor(kind, 10**30, 10**30)
        assert all(hit.message_id for hit in await hits(database, "figs", cursor=cursor))


async def test_a_deleted_session_is_not_found_any_more(database: Database) -> None:
    gone = await database.write(said, "Quince", "quince jam")
    await database.write(sessions.remove, ANN, gone)
    assert await hits(database, "quince") == []


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**\x02bold\x03** and _thin_ and ~~gone~~", "\x02bold\x03 and thin and gone"),
        ("## Heading\n- one \x02two\x03\n> said", "Heading one \x02two\x03 said"),
        ("see [the \x02docs\x03](https://example.org/a_b) now", "see the \x02docs\x03 now"),
        (
            "see [it](https://example.org/\x02docs\x03)",
            "see [it](https://example.org/\x02docs\x03)",
        ),
        ("```python\nsnake_case = 2*3 # \x02six\x03\n```", "snake_case = 2*3 # \x02six\x03"),
        ("| a | \x02b\x03 |\n|---|---|\n| c | d |", "a \x02b\x03 c d"),
        ("![a \x02cat\x03](cat.png) 5 * 4", "a \x02cat\x03 5 * 4"),
    ],
)
def test_a_snippet_is_plain_text(markdown: str, shown: str) -> None:
    assert plain(markdown) == shown
