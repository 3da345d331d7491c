import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, update
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from orchestrator.api.authenticator import SIGN_INS_PER_MINUTE
from orchestrator.store import audit as audit_store
from orchestrator.store.access_schema import api_tokens, logins, owners, sign_in_links
from orchestrator.store.principals import hash_secret, list_tokens


@pytest.fixture(autouse=True)
def fresh_rate_limit(door):
    door.api.state.authenticator._sign_ins.clear()


def new_token(door, scope="owner"):
    answer = door.ask("POST", "/api/auth/tokens", door.bearer, {"name": "t", "scope": scope})
    assert answer.status == 201
    return answer.json["id"], {"Authorization": f"Bearer {answer.json['token']}"}


@pytest.mark.parametrize("path", ["/api/sessions", "/api/nowhere", "/api/auth/me", "/metrics"])
def test_nothing_is_answered_without_a_credential(door, path):
    answer = door.ask("GET", path)
    assert (answer.status, answer.json["code"]) == (401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_credential(door):
    assert door.ask("GET", "/health").status == 200


@pytest.mark.parametrize(
    "value",
    [
        "Bearer wrong",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "flo_x",
        "Bearer flo_" + "é" * 3,
        "Bearer " + "x" * 8_000,
    ],
)
def test_a_wrong_token_is_refused(door, value):
    assert door.ask("GET", "/api/sessions", {"Authorization": value}).status == 401


@pytest.mark.parametrize(
    "variant",
    ["?token={token}", "?access_token={token}", "?api_key={token}"],
)
def test_a_token_in_the_address_is_not_looked_at(door, variant):
    assert door.ask("GET", "/api/sessions" + variant.format(token=door.token)).status == 401


@pytest.mark.parametrize("name", ["X-Api-Key", "X-Auth-Token", "Api-Key", "Proxy-Authorization"])
def test_no_other_header_is_a_side_door(door, name):
    assert door.ask("GET", "/api/sessions", {name: f"Bearer {door.token}"}).status == 401


def test_a_token_is_not_a_cookie_and_a_cookie_is_not_a_token(door):
    cookie = door.sign_in().cookie
    as_cookie = {"Cookie": f"flotilla_session={door.token}"}
    as_token = {"Authorization": f"Bearer {cookie.partition('=')[2]}"}
    assert door.ask("GET", "/api/sessions", as_cookie).status == 401
    assert door.ask("GET", "/api/sessions", as_token).status == 401


def test_two_credentials_are_refused(door):
    cookie = ("Cookie", door.sign_in().cookie)
    bearer = ("Authorization", f"Bearer {door.token}")
    for pair in ([cookie, bearer], [bearer, bearer], [cookie, cookie]):
        assert door.ask("GET", "/api/sessions", pair).status == 401
    twice = {"Cookie": f"{cookie[1]}; {cookie[1]}"}
    assert door.ask("GET", "/api/sessions", twice).status == 401


def test_the_link_signs_a_browser_in_with_a_strict_cookie(door):
    answer = door.sign_in()
    assert answer.status == 204
    attributes = answer.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    assert "path=/" in attributes
    assert "secure" not in attributes
    me = door.ask("GET", "/api/auth/me", {"Cookie": answer.cookie})
    assert me.json["owner"]["name"] == "owner"


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(door):
    host = "flotilla.example.org"
    body = {"code": door.new_code()}
    answer = door.ask("POST", "/api/auth/sign-in", json_body=body, host=host)
    assert answer.headers["set-cookie"].startswith("__Host-flotilla_session=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert door.ask("GET", "/api/auth/me", {"Cookie": answer.cookie}, host=host).status == 200
    plain = {"Cookie": answer.cookie.removeprefix("__Host-")}
    assert door.ask("GET", "/api/auth/me", plain, host=host).status == 401


def test_a_sign_in_link_works_once(door):
    body = {"code": door.new_code()}
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(door.ask, "POST", "/api/auth/sign-in", json_body=body) for _ in range(4)
        ]
        statuses = sorted(answer.result().status for answer in asked)
    assert statuses == [204, 401, 401, 401]


def test_an_expired_sign_in_link_is_refused(door):
    code = door.new_code()
    change = (
        update(sign_in_links)
        .where(sign_in_links.c.code_hash == hash_secret(code))
        .values(expires_at="2020-01-01T00:00:00.000Z")
    )
    door.run(door.api.state.database.write(lambda conn: conn.execute(change).rowcount))
    answer = door.ask("POST", "/api/auth/sign-in", json_body={"code": code})
    assert answer.status == 401
    assert "flotilla sign-in" in answer.json["detail"]


def test_sign_ins_are_limited_in_number(door):
    for _ in range(SIGN_INS_PER_MINUTE):
        door.ask("POST", "/api/auth/sign-in", json_body={"code": "guess"})
    answer = door.ask("POST", "/api/auth/sign-in", json_body={"code": door.new_code()})
    assert answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_signing_out_ends_the_cookie_at_once(door):
    headers = {"Cookie": door.sign_in().cookie}
    assert door.ask("GET", "/api/sessions", headers).status == 200
    answer = door.ask("POST", "/api/auth/sign-out", headers)
    assert answer.status == 204
    assert 'flotilla_session=""' in answer.headers["set-cookie"]
    assert door.ask("GET", "/api/sessions", headers).status == 401


def test_a_revoked_token_is_refused_at_once(door):
    token_id, headers = new_token(door)
    assert door.ask("GET", "/api/sessions", headers).status == 200
    assert door.ask("DELETE", f"/api/auth/tokens/{token_id}", door.bearer).status == 204
    assert door.ask("GET", "/api/sessions", headers).status == 401
    assert door.ask("DELETE", f"/api/auth/tokens/{token_id}", door.bearer).status == 404


def test_revoking_ends_live_streams_within_a_second(door):
    token_id, headers = new_token(door)
    url = f"ws://127.0.0.1:{door.port}/api/socket"
    head = (
        f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n"
        f"Authorization: {headers['Authorization']}\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", door.port), timeout=5) as stream,
        connect(url, additional_headers=headers) as live,
    ):
        stream.sendall(head.encode())
        live.recv()
        assert b"200 OK" in stream.recv(65_536)
        began = time.monotonic()
        door.ask("DELETE", f"/api/auth/tokens/{token_id}", door.bearer)
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            rest += stream.recv(65_536)
        with pytest.raises(ConnectionClosed):
            live.recv(timeout=5)
        assert time.monotonic() - began < 1
    assert door.api.state.streams == ["closed"]


