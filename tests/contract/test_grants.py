"""What the orchestrator signs is what the servers verify, to the byte."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.approvals import canonical, grants
from servers.kit.gate import canonical as servers_canonical
from servers.kit.gate.grants import GrantRefused, grant_key, verified_grant
from servers.kit.settings import KitSettings, SystemdSettings

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    LEAVES.filter(lambda leaf: leaf not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CALL = {"owner": "owner", "server": "mail", "tool": "send"}
ARGUMENTS: dict[str, Any] = {"to": ["ann@example.org"], "body": "Grüße 👋", "n": 1.5}


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_both_houses_have_the_same_canonical_form(arguments: dict[str, Any]) -> None:
    assert canonical.canonical_json(arguments) == servers_canonical.canonical_json(arguments)
    call = {**CALL, "arguments": arguments}
    assert canonical.call_hash(**call) == servers_canonical.call_hash(**call)


def key_of(data_dir: Path, server: str = "mail") -> bytes:
    return grant_key(server, KitSettings(data_dir=data_dir), SystemdSettings())


def minted(data_dir: Path, **changes: Any) -> str:
    plain = {
        "owner": "owner",
        "call_id": "call_1",
        "arguments": ARGUMENTS,
        "scope": "once",
        "by": "terminal",
        "taint": ["mail from é"],
        "grant_id": "appr_1",
    }
    return grants.GrantKeys(data_dir).mint("mail", "send", **{**plain, **changes})


def verified(text: str, key: bytes, **changes: Any) -> Any:
    wanted = {
        **CALL,
        "call_id": "call_1",
        "call_hash": servers_canonical.call_hash(**CALL, arguments=ARGUMENTS),
        "now_s": time.time(),
    }
    return verified_grant(text, key, **{**wanted, **changes})


@pytest.mark.parametrize("comes_first", ["server", "orchestrator"])
def test_a_server_takes_the_grant_whoever_made_the_key(tmp_path: Path, comes_first: str) -> None:
    steps: list[Callable[[Path], Any]] = [key_of, minted]
    for step in steps if comes_first == "server" else reversed(steps):
        step(tmp_path)
    grant = verified(minted(tmp_path), key_of(tmp_path))
    assert (grant.id, grant.call_id, grant.scope, grant.by) == (
        "appr_1",
        "call_1",
        "once",
        "terminal",
    )
    assert grant.taint == ("mail from é",)


def test_a_grant_for_one_call_says_for_which_account(tmp_path: Path) -> None:
    def account_in(**changes: Any) -> str | None:
        return verified(minted(tmp_path, **changes), key_of(tmp_path)).account

    assert account_in(account="anna@example.org") == "anna@example.org"
    assert account_in() is None
    assert account_in(account="anna@example.org", scope="standing", by="standing approval") is None


@pytest.mark.parametrize("by", ["web", "terminal", "api", "standing approval", "undo"])
def test_a_server_knows_everyone_who_may_decide(tmp_path: Path, by: str) -> None:
    assert verified(minted(tmp_path, by=by), key_of(tmp_path)).by == by


LONG_AFTER_S = time.time() + 10 * 365 * 86_400


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "other"},
        {"server": "files"},
        {"tool": "draft"},
        {"call_id": "call_2"},
        {"call_hash": servers_canonical.call_hash(**CALL, arguments={**ARGUMENTS, "n": 1.6})},
        {"now_s": LONG_AFTER_S},
    ],
)
def test_a_server_takes_the_grant_for_nothing_else(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(GrantRefused):
        verified(minted(tmp_path), key_of(tmp_path), **change)


def test_a_server_refuses_a_grant_that_was_changed_or_signed_with_another_key(
    tmp_path: Path,
) -> None:
    grant = minted(tmp_path)
    payload, _, signature = grant.partition(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    raised = json.dumps({**said, "exp": said["exp"] + 9_999}).encode()
    forged = base64.urlsafe_b64encode(raised).decode().rstrip("=")
    for text in (f"{forged}.{signature}", payload, f"{payload}.", "", f"{grant}="):
        with pytest.raises(GrantRefused):
            verified(text, key_of(tmp_path))
    with pytest.raises(GrantRefused):
        verified(grant, key_of(tmp_path, "files"))
