"""`python -m servers`: list and run."""

import json
from typing import Any

import pytest

from servers.__main__ import _chosen, main
from servers.kit.manifest import all_manifests


def test_the_list_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(all_manifests())


def test_the_list_for_programs_says_where_servers_are_and_what_tools_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--json"]) == 0

    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    for entry, manifest in zip(found, all_manifests(), strict=True):
        assert entry["name"] == manifest.name
        assert entry["url"] == f"http://127.0.0.1:{manifest.port}/mcp"
        assert entry["token_file"] == f"tokens/{manifest.name}"
        assert entry["enabled_by_default"] == manifest.enabled_by_default
        assert set(entry["tools"]) == set(manifest.tools)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nothing_here"], "error: there is no manifest at"),
        (["up", "nothing_here"], "error: none of these servers exists: nothing_here"),
    ],
)
def test_an_unknown_server_is_named_in_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert says in capsys.readouterr().err


def test_a_wrong_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "calculator", "--port", "70000"])
    assert "70000 is not a port" in capsys.readouterr().err


def test_a_server_that_is_gone_keeps_no_other_from_starting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = _chosen(["gone", "calculator"], may_be_none=False)

    assert [manifest.name for manifest in chosen] == ["calculator"]
    assert "gone is left out" in capsys.readouterr().err
