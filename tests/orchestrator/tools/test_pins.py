import pytest

from orchestrator.errors import Conflict, NotFound
from orchestrator.tools.definitions import ListedTool
from orchestrator.tools.pins import ToolPins
from tests.fakes.mcp_pins import PinsInMemory


def tool(name: str = "send", description: str = "Send a mail.", **more: object) -> ListedTool:
    return ListedTool(name=name, description=description, input_schema={"type": "object"}, **more)


def test_all_tools_are_pinned_the_first_time_a_server_is_seen(pins: PinsInMemory):
    reviewed = ToolPins(pins).review("mail", "third_party", "1", [tool(), tool("read")])
    assert reviewed == frozenset()
    assert set(pins.document.servers["mail"].tools) == {"send", "read"}


@pytest.mark.parametrize(
    "changed",
    [
        tool(description="Send a mail. "),
        tool(title="Send"),
        tool(output_schema={"type": "object"}),
        tool(annotations={"readOnlyHint": True}),
        tool(policy={"labels": ["write"], "level": 1, "effect": "send"}),
        ListedTool(name="send", description="Send a mail.", input_schema={"type": "string"}),
    ],
    ids=["description", "title", "output schema", "annotations", "policy", "input schema"],
)
def test_a_changed_tool_is_held_back_with_its_difference(pins: PinsInMemory, changed: ListedTool):
    ToolPins(pins).review("mail", "third_party", "1", [tool()])
    reviewed = ToolPins(pins)
    assert reviewed.review("mail", "third_party", "2", [changed]) == {"send"}
    (change,) = reviewed.changes("mail")
    assert (change.old, change.new) == (tool(), changed)


def test_the_order_of_keys_is_no_change(pins: PinsInMemory):
    first = ListedTool(name="send", input_schema={"a": 1, "b": 2})
    second = ListedTool(name="send", input_schema={"b": 2, "a": 1})
    reviewed = ToolPins(pins)
    reviewed.review("mail", "third_party", "1", [first])
    assert reviewed.review("mail", "third_party", "1", [second]) == frozenset()


def test_a_new_tool_on_a_third_party_server_waits(pins: PinsInMemory):
    reviewed = ToolPins(pins)
    reviewed.review("mail", "third_party", "1", [tool()])
    assert reviewed.review("mail", "third_party", "2", [tool(), tool("wipe")]) == {"wipe"}
    assert reviewed.changes("mail")[0].old is None


def test_our_own_server_may_change_with_its_version(pins: PinsInMemory):
    reviewed = ToolPins(pins)
    reviewed.review("mail", "fleet", "1", [tool()])
    upgraded = [tool(description="Send it."), tool("wipe")]
    assert reviewed.review("mail", "fleet", "2", upgraded) == frozenset()
    assert reviewed.review("mail", "fleet", "2", upgraded) == frozenset()


def test_our_own_server_may_not_change_within_a_version(pins: PinsInMemory):
    reviewed = ToolPins(pins)
    reviewed.review("mail", "fleet", "1", [tool()])
    changed = [tool(description="Send it."), tool("wipe")]
    assert reviewed.review("mail", "fleet", "1", changed) == {"send", "wipe"}


def test_an_accepted_change_is_pinned_for_good(pins: PinsInMemory):
    changed = tool(description="Send it.")
    first = ToolPins(pins)
    first.review("mail", "third_party", "1", [tool()])
    first.review("mail", "third_party", "1", [changed])
    first.accept("mail", "send", first.changes("mail")[0].sha256)
    assert ToolPins(pins).review("mail", "third_party", "1", [changed]) == frozenset()


def test_a_tool_that_comes_back_unchanged_is_fine(pins: PinsInMemory):
    reviewed = ToolPins(pins)
    reviewed.review("mail", "third_party", "1", [tool(), tool("read")])
    reviewed.review("mail", "third_party", "1", [tool()])
    assert not reviewed.review("mail", "third_party", "1", [tool(), tool("read")])


def test_an_empty_list_is_no_first_sight(pins: PinsInMemory):
    reviewed = ToolPins(pins)
    reviewed.review("mail", "third_party", "1", [])
    assert reviewed.review("mail", "third_party", "1", [tool()]) == frozenset()


def test_accepting_what_did_not_change_is_refused(pins: PinsInMemory):
    with pytest.raises(NotFound):
        ToolPins(pins).accept("mail", "send", "0" * 64)


def test_a_tool_that_changed_again_is_not_accepted_by_what_was_read(pins: PinsInMemory):
    reviewed = ToolPins(pins)
    reviewed.review("mail", "third_party", "1", [tool()])
    reviewed.review("mail", "third_party", "1", [tool(description="Send it.")])
    read = reviewed.changes("mail")[0].sha256
    reviewed.review("mail", "third_party", "1", [tool(description="Send it to me.")])
    with pytest.raises(Conflict):
        reviewed.accept("mail", "send", read)
    assert [change.tool for change in reviewed.changes("mail")] == ["send"]


def test_what_is_known_from_before_is_compared_without_pinning(pins: PinsInMemory):
    assert ToolPins(pins).compare("mail", [tool()]) == frozenset()
    assert pins.document.servers == {}
    ToolPins(pins).review("mail", "third_party", "1", [tool()])
    assert ToolPins(pins).compare("mail", [tool(description="Send it.")]) == {"send"}
