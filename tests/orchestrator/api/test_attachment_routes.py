"""Files over HTTP: in by multipart, out by login or signature, gone for good."""

import hashlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.api.uploads import body_rule
from orchestrator.attachments.signing import ContentSigner, signing_key
from orchestrator.store import sessions
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import owner_of, token_of, whole_house
from tests.orchestrator.attachments.desk import png

MAX_BYTES = 100_000
BOUNDARY = "----flotilla"
END = f"--{BOUNDARY}--\r\n".encode()


def form(*files: tuple[str, bytes], **fields: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, content in files:
        quoted = name.replace('"', "%22")
        parts.append(
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="file"; filename="{quoted}"\r\nContent-Type: text/html\r\n\r\n'.encode()
            + content
            + b"\r\n"
        )
    return b"".join(parts) + END


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def upload(door: Door, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return door.ask("POST", "/api/uploads", {**MULTIPART, **(headers or door.bearer)}, body=body)


def uploaded(door: Door, name: str = "a.png", content: bytes = b"", **fields: str) -> Any:
    answer = upload(door, form((name, content or png()), **fields))
    assert answer.status == 201, answer.body
    return answer.json["items"][0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    server = {"id": "mail", "url": "http://127.0.0.1:9/mcp", "trust": "fleet"}
    folder = tmp_path_factory.mktemp("house")
    with whole_house(folder, [server], attachments_max_size_bytes=MAX_BYTES) as door:
        yield door


def listed(house: Door) -> list[str]:
    page = house.ask("GET", "/api/attachments?limit=200", house.bearer).json
    return [item["id"] for item in page["items"]]


def blobs(house: Door) -> set[str]:
    return {path.name for path in (house.data_dir / "attachments").glob("*/att_*")}


def session_of(house: Door) -> str:
    create = house.api.state.database.write(sessions.create, owner_of(house), "Files")
    return house.run(create).id


def test_a_file_comes_back_as_it_went_in(house: Door) -> None:
    content = png(5_000)
    session_id = session_of(house)
    item = uploaded(house, "holiday.png", content, session_id=session_id)
    assert item["id"].startswith("att_")
    assert (item["name"], item["mime"], item["size_bytes"]) == ("holiday.png", "image/png", 5_000)
    assert (item["session_id"], item["source"]) == (session_id, "upload")
    assert item["sha256"] == hashlib.sha256(content).hexdigest()
    assert item["created_at"] < item["url_expires_at"] < item["expires_at"]

    answer = house.ask("GET", f"/api/attachments/{item['id']}/content", house.bearer)
    assert (answer.status, answer.body) == (200, content)
    assert house.ask("GET", item["url"]).body == content
    assert house.ask("GET", item["delivery_url"].partition(".org")[2]).body == content
    assert (house.data_dir / "attachments").stat().st_mode & 0o777 == 0o700
    assert not list((house.data_dir / "attachments" / ".incoming").iterdir())


def test_several_files_come_at_once_and_each_is_judged_alone(house: Door) -> None:
    body = form(
        ("a.png", png(300)),
        ("big.png", png(MAX_BYTES + 1)),
        ("empty.txt", b""),
        ("../tool.exe", b"MZ\x90\0\3\0\0\0"),
        ("b.txt", b"hello"),
    )
    answer = upload(house, body)
    assert answer.status == 201
    assert [item["name"] for item in answer.json["items"]] == ["a.png", "b.txt"]
    refused = [(one["name"], one["code"]) for one in answer.json["refused"]]
    assert refused == [
        ("big.png", "too_large"),
        ("empty.txt", "invalid_request"),
        ("tool.exe", "unsupported_type"),
    ]
    assert all(one["detail"] for one in answer.json["refused"])


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (png(MAX_BYTES + 1), 413, "too_large"),
        (b"", 400, "invalid_request"),
        (b"MZ\x90\0\3\0\0\0", 415, "unsupported_type"),
    ],
)
def test_a_request_without_a_good_file_is_a_problem(
    house: Door, content: bytes, status: int, code: str
) -> None:
    before = blobs(house)
    answer = upload(house, form(("x.png", content)))
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert blobs(house) == before


def test_a_file_of_the_largest_size_is_kept(house: Door) -> None:
    assert uploaded(house, content=png(MAX_BYTES))["size_bytes"] == MAX_BYTES


def test_twenty_files_are_kept_and_no_more(house: Door) -> None:
    answer = upload(house, form(*((f"{number}.txt", b"x") for number in range(22))))
    assert len(answer.json["items"]) == 20
    assert [one["name"] for one in answer.json["refused"]] == ["20.txt", "21.txt"]


BROKEN = form(("a.png", png(300)))[:-8] + b"broken"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", MULTIPART["Content-Type"], 400),
        (b"nothing of the kind", MULTIPART["Content-Type"], 400),
        (form(), MULTIPART["Content-Type"], 400),
        (form(session_id="ses_1"), MULTIPART["Content-Type"], 400),
        (form(("a.png", png())), "multipart/form-data", 400),
        (form(("a.png", png())), f"multipart/form-data; boundary={'x' * 300}", 400),
        (form(("a.png", png())), "multipart/form-data; boundary=other", 400),
        (form(("a.png", png())), "application/octet-stream", 415),
        (form(("a.png", png())), "", 415),
        (BROKEN, MULTIPART["Content-Type"], 400),
        (form(("a.png", png()), other="1"), MULTIPART["Content-Type"], 400),
        (form(("a.png", png()), session_id="s" * 2_000), MULTIPART["Content-Type"], 400),
        (form(("a.png", png()), session_id="ses_none"), MULTIPART["Content-Type"], 404),
        (form(*[("a.txt", b"x")] * 150), MULTIPART["Content-Type"], 400),
        (form(("a" * 9_000, png())), MULTIPART["Content-Type"], 400),
        (form(("a.png", png())).replace(b'; name="file"', b""), MULTIPART["Content-Type"], 400),
    ],
)
def test_what_is_no_upload_is_refused_and_leaves_nothing(
    house: Door, body: bytes, content_type: str, status: int
) -> None:
    before = listed(house)
    headers = {**house.bearer, "Content-Type": content_type}
    answer = house.ask("POST", "/api/uploads", headers, body=body)
    assert answer.status == status, answer.body
    assert listed(house) == before


