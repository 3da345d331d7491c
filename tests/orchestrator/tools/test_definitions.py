import pytest
from mcp.types import Tool

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ALL_EFFECTS, ToolDefinition
from orchestrator.tools.definitions import (
    MAX_DESCRIPTION_LENGTH,
    MAX_TOOLS,
    ToolListing,
    definition_of,
    listed_tool,
    visible_text,
)

FLEET = ServerConfig(id="mail", url="http://127.0.0.1:1/mcp", trust="fleet")
THIRD_PARTY = FLEET.model_copy(update={"trust": "third_party"})
READ_ONLY = {"readOnlyHint": True}


def tool(name: str = "send", **more: object) -> Tool:
    return Tool.model_validate({"name": name, "inputSchema": {"type": "object"}, **more})


def listing(*tools: Tool) -> ToolListing:
    collected = ToolListing()
    collected.add(tools)
    return collected


def test_characters_nobody_sees_are_taken_out_of_prose():
    hidden = "Se\u200bnd\x1b[31m a \u202email\U000e0041\x00.\nNow\x1b]0;title\x07!"
    assert visible_text(hidden, 100) == "Send a mail.\nNow!"


def test_emoji_and_foreign_scripts_stay():
    assert visible_text("né ☺️ 日本 한국 שלום", 100) == "né ☺️ 日本 한국 שלום"


def test_a_long_description_is_cut():
    definition = definition_of(listed_tool(tool(description="x" * 5000)), FLEET)
    assert len(definition.description) == MAX_DESCRIPTION_LENGTH


def test_prose_inside_a_schema_is_cleaned_and_values_are_kept():
    schema = {
        "type": "object",
        "properties": {
            "description": {"type": "string", "description": "Wh\u200bat", "enum": ["a\u200bb"]}
        },
    }
    definition = definition_of(listed_tool(tool(inputSchema=schema)), FLEET)
    assert definition.input_schema["properties"]["description"] == {
        "type": "string",
        "description": "What",
        "enum": ["a\u200bb"],
    }


def test_only_our_own_servers_are_believed_about_effects():
    listed = listed_tool(tool(annotations={"readOnlyHint": True, "idempotentHint": True}))
    ours, theirs = definition_of(listed, FLEET), definition_of(listed, THIRD_PARTY)
    assert (ours.read_only, ours.idempotent) == (True, True)
    assert (theirs.read_only, theirs.idempotent) == (False, False)


def with_policy(
    policy: object, *, hints: dict[str, bool] | None = None, server: ServerConfig = FLEET
) -> ToolDefinition:
    listed = listed_tool(tool(annotations=hints or {}, _meta={"flotilla/policy": policy}))
    return definition_of(listed, server)


def test_the_policy_of_our_own_server_is_taken_over():
    said = {
        "labels": ["egress", "write"],
        "level": 3,
        "effect": "send",
        "destinations": ["to", "cc"],
        "account": "account",
        "undoable": True,
    }
    definition = with_policy(said)
    assert (definition.labels, definition.level) == (frozenset({"write", "egress"}), 3)
    assert (definition.effect, definition.destinations) == ("send", ("to", "cc"))
    assert (definition.account_argument, definition.undoable) == ("account", True)
    assert definition.reaches_out


def test_a_third_party_may_do_anything_whatever_it_claims():
    harmless = {"labels": ["read"], "level": 0}
    definition = with_policy(harmless, hints=READ_ONLY, server=THIRD_PARTY)
    assert (definition.labels, definition.level) == (ALL_EFFECTS, 2)
    assert (definition.read_only, definition.effect) == (False, "change")


def test_without_a_policy_the_annotations_of_our_own_servers_count():
    reads = definition_of(listed_tool(tool(annotations=READ_ONLY)), FLEET)
    writes = definition_of(listed_tool(tool()), FLEET)
    assert (reads.labels, reads.level, reads.effect) == (frozenset({"read"}), 0, None)
    assert (writes.labels, writes.level, writes.effect) == (frozenset({"write"}), 2, "change")


@pytest.mark.parametrize(
    "policy",
    [
        "none",
        {},
        {"labels": [], "level": 0},
        {"labels": ["harmless"], "level": 0},
        {"labels": ["read"], "level": 7},
        {"labels": ["read"], "level": "0"},
        {"labels": ["write"], "level": 1, "effect": "change"},
        {"labels": ["read"], "level": 0, "effect": "send"},
        {"labels": ["read"], "level": 0, "asks": False},
    ],
)
def test_a_policy_that_is_not_understood_makes_nothing_harmless(policy: object):
    definition = with_policy(policy, hints=READ_ONLY)
    assert (definition.labels, definition.level) == (ALL_EFFECTS, 2)
    assert not definition.read_only


def test_a_policy_is_part_of_what_is_pinned_and_its_absence_is_not():
    asks, runs = (
        listed_tool(tool(_meta={"flotilla/policy": {"labels": ["write"], "level": level}}))
        for level in (2, 1)
    )
    assert asks.canonical_json() != runs.canonical_json()
    assert "policy" not in listed_tool(tool()).canonical_json()


def test_a_listing_is_sorted_and_keeps_the_first_of_two_equal_names():
    collected = listing(tool("b"), tool("a", description="first"), tool("a", description="second"))
    assert [(item.name, item.description) for item in collected.tools] == [
        ("a", "first"),
        ("b", None),
    ]
    assert not collected.is_cut


def test_a_listing_stops_at_its_bounds():
    many = listing(*(tool(f"t{number}") for number in range(MAX_TOOLS + 1)))
    assert (len(many.tools), many.is_cut) == (MAX_TOOLS, True)
    schema = {"type": "object", "description": "x" * 70_000}
    assert listing(tool(inputSchema=schema)).tools == ()
    near = {"type": "object", "description": "x" * 60_000}
    large = listing(*(tool(f"t{number}", inputSchema=near) for number in range(50)))
    assert (len(large.tools) < 40, large.is_cut) == (True, True)


def test_names_with_hidden_characters_are_not_listed():
    collected = listing(tool("se\u200bnd"), tool("a\nb"), tool(""), tool("x" * 300), tool("naïve!"))
    assert [item.name for item in collected.tools] == ["naïve!"]
