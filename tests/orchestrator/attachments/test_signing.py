"""Addresses of our own route: who may open them, for how long, and with whose key."""

import base64
import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator.attachments.signing import ContentSigner, signing_key
from orchestrator.errors import BlobStoreRefused, Forbidden, InvalidRequest

KEY = b"k" * 43
NOW = 1_795_000_000.9


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(clock: Clock) -> ContentSigner:
    return ContentSigner(KEY, clock=clock)


def taken_apart(path: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}


def check(signer: ContentSigner, path: str, *, method: str = "GET", **changes: str) -> str:
    """Verify an address as the route does, with some of it changed."""
    given = taken_apart(path) | changes
    return signer.verify(
        method,
        given.get("name", urlsplit(path).path.split("/")[3]),
        expires=int(given["expires"]),
        disposition=given["disposition"],
        signature=given["signature"],
    )


def test_an_address_is_the_route_with_its_end_and_an_hmac(signer: ContentSigner):
    path = signer.path("att_1", life_s=60, disposition="inline")
    expected = hmac.digest(KEY, b"GET\natt_1\n1795000060\ninline", hashlib.sha256)
    assert urlsplit(path).path == "/api/attachments/att_1/content"
    assert taken_apart(path) == {
        "expires": "1795000060",
        "disposition": "inline",
        "signature": base64.urlsafe_b64encode(expected).decode().rstrip("="),
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("disposition", ["inline", "attachment"])
def test_what_was_signed_is_known_again(signer: ContentSigner, method: str, disposition: str):
    kind = "inline" if disposition == "inline" else "attachment"
    path = signer.path("att_1", life_s=60, disposition=kind)
    assert check(signer, path, method=method) == disposition


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "get", "", "GET\nx"])
def test_no_other_method_is_signed(signer: ContentSigner, method: str):
    path = signer.path("att_1", life_s=60, disposition="inline")
    with pytest.raises(Forbidden, match="reading only"):
        check(signer, path, method=method)


@pytest.mark.parametrize(("seconds", "is_open"), [(0, True), (59, True), (60, False), (9e9, False)])
def test_an_address_ends(signer: ContentSigner, clock: Clock, seconds: float, is_open: bool):
    path = signer.path("att_1", life_s=60, disposition="inline")
    clock.now = int(NOW) + seconds
    if is_open:
        assert check(signer, path) == "inline"
    else:
        with pytest.raises(Forbidden, match="has expired"):
            check(signer, path)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "att_2"},
        {"name": "att_1\n1795000060"},
        {"expires": "1795000061"},
        {"expires": "-1"},
        {"disposition": "attachment"},
        {"disposition": "inline\n"},
        {"disposition": ""},
        {"signature": ""},
        {"signature": "A" * 43},
        {"signature": "é" * 43},
        {"signature": "\udcff"},
    ],
    ids=str,
)
def test_nothing_in_an_address_can_be_changed(signer: ContentSigner, change: dict[str, str]):
    path = signer.path("att_1", life_s=60, disposition="inline")
    with pytest.raises(Forbidden, match="not one of ours"):
        check(signer, path, **change)


def test_a_signature_is_checked_before_anything_else_is_said(signer: ContentSigner, clock: Clock):
    path = signer.path("att_1", life_s=60, disposition="inline")
    clock.now += 1_000
    with pytest.raises(Forbidden, match="not one of ours"):
        check(signer, path, method="POST", signature="x")


def test_another_key_signs_other_addresses(signer: ContentSigner, clock: Clock):
    path = ContentSigner(b"o" * 43, clock=clock).path("att_1", life_s=60, disposition="inline")
    with pytest.raises(Forbidden):
        check(signer, path)


@pytest.mark.parametrize("life_s", [0, -1, 86_401])
def test_an_address_lives_a_day_at_most(signer: ContentSigner, life_s: int):
    with pytest.raises(InvalidRequest):
        signer.path("att_1", life_s=life_s, disposition="inline")


@pytest.mark.parametrize("name", ["", "../x", "att_1/content?x=", "att_1\n"])
def test_only_names_of_blobs_are_signed(signer: ContentSigner, name: str):
    with pytest.raises(InvalidRequest):
        signer.path(name, life_s=60, disposition="inline")


def test_the_key_is_a_private_file_that_is_made_once(tmp_path: Path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(signing_key, [tmp_path] * 8))
    path = tmp_path / "keys" / "attachments"
    assert keys == {path.read_bytes()}
    assert len(path.read_bytes()) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["attachments"]


@pytest.mark.parametrize(("text", "mode"), [("short", 0o600), ("k" * 43, 0o640), ("", 0o600)])
def test_a_key_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, mode: int):
    path = tmp_path / "keys" / "attachments"
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(BlobStoreRefused, match=str(path)):
        signing_key(tmp_path)