def test_the_session_comes_once_before_or_after_the_files(house: Door) -> None:
    early = form(("a.png", png()), session_id=session_of(house))
    file = form(("a.png", png())).removesuffix(END)
    assert upload(house, early).status == 201
    late_id = session_of(house)
    late = upload(house, file + form(session_id=late_id))
    assert [item["session_id"] for item in late.json["items"]] == [late_id]
    before = listed(house)
    assert upload(house, file + form(session_id="ses_none")).status == 404
    both = form(("a.png", png()), session_id=late_id).removesuffix(END) + form(session_id=late_id)
    assert upload(house, both).status == 400
    assert listed(house) == before


def test_a_client_that_goes_away_leaves_nothing(house: Door) -> None:
    before = listed(house)
    body = form(("a.png", png(400)), ("b.png", png(90_000)))
    with socket.create_connection(("127.0.0.1", house.port)) as client:
        head = [
            "POST /api/uploads HTTP/1.1",
            f"Host: 127.0.0.1:{house.port}",
            f"Authorization: Bearer {house.token}",
            f"Content-Type: {MULTIPART['Content-Type']}",
            f"Content-Length: {len(body)}",
        ]
        client.sendall("\r\n".join([*head, "", ""]).encode() + body[:60_000])
        while listed(house) == before:
            time.sleep(0.01)
    while listed(house) != before:
        time.sleep(0.01)


def test_only_who_is_signed_in_may_send_a_body(house: Door) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as client:
        head = [
            "POST /api/uploads HTTP/1.1",
            f"Host: 127.0.0.1:{house.port}",
            f"Content-Type: {MULTIPART['Content-Type']}",
            "Content-Length: 2000000",
        ]
        client.sendall("\r\n".join([*head, "", ""]).encode())
        assert client.recv(1_000).startswith(b"HTTP/1.1 401")


def test_the_limit_of_the_body_is_for_exactly_this_path() -> None:
    rule = body_rule(1_000_000)
    assert (rule.path, rule.any_type) == ("/api/uploads", True)
    assert 20_000_000 < rule.max_bytes < 22_000_000


