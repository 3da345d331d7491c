"""The tools of AgentDojo are described as a server of the fleet would have to describe them."""

import pytest

from servers.kit.manifest import ToolManifest
from tests.redteam.tools import definitions, described


@pytest.mark.parametrize("name", described())
def test_a_tool_is_described_by_the_rules_of_manifests(name: str):
    manifest = ToolManifest.model_validate(described()[name])
    tool = definitions("suite")[name]
    assert tool.labels == {label.value for label in manifest.labels}
    assert (tool.level, tool.read_only) == (manifest.level, manifest.is_read_only)
    assert tool.destinations == manifest.destinations
