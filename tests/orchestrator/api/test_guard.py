import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.orchestrator.api.doorway import serving

NOTE = {"text": "hello"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.1:p@evil",
        "[::1].evil:{port}",
        "flotilla.example.org:{port}",
    ],
)
def test_foreign_host_is_refused_even_with_a_token(door, host):
    answer = door.ask("GET", "/api/sessions", door.bearer, host=host.format(port=door.port))
    assert answer.status == 421
    assert answer.json["code"] == "foreign_host"


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_every_loopback_name_with_our_port_is_ours(door, host):
    assert door.ask("GET", "/health", host=host.format(port=door.port)).status == 200


def test_the_host_of_a_public_origin_is_ours(door):
    assert door.ask("GET", "/health", host="flotilla.example.org").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:{port}.evil"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:{port}"},
    ],
)
def test_other_sites_cannot_change_anything_even_with_a_token(door, headers):
    sent = {name: value.format(port=door.port) for name, value in headers.items()}
    answer = door.ask("POST", "/api/sessions", {**door.bearer, **sent}, NOTE)
    assert answer.status == 403
    assert answer.json["code"] == "forbidden"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_can_change_things(door, site):
    headers = {**door.bearer, "Origin": door.origin, "Sec-Fetch-Site": site}
    assert door.ask("POST", "/api/sessions", headers, NOTE).status == 200


def test_a_replayed_cookie_from_a_foreign_origin_is_refused(door):
    cookie = door.sign_in().cookie
    headers = {"Cookie": cookie, "Origin": "https://evil.example"}
    assert door.ask("POST", "/api/sessions", headers, NOTE).status == 403
    assert door.ask("POST", "/api/sessions", {"Cookie": cookie}, NOTE).status == 200


@pytest.mark.parametrize("name", ["Host", "Origin", "Sec-Fetch-Site", "Content-Type"])
def test_a_header_that_may_come_once_is_refused_twice(door, name):
    values = {"Host": "evil.example", "Content-Type": "application/json"}
    twice = [(name, values.get(name, "same-origin"))] * 2
    answer = door.ask("POST", "/api/sessions", [*door.bearer.items(), *twice], body=b"{}")
    assert answer.status == 400


def test_bodies_of_announced_length_are_limited(door):
    answer = door.ask("POST", "/api/sessions", door.bearer, {"text": "x" * 1_100_000})
    assert (answer.status, answer.json["code"]) == (413, "too_large")


def test_bodies_of_unknown_length_are_limited_while_they_stream(door):
    head = (
        f"POST /api/sessions HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n"
        f"Authorization: Bearer {door.token}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", door.port)) as client:
        client.sendall(head.encode())
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(17):
            client.sendall(chunk)
        assert client.recv(1000).startswith(b"HTTP/1.1 413")


def test_upload_routes_have_their_own_limit_and_any_type(door):
    headers = {**door.bearer, "Content-Type": "image/png"}
    assert door.ask("POST", "/api/uploads", headers, body=b"x" * 2_000_000).json == 2_000_000
    assert door.ask("POST", "/api/uploads", headers, body=b"x" * 3_000_001).status == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_bodies_reach_the_api(door, content_type):
    headers = {**door.bearer, "Content-Type": content_type}
    answer = door.ask("POST", "/api/sessions", headers, body=b'{"text": "x"}')
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


def test_collection_paths_answer_with_a_trailing_slash(door):
    assert door.ask("GET", "/api/sessions/", door.bearer).json == {"owner": "owner"}


@pytest.mark.parametrize(
    "path", ["/health", "/", "/api/sessions", "/api/crash", "/api/nowhere", "/missing.js"]
)
def test_every_answer_has_the_security_headers(door, path):
    for host in (None, "evil.example"):
        answer = door.ask("GET", path, door.bearer, host=host)
        assert "require-trusted-types-for 'script'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        if path.startswith("/api/"):
            assert answer.headers["cache-control"] == "no-store"


def test_websocket_from_a_foreign_origin_is_refused(door):
    url = f"ws://127.0.0.1:{door.port}/api/socket"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin="https://evil.example", additional_headers=door.bearer)
    assert refused.value.response.status_code == 403


def test_websocket_without_a_credential_is_refused(door):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{door.port}/api/socket", origin=door.origin)
    assert refused.value.response.status_code == 401


def test_websocket_of_our_own_page_is_accepted(door):
    cookie = door.sign_in().cookie
    url = f"ws://127.0.0.1:{door.port}/api/socket"
    with connect(url, origin=door.origin, additional_headers={"Cookie": cookie}) as client:
        assert client.recv() == "owner"


def test_streams_end_quietly_when_the_server_stops(tmp_path, caplog):
    with serving(tmp_path, tmp_path / "dist") as door:
        stream = socket.create_connection(("127.0.0.1", door.port), timeout=10)
        stream.sendall(
            f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n"
            f"Authorization: Bearer {door.token}\r\n\r\n".encode()
        )
        answer = b""
        while b": hello" not in answer:
            answer += stream.recv(65_536)
    with stream:
        assert stream.recv(65_536) == b"0\r\n\r\n"
    assert [record for record in caplog.records if record.exc_info] == []
