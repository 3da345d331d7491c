"""Which Host and Origin headers are believed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.kit.hosts import Authority, is_allowed_host, is_same_origin, parse_authority


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("localhost", Authority("localhost", None)),
        ("LOCALHOST:80", Authority("localhost", 80)),
        ("127.0.0.1:9101", Authority("127.0.0.1", 9101)),
        ("[::1]", Authority("::1", None)),
        ("[0:0:0:0:0:0:0:1]:9101", Authority("::1", 9101)),
        ("fleet.home.example:443", Authority("fleet.home.example", 443)),
    ],
)
def test_an_authority_is_read_into_its_parts(text: str, authority: Authority) -> None:
    assert parse_authority(text) == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:８０",
        "127.0.0.1:p@evil",
        "127.0.0.1:80@evil",
        "user@localhost",
        "[::1].evil",
        "[::1",
        "::1",
        "[localhost]",
        "[1:2]",
        "localhost/path",
        "localhost ",
        " localhost",
        "local_host",
        "localhost.",
        "a..b",
        "localhost\n",
    ],
)
def test_anything_else_is_no_authority(text: str) -> None:
    assert parse_authority(text) is None


def test_only_loopback_and_named_hosts_are_allowed() -> None:
    assert is_allowed_host("[::1]:9101", ())
    assert is_allowed_host("Fleet.example:443", {"fleet.example"})
    assert not is_allowed_host("fleet.example", ())
    assert not is_allowed_host("127.0.0.2", ())


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:9101", "localhost:9101", True),
        ("HTTP://LOCALHOST:9101", "localhost:9101", True),
        ("https://fleet.example", "fleet.example", True),
        ("http://[::1]:9101", "[::1]:9101", True),
        ("http://localhost:9102", "localhost:9101", False),
        ("http://localhost", "localhost:9101", False),
        ("http://127.0.0.1:9101", "localhost:9101", False),
        ("http://127.0.0.1:p.evil", "127.0.0.1", False),
        ("http://localhost:9101/", "localhost:9101", False),
        ("ftp://localhost:9101", "localhost:9101", False),
        ("localhost:9101", "localhost:9101", False),
        ("null", "localhost", False),
        ("", "localhost", False),
    ],
)
def test_an_origin_is_the_same_only_with_its_very_host_and_port(
    origin: str, host: str, same: bool
) -> None:
    assert is_same_origin(origin, host) is same


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
def test_no_text_after_a_loopback_name_makes_another_host_allowed(text: str) -> None:
    for start in ("127.0.0.1", "localhost", "[::1]"):
        authority = parse_authority(start + text)
        if authority is not None and is_allowed_host(start + text, ()):
            port = "" if authority.port is None else text.removeprefix(":")
            assert text in ("", f":{port}")
