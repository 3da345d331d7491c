from mcp.types import Tool

from orchestrator.tools.config import ServerConfig
from orchestrator.tools.definitions import (
    MAX_DESCRIPTION_LENGTH,
    MAX_TOOLS,
    ToolListing,
    definition_of,
    listed_tool,
    visible_text,
)

FLEET = ServerConfig(id="mail", url="http://127.0.0.1:1/mcp")
THIRD_PARTY = FLEET.model_copy(update={"trust": "third_party"})


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