def test_content_is_inert(house: Door) -> None:
    text = uploaded(house, "page.html", b"<script>alert(1)</script>")
    picture = uploaded(house, 'Käse "1".png')
    for item, shown in ((text, "attachment"), (picture, "inline")):
        for query in ("", "?disposition=inline"):
            path = f"/api/attachments/{item['id']}/content{query}"
            headers = house.ask("GET", path, house.bearer).headers
            assert headers["content-disposition"].startswith(f"{shown}; filename=")
            assert headers["content-security-policy"] == "sandbox; default-src 'none'"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["cache-control"] == "private, no-cache"
    assert headers["content-type"] == "image/png"
    assert "filename*=UTF-8''K%C3%A4se%20%221%22.png" in headers["content-disposition"]
    path = f"/api/attachments/{picture['id']}/content?disposition=attachment"
    answer = house.ask("GET", path, house.bearer)
    assert answer.headers["content-disposition"].startswith("attachment; ")
    text_type = house.ask("GET", text["url"]).headers["content-type"]
    assert text_type.startswith("text/plain")


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=10-19", 206, slice(10, 20)),
        ("bytes=990-", 206, slice(990, 1_000)),
        ("bytes=990-5000", 206, slice(990, 1_000)),
        ("bytes=-10", 206, slice(990, 1_000)),
        ("bytes=-5000", 206, slice(0, 1_000)),
        ("BYTES=1-2", 206, slice(1, 3)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("bytes=5-2", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("bytes=a-b", 200, slice(None)),
        ("lines=0-1", 200, slice(None)),
        ("bytes=1000-", 416, None),
        ("bytes=99999999999999999-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_one_range_is_given_and_several_are_the_whole(
    house: Door, asked: str, status: int, part: slice | None
) -> None:
    content = png(1_000)
    path = f"/api/attachments/{uploaded(house, content=content)['id']}/content"
    answer = house.ask("GET", path, {**house.bearer, "Range": asked})
    assert answer.status == status
    if part is None:
        assert answer.headers["content-range"] == "bytes */1000"
        assert answer.json["code"] == "range_not_satisfiable"
        return
    assert answer.body == content[part]
    assert answer.headers["content-length"] == str(len(content[part]))
    assert answer.headers["accept-ranges"] == "bytes"
    if status == 206:
        first, last = part.start, part.stop - 1
        assert answer.headers["content-range"] == f"bytes {first}-{last}/1000"


def test_what_the_client_has_is_not_sent_again(house: Door) -> None:
    item = uploaded(house, content=png(1_000))
    path = f"/api/attachments/{item['id']}/content"
    etag = f'"{item["sha256"]}"'

    def asked(**headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return house.ask("GET", path, {**house.bearer, **named})

    for tag in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = asked(If_None_Match=tag, Range="bytes=0-1")
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == etag
    assert asked(If_None_Match='"other"').status == 200
    assert asked(Range="bytes=0-1", If_Range=etag).status == 206
    for changed in ('"other"', f"W/{etag}", "Fri, 20 Nov 2026 10:00:00 GMT"):
        assert asked(Range="bytes=0-1", If_Range=changed).status == 200
    head = house.ask("HEAD", path, {**house.bearer, "Range": "bytes=0-1"})
    assert (head.status, head.headers["content-length"], head.body) == (200, "1000", b"")
    assert head.headers["content-type"] == "image/png"


def test_a_signed_address_opens_one_file_for_reading_and_nothing_else(house: Door) -> None:
    item, other = uploaded(house), uploaded(house, content=png(300))
    url = item["url"]
    path, _, query = url.partition("?")
    assert house.ask("GET", url).body == png()
    assert house.ask("HEAD", url).status == 200
    tampered = query.replace("signature=", "signature=A")
    later = re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", query)
    for wrong in (
        f"{path}?{tampered}",
        f"{path}?{later}",
        f"{path}?{query.replace('inline', 'attachment')}",
        f"/api/attachments/{other['id']}/content?{query}",
    ):
        answer = house.ask("GET", wrong)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert house.ask("GET", wrong, house.bearer).status == 200
    for method, wrong in (
        ("GET", path),
        ("GET", f"{path}?{query}&{query}"),
        ("GET", f"{path}?{query}{'&more=1' * 30}"),
        ("GET", f"{path}?{query.partition('&')[2]}"),
        ("GET", f"{path}?{re.sub('expires=[0-9]+', 'expires=soon', query)}"),
        ("GET", f"/api/attachments/{item['id']}?{query}"),
        ("GET", f"/api/attachments?{query}"),
        ("GET", f"/api/uploads/{item['id']}/content?{query}"),
        ("DELETE", f"/api/attachments/{item['id']}?{query}"),
        ("POST", url),
        ("PUT", url),
        ("OPTIONS", url),
    ):
        assert house.ask(method, wrong).status == 401, (method, wrong)


def test_an_address_that_ended_is_refused_and_the_owner_gets_a_new_one(house: Door) -> None:
    item = uploaded(house)
    signer = ContentSigner(signing_key(house.data_dir), clock=lambda: time.time() - 7_200)
    ended = signer.path(item["id"], life_s=3_600, disposition="inline")
    answer = house.ask("GET", ended)
    assert answer.status == 403
    assert "expired" in answer.json["detail"]
    cookie = {"Cookie": house.sign_in().cookie}
    assert house.ask("GET", ended, cookie).body == png()
    fresh = house.ask("GET", f"/api/attachments/{item['id']}", cookie).json
    assert house.ask("GET", fresh["url"]).body == png()


def test_unknown_and_deleted_files_are_not_there(house: Door) -> None:
    item = uploaded(house)
    path = f"/api/attachments/{item['id']}"
    assert house.ask("DELETE", path, house.bearer).status == 204
    for method, gone in (
        ("DELETE", path),
        ("GET", path),
        ("GET", f"{path}/content"),
        ("GET", "/api/attachments/att_none"),
        ("GET", "/api/attachments/att_none/content"),
        ("DELETE", "/api/attachments/att_none"),
        ("GET", "/api/attachments?session_id=ses_none"),
        ("GET", "/api/attachments?cursor=x"),
    ):
        assert house.ask(method, gone, house.bearer).status == 404, gone
    assert house.ask("GET", item["url"]).status == 404
    assert house.ask("HEAD", f"{path}/content", house.bearer).status == 404


def test_a_file_whose_bytes_are_gone_says_so(house: Door) -> None:
    item = uploaded(house)
    next((house.data_dir / "attachments").glob(f"*/{item['id']}")).unlink()
    answer = house.ask("GET", f"/api/attachments/{item['id']}/content", house.bearer)
    assert (answer.status, answer.json["code"]) == (404, "blob_not_found")


def test_the_old_address_of_uploads_is_gone(house: Door) -> None:
    item = uploaded(house)
    answer = house.ask("GET", f"/api/uploads/{item['id']}/content", house.bearer)
    assert (answer.status, answer.json["code"]) == (410, "gone")
    assert f"/api/attachments/{item['id']}/content" in answer.json["detail"]


def test_the_list_has_all_pages_and_those_of_a_session(house: Door) -> None:
    session_id = session_of(house)
    made = [uploaded(house, session_id=session_id)["id"] for _ in range(3)]
    path = f"/api/attachments?session_id={session_id}&limit=2"
    first = house.ask("GET", path, house.bearer).json
    second = house.ask("GET", f"{path}&cursor={first['next_cursor']}", house.bearer).json
    ids = [item["id"] for page in (first, second) for item in page["items"]]
    assert (ids, second["next_cursor"]) == (made[::-1], None)
    assert house.ask("GET", first["items"][0]["url"]).status == 200


def test_deleting_a_session_deletes_its_files(house: Door) -> None:
    session_id = session_of(house)
    item = uploaded(house, session_id=session_id)
    assert house.ask("DELETE", f"/api/sessions/{session_id}", house.bearer).status == 204
    assert house.ask("GET", f"/api/attachments/{item['id']}", house.bearer).status == 404
    while item["id"] in blobs(house):
        time.sleep(0.01)


def test_a_server_takes_and_gives_files_by_id_and_no_more(house: Door) -> None:
    server = token_of(house, "mail")
    answer = upload(house, form(("a.png", png())), server)
    assert answer.status == 201
    item = answer.json["items"][0]
    assert item["source"] == "server"
    path = f"/api/attachments/{item['id']}"
    assert house.ask("GET", path, server).status == 200
    assert house.ask("GET", f"{path}/content", server).body == png()
    assert house.ask("HEAD", f"{path}/content", server).status == 200
    for method, forbidden in (
        ("DELETE", path),
        ("GET", "/api/attachments"),
        ("GET", "/api/uploads/att_1/content"),
        ("GET", "/api/sessions"),
        ("GET", "/api/attachments/../sessions"),
    ):
        assert house.ask(method, forbidden, server).status == 403, forbidden
    reader = {"Authorization": f"Bearer {history_token(house)}"}
    assert house.ask("GET", f"{path}/content", reader).body == png()
    assert house.ask("GET", "/api/attachments", reader).status == 200
    assert upload(house, form(("a.png", png())), reader).status == 403
    assert house.ask("DELETE", path, reader).status == 403


def history_token(house: Door) -> str:
    return (house.data_dir / "tokens" / "housekeeping.api").read_text().strip()
