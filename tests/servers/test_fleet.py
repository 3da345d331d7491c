"""Rules that every server keeps; a new server is found by its manifest."""

import json
from importlib import import_module

import pytest
from fastmcp import Client
from mcp.types import Tool

from servers.kit.manifest import FLEET_DIR, Label, Manifest, all_manifests
from servers.kit.server import FleetServer

MAX_MEAN_TOOL_BYTES = 1_500
MAX_SERVER_BYTES = 20_000


@pytest.fixture
def mcp(manifest: Manifest) -> FleetServer[object]:
    return import_module(f"servers.{manifest.name}.server").mcp


@pytest.fixture
async def tools(mcp: FleetServer[object]) -> list[Tool]:
    async with Client(mcp) as client:
        return await client.list_tools()


def test_no_two_servers_want_the_same_port() -> None:
    ports = [manifest.port for manifest in all_manifests()]

    assert len(ports) == len(set(ports))


def test_the_folder_the_manifest_and_the_mcp_server_have_one_name(
    manifest: Manifest, mcp: FleetServer[object]
) -> None:
    assert (FLEET_DIR / manifest.name / "manifest.toml").is_file()
    assert mcp.name == manifest.name
    assert mcp.manifest == manifest


def test_code_and_manifest_know_the_same_tools(manifest: Manifest, tools: list[Tool]) -> None:
    assert {tool.name for tool in tools} == set(manifest.tools)


def test_every_tool_and_every_argument_is_described(tools: list[Tool]) -> None:
    missing = [tool.name for tool in tools if not tool.description]
    missing += [
        f"{tool.name}.{argument}"
        for tool in tools
        for argument, schema in tool.input_schema.get("properties", {}).items()
        if not schema.get("description")
    ]

    assert missing == []


def test_annotations_say_what_the_labels_say(manifest: Manifest, tools: list[Tool]) -> None:
    for tool in tools:
        labels = manifest.tools[tool.name].labels
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == (Label.WRITE not in labels)
        assert tool.annotations.destructive_hint == (Label.DESTRUCTIVE in labels)
        assert tool.annotations.open_world_hint == bool(labels & {Label.UNTRUSTED, Label.EGRESS})
        assert tool.annotations.idempotent_hint is not None
        assert tool.title


def test_what_the_manifest_says_of_arguments_names_arguments(
    manifest: Manifest, tools: list[Tool]
) -> None:
    for tool in tools:
        said = manifest.tools[tool.name]
        named = {*said.destinations, said.counted_by, said.account} - {None}
        arguments = tool.input_schema.get("properties", {})
        assert named <= set(arguments), tool.name
        if said.counted_by is not None:
            assert arguments[said.counted_by]["type"] == "array", tool.name


def test_what_sends_says_where_to(manifest: Manifest) -> None:
    sends = {
        name
        for name, tool in manifest.tools.items()
        if {Label.WRITE, Label.EGRESS} <= tool.labels and not tool.destinations
    }

    assert sends == set()


def test_every_listed_tool_carries_its_policy(manifest: Manifest, tools: list[Tool]) -> None:
    policies = {tool.name: dict((tool.meta or {})["flotilla/policy"]) for tool in tools}
    # Whether it has previews is said by the code and not by the manifest.
    for policy in policies.values():
        assert policy.pop("preview", True) is True
    assert policies == {name: tool.policy for name, tool in manifest.tools.items()}


def test_tool_names_do_not_repeat_the_servers_name(manifest: Manifest, tools: list[Tool]) -> None:
    assert [tool.name for tool in tools if manifest.name in tool.name] == []
    assert max(len(f"{manifest.name}__{tool.name}") for tool in tools) <= 64


def test_schemas_have_no_references(tools: list[Tool]) -> None:
    for tool in tools:
        text = json.dumps([tool.input_schema, tool.output_schema])
        assert "$ref" not in text, tool.name
        assert "$defs" not in text, tool.name


def test_results_are_objects(tools: list[Tool]) -> None:
    for tool in tools:
        assert tool.output_schema is not None, tool.name
        assert tool.output_schema["type"] == "object", tool.name


def test_the_tool_list_is_cheap_for_a_model(tools: list[Tool]) -> None:
    sizes = [
        len(
            json.dumps(
                {
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": tool.input_schema,
                }
            )
        )
        for tool in tools
    ]

    assert sum(sizes) / len(sizes) <= MAX_MEAN_TOOL_BYTES
    assert sum(sizes) <= MAX_SERVER_BYTES


def test_the_readme_names_every_tool_and_every_setting(manifest: Manifest) -> None:
    readme = (FLEET_DIR / manifest.name / "README.md").read_text(encoding="utf-8")
    fleet = (FLEET_DIR / "README.md").read_text(encoding="utf-8")

    missing = [
        name for name in (*manifest.tools, *manifest.environment) if f"`{name}`" not in readme
    ]
    assert missing == []
    assert f"]({manifest.name}/README.md) | {manifest.port} |" in fleet
