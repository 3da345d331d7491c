"""Which grants a server takes, and that no other one passes."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from servers.kit.gate.grants import (
    Grant,
    GrantRefused,
    grant_key,
    request_state_key,
    verified_grant,
)
from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.token import TokenError, server_token

KEY = b"k" * 43
NOW_S = 1_800_000_000.0
HASH = "ab" * 32
CALL = {
    "owner": "owner",
    "server": "mail",
    "tool": "send",
    "call_id": "call_1",
    "call_hash": HASH,
}
PAYLOAD: dict[str, Any] = {
    "v": 1,
    "id": "approval_1",
    "owner": "owner",
    "server": "mail",
    "tool": "send",
    "call_id": "call_1",
    "hash": HASH,
    "exp": int(NOW_S) + 600,
    "scope": "once",
    "by": "web",
    "taint": ["mail from x@y.example"],
}


def signed(payload: dict[str, Any], key: bytes = KEY) -> str:
    first = _base64url(json.dumps(payload).encode())
    return f"{first}.{_base64url(hmac.digest(key, first.encode(), hashlib.sha256))}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def verified(text: str, *, now_s: float = NOW_S, **changed: str) -> Grant:
    return verified_grant(text, KEY, **{**CALL, **changed}, now_s=now_s)  # type: ignore[arg-type]


def test_a_grant_for_this_call_is_taken() -> None:
    assert verified(signed(PAYLOAD)) == Grant(**{**PAYLOAD, "taint": tuple(PAYLOAD["taint"])})


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("v", 2, "cannot be read"),
        ("owner", "guest", "another owner"),
        ("server", "calendar", "another server"),
        ("tool", "delete", "another tool"),
        ("call_id", "call_2", "another call"),
        ("hash", "ab" * 31 + "ac", "other arguments"),
        ("exp", int(NOW_S), "expired"),
        ("exp", str(int(NOW_S) + 600), "cannot be read"),
        ("scope", "always", "cannot be read"),
        ("by", "model", "cannot be read"),
        ("taint", "mail", "cannot be read"),
        ("id", 7, "cannot be read"),
    ],
)
def test_a_signed_grant_that_says_something_else_is_refused(
    field: str, value: object, says: str
) -> None:
    with pytest.raises(GrantRefused, match=says):
        verified(signed({**PAYLOAD, field: value}))


@pytest.mark.parametrize("field", PAYLOAD)
def test_a_grant_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(GrantRefused, match="cannot be read"):
        verified(signed({name: value for name, value in PAYLOAD.items() if name != field}))


@pytest.mark.parametrize("field", PAYLOAD)
def test_a_field_changed_under_the_old_signature_is_refused(field: str) -> None:
    signature = signed(PAYLOAD).partition(".")[2]
    altered = _base64url(json.dumps({**PAYLOAD, field: "other"}).encode())

    with pytest.raises(GrantRefused, match="not signed"):
        verified(f"{altered}.{signature}")


def test_no_byte_of_a_grant_can_be_changed() -> None:
    text = signed(PAYLOAD)

    for position in range(len(text)):
        for bit in range(7):
            altered = list(text)
            altered[position] = chr(ord(text[position]) ^ (1 << bit))
            with pytest.raises(GrantRefused):
                verified("".join(altered))


@pytest.mark.parametrize("keep", [0, 1, 20, -1, -43, -44])
def test_a_grant_that_was_cut_off_is_refused(keep: int) -> None:
    with pytest.raises(GrantRefused):
        verified(signed(PAYLOAD)[:keep])


@pytest.mark.parametrize("more", ["=", ".", "A", " ", "\n", "é", "\ud800"])
def test_a_grant_with_something_behind_it_is_refused(more: str) -> None:
    with pytest.raises(GrantRefused):
        verified(signed(PAYLOAD) + more)


def test_a_grant_of_another_key_is_refused() -> None:
    with pytest.raises(GrantRefused, match="not signed"):
        verified(signed(PAYLOAD, b"l" * 43))


def test_a_signed_text_that_is_no_grant_is_refused() -> None:
    first = "not/base64 or json"
    signature = _base64url(hmac.digest(KEY, first.encode(), hashlib.sha256))

    with pytest.raises(GrantRefused, match="cannot be read"):
        verified(f"{first}.{signature}")


@pytest.mark.parametrize("field", CALL)
def test_a_grant_serves_no_other_call(field: str) -> None:
    with pytest.raises(GrantRefused):
        verified(signed(PAYLOAD), **{field: "other"})


def test_a_grant_serves_until_its_last_second() -> None:
    assert verified(signed(PAYLOAD), now_s=NOW_S + 599.9).id == "approval_1"

    with pytest.raises(GrantRefused, match="expired"):
        verified(signed(PAYLOAD), now_s=NOW_S + 600)


def test_the_key_is_a_file_of_its_own_and_not_the_token(tmp_path: Path) -> None:
    settings = KitSettings(data_dir=tmp_path)
    key = grant_key("mail", settings, SystemdSettings())
    path = tmp_path / "grant_keys" / "mail"

    assert key == path.read_bytes()
    assert len(key) == 43
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key == grant_key("mail", settings, SystemdSettings())
    assert key != grant_key("calendar", settings, SystemdSettings())
    assert key.decode() != server_token("mail", settings, SystemdSettings())


def test_a_systemd_credential_is_the_key_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "grant_key").write_text("c" * 43, encoding="ascii")

    found = grant_key(
        "mail",
        KitSettings(data_dir=tmp_path / "data"),
        SystemdSettings(credentials_directory=tmp_path),
    )

    assert found == b"c" * 43
    assert not (tmp_path / "data").exists()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = KitSettings(data_dir=tmp_path)
    grant_key("mail", settings, SystemdSettings())
    (tmp_path / "grant_keys" / "mail").chmod(0o640)

    with pytest.raises(TokenError, match="chmod 600"):
        grant_key("mail", settings, SystemdSettings())


def test_the_key_for_request_states_is_another_one() -> None:
    derived = request_state_key(KEY)

    assert len(derived) == 32
    assert derived == request_state_key(KEY)
    assert derived not in (KEY, request_state_key(b"l" * 43))
    assert derived != hmac.digest(KEY, b"", hashlib.sha256)
