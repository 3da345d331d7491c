"""Branches of a session: versions, which is shown, and deleting from the tree."""

import pytest
from sqlalchemy import Connection

from orchestrator.domain.chat import RequestedToolCall, Turn
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.tools import ToolResult
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import branches, messages, sessions, tool_calls, turns
from orchestrator.store.database import Database
from orchestrator.store.pruning import prune

ANN = "own_ann"


class Tree:
    """One session, written message by message."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.session_id = ""

    async def say(self, text: str, parent_id: str | None = None) -> str:
        if not self.session_id:
            self.session_id = (await self.database.write(sessions.create, ANN, "Tree")).id
        return await self.database.write(self._say, text, parent_id)

    def _say(self, conn: Connection, text: str, parent_id: str | None) -> str:
        message_id = new_id("msg")
        place = {"session_id": self.session_id, "parent_id": parent_id, "turn_id": None}
        messages.insert_user(conn, ANN, message_id=message_id, text=text, **place)
        sessions.move_leaf(conn, ANN, self.session_id, message_id)
        return message_id

    async def shown(self) -> list[str]:
        return [message.content for message in (await self.page())[0]]

    async def page(self, limit: int = 50) -> tuple[list, str | None]:
        session = await self.database.read(sessions.get, ANN, self.session_id)
        leaf = session.leaf_message_id
        return await self.database.read(messages.page, ANN, self.session_id, leaf, limit=limit)

    async def switch(self, message_id: str) -> None:
        await self.database.write(sessions.switch_branch, ANN, self.session_id, message_id)

    async def prune(self, message_id: str) -> None:
        await self.database.write(prune, ANN, self.session_id, message_id)


@pytest.fixture
def tree(database: Database) -> Tree:
    return Tree(database)


async def test_a_page_names_all_versions_of_a_message(tree: Tree) -> None:
    root = await tree.say("root")
    versions = [await tree.say(f"v{number}", root) for number in range(3)]
    other_root = await tree.say("other root")
    await tree.switch(versions[1])
    first, second = (await tree.page())[0]
    assert (first.siblings, second.siblings) == ([root, other_root], versions)
    third = await tree.say("alone", versions[1])
    assert (await tree.page())[0][-1].id == third
    assert (await tree.page())[0][-1].siblings == []


async def test_a_branch_comes_back_as_far_as_it_was_shown(tree: Tree) -> None:
    root = await tree.say("root")
    a = await tree.say("a", root)
    a1 = await tree.say("a1", a)
    await tree.say("a2", a)
    b = await tree.say("b", root)
    await tree.switch(a1)
    assert await tree.shown() == ["root", "a", "a1"]
    await tree.switch(b)
    assert await tree.shown() == ["root", "b"]
    await tree.switch(a)
    assert await tree.shown() == ["root", "a", "a1"]
    with pytest.raises(NotFound):
        await tree.switch("msg_other")


async def test_a_deleted_message_takes_what_hangs_under_it_and_shows_its_sibling(
    tree: Tree,
) -> None:
    root = await tree.say("root")
    a = await tree.say("a", root)
    await tree.say("a1", a)
    b = await tree.say("b", root)
    b1 = await tree.say("b1", b)
    await tree.prune(b1)
    assert await tree.shown() == ["root", "b"]
    await tree.prune(b)
    assert await tree.shown() == ["root", "a", "a1"]
    await tree.prune(root)
    assert await tree.shown() == []
    with pytest.raises(NotFound):
        await tree.prune(root)
    await tree.say("again")
    assert await tree.shown() == ["again"]


async def test_deleting_elsewhere_leaves_what_is_shown(tree: Tree) -> None:
    root = await tree.say("root")
    a = await tree.say("a", root)
    await tree.say("b", root)
    await tree.prune(a)
    assert await tree.shown() == ["root", "b"]


async def test_a_branch_of_thousands_is_deleted_and_read_in_pages(tree: Tree) -> None:
    root = await tree.say("0")

    def grow(conn: Connection) -> None:
        parent = root
        for number in range(1, 3_000):
            parent = tree._say(conn, str(number), parent)

    await tree.database.write(grow)
    newest, cursor = await tree.page(limit=2)
    assert ([message.content for message in newest], cursor) == (["2998", "2999"], newest[0].id)
    await tree.prune(root)
    assert await tree.shown() == []


async def test_the_result_of_a_tool_goes_with_the_answer_that_asked_for_it(tree: Tree) -> None:
    question = await tree.say("question")
    await tree.database.write(_answer_with_tool, tree.session_id, question)
    answer, result, _ = (await tree.page())[0][1:]
    assert result.tool_call.text == "the tool said marzipan"
    with pytest.raises(Conflict, match="part of an answer"):
        await tree.prune(result.id)
    with pytest.raises(Conflict, match="part of an answer"):
        await tree.prune("msg_end")
    assert await _found(tree, "marzipan") == 1
    await tree.prune(answer.id)
    assert await tree.shown() == ["question"]
    assert await _found(tree, "marzipan") == 0
    for gone in (
        tree.database.read(turns.get, ANN, "turn_1"),
        tree.database.read(tool_calls.get, ANN, "call_1"),
    ):
        with pytest.raises(NotFound):
            await gone


async def test_nothing_is_deleted_or_switched_while_the_session_answers(tree: Tree) -> None:
    root = await tree.say("root")
    turn = _turn(tree.session_id, root, state="running")
    await tree.database.write(_insert_turn, turn)
    for refused in (tree.prune(root), tree.switch(root)):
        with pytest.raises(Conflict, match="still answering"):
            await refused


async def test_another_owner_reaches_no_branch(tree: Tree) -> None:
    root = await tree.say("root")
    write = tree.database.write
    for refused in (
        write(sessions.switch_branch, "own_bo", tree.session_id, root),
        write(prune, "own_bo", tree.session_id, root),
        write(branches.place_of, "own_bo", tree.session_id, root),
    ):
        with pytest.raises(NotFound):
            await refused


async def _found(tree: Tree, words: str) -> int:
    found, _ = await tree.database.read(sessions.listed, ANN, limit=5, words=words)
    return len(found)


def _turn(session_id: str, question: str, state: str = "finished") -> Turn:
    return Turn(
        id="turn_1", session_id=session_id, user_message_id=question, state=state, model="m",
        assistant_message_id="msg_answer", created_at=now_rfc3339(),
    )  # fmt: skip


def _insert_turn(conn: Connection, turn: Turn) -> None:
    turns.insert(conn, ANN, turn, client_message_id=None, parent_message_id=None, settings={})


def _answer_with_tool(conn: Connection, session_id: str, question: str) -> None:
    call = RequestedToolCall(tool_call_id="call_1", tool="a__b", server="a", arguments={})
    place = {"session_id": session_id, "turn_id": "turn_1"}
    _insert_turn(conn, _turn(session_id, question))
    messages.insert_assistant(
        conn, ANN, message_id="msg_answer", parent_id=question, text="", complete=True,
        requested=[call], **place,
    )  # fmt: skip
    tool_calls.plan(conn, ANN, round_number=1, requested=[call], effects={}, **place)
    leaf = messages.insert_tool_results(
        conn, ANN, parent_id="msg_answer", tool_call_ids=["call_1"], **place
    )
    tool_calls.finish(conn, ANN, "call_1", ToolResult("done", "the tool said marzipan"), 5)
    messages.insert_assistant(
        conn, ANN, message_id="msg_end", parent_id=leaf, text="So it is.", complete=True, **place
    )
    sessions.move_leaf(conn, ANN, session_id, "msg_end")
