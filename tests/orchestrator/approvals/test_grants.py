"""Grants as they are minted; `tests/contract/test_grants.py` shows that the servers take them."""

import base64
import hashlib
import hmac
import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator.approvals.canonical import call_hash
from orchestrator.approvals.grants import LIFE_S, GrantKeys
from orchestrator.errors import ToolError

ARGUMENTS = {"to": "ann@example.org"}


def minted(data_dir: Path, server: str = "mail", **changes: Any) -> str:
    plain = {
        "owner": "owner",
        "call_id": "call_1",
        "arguments": ARGUMENTS,
        "scope": "once",
        "by": "web",
        "taint": ("mail from é",),
        "grant_id": "appr_1",
    }
    return GrantKeys(data_dir).mint(server, "send", **{**plain, **changes})  # type: ignore[arg-type]


def part(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_grant_says_exactly_one_call_and_is_signed_with_the_servers_key(tmp_path):
    before = int(time.time())
    payload, signature = minted(tmp_path).split(".")
    said = json.loads(part(payload))
    assert before + LIFE_S <= said.pop("exp") <= time.time() + LIFE_S
    call = {"owner": "owner", "server": "mail", "tool": "send"}
    assert said == {
        **call,
        "v": 1,
        "id": "appr_1",
        "call_id": "call_1",
        "hash": call_hash(**call, arguments=ARGUMENTS),
        "scope": "once",
        "by": "web",
        "taint": ["mail from é"],
        "account": None,
    }
    key = (tmp_path / "grant_keys" / "mail").read_bytes()
    assert part(signature) == hmac.digest(key, payload.encode(), hashlib.sha256)


def test_the_key_is_a_private_file_of_its_server(tmp_path):
    minted(tmp_path, "mail")
    minted(tmp_path, "files")
    folder = tmp_path / "grant_keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["files", "mail"]
    keys = {path.read_text() for path in folder.iterdir()}
    assert len(keys) == 2
    assert all(len(key) >= 43 for key in keys)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_key_that_is_there_is_kept_and_a_changed_one_used_at_once(tmp_path):
    path = tmp_path / "grant_keys" / "mail"
    path.parent.mkdir()
    for key in ("a" * 43, "b" * 43):
        path.write_text(key + "\n")
        path.chmod(0o600)
        payload, signature = minted(tmp_path).split(".")
        assert part(signature) == hmac.digest(key.encode(), payload.encode(), hashlib.sha256)


def test_many_that_come_first_make_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        grants = list(pool.map(lambda _: minted(tmp_path), range(8)))
    key = (tmp_path / "grant_keys" / "mail").read_bytes()
    for payload, signature in (grant.split(".") for grant in grants):
        assert part(signature) == hmac.digest(key, payload.encode(), hashlib.sha256)
    assert [path.name for path in (tmp_path / "grant_keys").iterdir()] == ["mail"]


def test_arguments_that_are_not_json_get_no_grant(tmp_path):
    with pytest.raises(ToolError, match="'send' cannot be written as JSON"):
        minted(tmp_path, arguments={"n": float("nan")})


@pytest.mark.parametrize(("text", "mode"), [("a" * 43, 0o640), ("short", 0o600), ("é" * 43, 0o600)])
def test_a_key_file_that_cannot_be_used_is_named(tmp_path, text, mode):
    path = tmp_path / "grant_keys" / "mail"
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ToolError, match=str(path)):
        minted(tmp_path)