def test_a_reading_token_reads_history_and_nothing_else(door):
    _, headers = new_token(door, "read_history")
    assert door.ask("GET", "/api/sessions", headers).status == 200
    for method, path in [
        ("GET", "/api/auth/me"),
        ("GET", "/api/sessions_of_others"),
        ("POST", "/api/sessions"),
        ("DELETE", "/api/sessions/ses_1"),
        ("POST", "/api/auth/tokens"),
    ]:
        assert door.ask(method, path, headers).status == 403


def test_the_token_is_shown_once_and_stored_as_a_hash(door):
    answer = door.ask("POST", "/api/auth/tokens", door.bearer, {"name": "phone"})
    token = answer.json["token"]
    assert len(token) == len("flo_") + 43
    assert token not in door.ask("GET", "/api/auth/tokens", door.bearer).body.decode()
    stored = b"".join(path.read_bytes() for path in door.data_dir.glob("chat_sessions.db*"))
    assert token.encode() not in stored
    assert hash_secret(token).encode() in stored


def test_the_names_of_local_tokens_are_taken(door):
    answer = door.ask("POST", "/api/auth/tokens", door.bearer, {"name": "cli"})
    assert (answer.status, answer.json["code"]) == (409, "conflict")


def test_logins_can_be_listed_and_ended(door):
    mine, other = {"Cookie": door.sign_in().cookie}, {"Cookie": door.sign_in().cookie}
    listed = door.ask("GET", "/api/auth/logins", mine).json["items"]
    [current] = [login["id"] for login in listed if login["current"]]
    others = door.ask("GET", "/api/auth/logins", other).json["items"]
    [ended] = [login["id"] for login in others if login["current"]]
    assert current != ended
    assert door.ask("DELETE", f"/api/auth/logins/{ended}", mine).status == 204
    assert door.ask("GET", "/api/sessions", other).status == 401
    assert door.ask("GET", "/api/sessions", mine).status == 200


def test_a_login_nobody_used_for_30_days_is_over(door):
    headers = {"Cookie": door.sign_in().cookie}
    stored = hash_secret(headers["Cookie"].partition("=")[2])
    change = (
        update(logins)
        .where(logins.c.cookie_hash == stored)
        .values(last_used_at="2020-01-01T00:00:00.000Z")
    )
    door.run(door.api.state.database.write(lambda conn: conn.execute(change).rowcount))
    assert door.ask("GET", "/api/sessions", headers).status == 401


def test_last_use_is_written_beside_the_request(door):
    token_id, headers = new_token(door)
    door.ask("GET", "/api/sessions", headers)
    owner_id = door.ask("GET", "/api/auth/me", headers).json["owner"]["id"]
    deadline = time.monotonic() + 5
    used_at = None
    while used_at is None and time.monotonic() < deadline:
        tokens = door.run(door.api.state.database.read(list_tokens, owner_id))
        used_at = next(token.last_used_at for token in tokens if token.id == token_id)
    assert used_at is not None


def test_the_local_tokens_are_private_files(door):
    folder = door.data_dir / "tokens"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("cli", "housekeeping.api"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    headers = {"Authorization": f"Bearer {(folder / 'housekeeping.api').read_text().strip()}"}
    assert door.ask("GET", "/api/sessions", headers).status == 200
    assert door.ask("GET", "/api/auth/me", headers).status == 403


def test_credentials_leave_an_unbroken_audit_trail(door):
    token_id, _ = new_token(door)
    door.ask("DELETE", f"/api/auth/tokens/{token_id}", door.bearer)
    owner_id = door.ask("GET", "/api/auth/me", door.bearer).json["owner"]["id"]
    assert door.run(door.api.state.database.read(audit_store.first_broken_row, owner_id)) is None


def test_one_owner_never_sees_or_ends_what_another_has(door):
    def add_other(conn):
        conn.execute(insert(owners), {"id": "own_b", "name": "b", "created_at": "2026"})
        row = {"id": "tok_b", "owner_id": "own_b", "name": "b", "token_hash": "h"}
        conn.execute(insert(api_tokens), {**row, "scope": "owner", "created_at": "2026"})

    door.run(door.api.state.database.write(add_other))
    assert "tok_b" not in door.ask("GET", "/api/auth/tokens", door.bearer).body.decode()
    assert door.ask("DELETE", "/api/auth/tokens/tok_b", door.bearer).status == 404
