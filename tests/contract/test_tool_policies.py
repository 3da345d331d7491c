"""What a server lists as the policy of a tool is what the orchestrator understands of it."""

import pytest
from mcp.types import Tool

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.definitions import definition_of, listed_tool
from servers.kit.manifest import Label, ToolManifest, all_manifests
from tests.fakes.effects_server import MANIFEST

TOOLS = [
    pytest.param(tool, id=f"{manifest.name}.{name}")
    for manifest in (MANIFEST, *all_manifests())
    for name, tool in manifest.tools.items()
]
WITH_ACCOUNT = ToolManifest(labels=frozenset({Label.READ}), capability="read")
TOOLS.append(pytest.param(WITH_ACCOUNT, id="with_account"))
FLEET = ServerConfig(id="some", url="http://127.0.0.1:1/mcp", trust="fleet")


@pytest.mark.parametrize("said", TOOLS)
def test_a_policy_arrives_as_the_manifest_says_it(said: ToolManifest):
    listed = Tool(
        name="some_tool",
        input_schema={"type": "object"},
        annotations=said.annotations,
        _meta={"flotilla/policy": said.policy},
    )
    definition = definition_of(listed_tool(listed), FLEET)
    assert definition.labels == set(said.labels)
    assert (definition.level, definition.effect) == (said.level, said.kind_of_effect)
    assert definition.read_only == said.is_read_only
    assert definition.destinations == said.destinations
    assert definition.account_argument == said.account
    assert definition.undoable == (said.undo is not None)
    assert definition.capability == said.capability
