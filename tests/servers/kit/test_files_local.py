"""Files a server keeps itself, by HTTP and stdio, in real processes."""

import errno
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import httpx2
import pytest

from servers.kit.errors import NotAllowed, Unavailable
from servers.kit.files import links
from servers.kit.files.local import ABANDONED_S, LIFE_S, LocalFiles, files_folder
from servers.kit.gate.grants import grant_key
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.files_server import NAME
from tests.servers.kit.files_process import (
    called,
    kept_in,
    kill_in_the_middle,
    refusal,
    resident_bytes,
    running_files,
    stdio_client,
)
from tests.servers.kit.process import ServerProcess
from tests.servers.kit.raw import raw_request

MEGABYTES = 64
MAX_GROWTH_BYTES = 32 * 1024 * 1024
GROUP_AND_OTHERS = 0o077


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Generator[ServerProcess]:
    with running_files(data_dir) as running:
        yield running


async def saved_url(server: ServerProcess, name: str = "note.txt", text: str = "Größe") -> str:
    async with server.client() as client:
        link = (await called(client, "save_text", name=name, text=text))["link"]
    return link.uri


def fetch(url: str, method: str = "GET", **headers: str) -> httpx2.Response:
    with httpx2.Client(verify=False, trust_env=False) as http:
        return http.request(method, url, headers=headers)


async def test_a_saved_file_comes_back_by_its_link_without_a_token(server: ServerProcess) -> None:
    async with server.client() as client:
        kept = await called(client, "save_text", name="note.txt", text="Größe")
    link = kept["link"]
    answer = fetch(link.uri)

    assert re.fullmatch("file_[0-9a-f]{26}", kept["attachment_id"])
    assert (link.name, link.mime_type, link.size) == ("note.txt", "text/plain", 7)
    assert link.meta == {"flotilla/attachment_id": kept["attachment_id"]}
    assert link.uri.startswith(f"{server.origin}/files/{kept['attachment_id']}?expires=")
    assert (answer.status_code, answer.text) == (200, "Größe")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="note.txt"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_a_link_takes_ranges_and_head(server: ServerProcess) -> None:
    url = await saved_url(server, text="0123456789")

    part = fetch(url, Range="bytes=3-5")
    head = fetch(url, "HEAD")

    assert (part.status_code, part.text) == (206, "345")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == "10"


async def test_the_token_opens_a_file_after_its_link_expired(server: ServerProcess) -> None:
    url = (await saved_url(server)).partition("?")[0]

    assert fetch(url, Authorization=f"Bearer {server.token}").text == "Größe"
    assert fetch(url, Authorization="Bearer wrong").status_code == 401
    assert fetch(url).status_code == 403


async def test_a_link_of_another_file_method_or_time_is_refused(
    server: ServerProcess, data_dir: Path
) -> None:
    url = await saved_url(server)
    other = await saved_url(server)
    base, query = url.split("?")
    other_query = other.split("?")[1]
    expires = int(query.removeprefix("expires=").partition("&")[0])
    later = query.replace(str(expires), str(expires + 1))
    key = links.link_key(grant_key(NAME, KitSettings(data_dir=data_dir), SystemdSettings()))
    path = urlsplit(base).path
    expired = links.signed_path(path.rpartition("/")[2], key, time.time() - links.LIFE_S)
    refused = [
        f"{base}?{other_query}",
        f"{base}?{later}",
        f"{base}?{query}&x=1",
        f"{base}?{query[:-1]}",
        f"{base}?{query.upper()}",
        f"{base}?expires={expires}",
        f"{server.origin}{expired}",
    ]

    assert expires <= time.time() + links.LIFE_S
    assert [fetch(each).status_code for each in refused] == [403] * len(refused)
    assert [fetch(url, method).status_code for method in ("POST", "PUT", "DELETE")] == [403] * 3
    assert fetch(url).status_code == 200


async def test_behind_a_tls_proxy_the_link_is_that_of_the_proxy(server: ServerProcess) -> None:
    headers = {
        "Authorization": f"Bearer {server.token}",
        "Host": "localhost:8443",
        "X-Forwarded-Proto": "https",
    }
    request = raw_request("tools/call", "save_text", {"name": "x", "text": "x"}, headers)
    async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
        answer = await http.post(server.url, **request)

    (link,) = (each for each in answer.json()["result"]["content"] if "uri" in each)
    assert link["uri"].startswith("https://localhost:8443/files/file_")


async def test_a_server_that_keeps_no_file_makes_no_folder(tmp_path: Path) -> None:
    with running_files(tmp_path) as server:
        async with server.client() as client:
            await client.list_tools()

    assert not (tmp_path / files_folder(NAME)).exists()


async def test_a_link_keeps_the_checks_of_host_and_origin(server: ServerProcess) -> None:
    url = await saved_url(server)

    assert fetch(url, Host="evil.example").status_code == 421
    assert fetch(url, Origin="https://evil.example").status_code == 403


@pytest.mark.parametrize("path", ["/files/", "/files/..%2fgate.db", "/files/file_x", "/files/a/b"])
def test_nothing_else_can_be_fetched(server: ServerProcess, path: str) -> None:
    answer = fetch(f"{server.origin}{path}", Authorization=f"Bearer {server.token}")

    assert answer.status_code == 404
    assert fetch(f"{server.origin}{path}").status_code in (403, 404)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\plan.pdf", "plan.pdf"),
        ("re\u202efdp.exe", "refdp.exe"),
        ("a\x00b\r\nSet-Cookie: x\t.txt", "ab Set-Cookie: x .txt"),
        ('say "no".txt', "say 'no'.txt"),
        ("..", "file"),
        ("", "file"),
        ("Grüße 🚢.txt", "Grüße 🚢.txt"),
        ("x" * 400 + ".txt", "x" * 196 + ".txt"),
    ],
)
async def test_names_are_cleaned(server: ServerProcess, given: str, kept: str) -> None:
    async with server.client() as client:
        result = await called(client, "save_text", name=given, text="x")
    disposition = fetch(result["link"].uri).headers["Content-Disposition"]

    assert result["name"] == kept
    assert kept in unquote(disposition)


async def test_files_are_for_their_owner_only(server: ServerProcess, data_dir: Path) -> None:
    await saved_url(server)
    folder = data_dir / files_folder(NAME)

    assert [path for path in folder.rglob("*") if path.stat().st_mode & GROUP_AND_OTHERS] == []
    assert folder.stat().st_mode & GROUP_AND_OTHERS == 0


async def test_a_file_is_read_copied_and_read_from_the_middle(server: ServerProcess) -> None:
    async with server.client() as client:
        first = await called(client, "save_text", name="a.txt", text="0123456789")
        copy = await called(client, "copy_file", attachment_id=first["attachment_id"], name="b.txt")
        whole = await called(client, "fetch_file", attachment_id=copy["attachment_id"])
        part = await called(client, "fetch_file", attachment_id=copy["attachment_id"], start=7)
        beyond = await refusal(client, "fetch_file", attachment_id=copy["attachment_id"], start=11)

    assert copy["attachment_id"] != first["attachment_id"]
    assert whole["sha256"] == hashlib.sha256(b"0123456789").hexdigest()
    assert part["sha256"] == hashlib.sha256(b"789").hexdigest()
    assert beyond == "start is 11: use 0 to 10, the file's size."


@pytest.mark.parametrize(
    ("attachment_id", "sentence"),
    [
        ("file_" + "0" * 26, "There is no file 'file_"),
        ("file_../../gate.db", "There is no file 'file_"),
        ("att_1", "This file is kept by an orchestrator, and this server belongs to none"),
        ("/etc/passwd", "There is no attachment_id '/etc/passwd': they begin with att_ or file_."),
    ],
)
async def test_a_file_that_is_not_there_is_told(
    server: ServerProcess, attachment_id: str, sentence: str
) -> None:
    async with server.client() as client:
        assert (await refusal(client, "fetch_file", attachment_id=attachment_id)).startswith(
            sentence
        )


async def test_a_source_that_breaks_leaves_nothing(server: ServerProcess, data_dir: Path) -> None:
    before = kept_in(data_dir)
    async with server.client() as client:
        assert await refusal(client, "break_upload", name="x") == "The source broke off."

    assert kept_in(data_dir) == before


async def test_a_large_file_passes_through_little_memory(tmp_path: Path) -> None:
    with running_files(tmp_path) as server:
        async with server.client() as client:
            small = await called(client, "make_report", name="s.bin", megabytes=1)
            await called(client, "fetch_file", attachment_id=small["attachment_id"])
            fetch(small["link"].uri)
            before = resident_bytes(server)
            large = await called(client, "make_report", name="l.bin", megabytes=MEGABYTES)
            read = await called(client, "fetch_file", attachment_id=large["attachment_id"])
        fetched = fetch(large["link"].uri)
        grown = resident_bytes(server) - before

    assert large["size_bytes"] == read["size_bytes"] == len(fetched.content) == MEGABYTES << 20
    assert hashlib.sha256(fetched.content).hexdigest() == read["sha256"]
    assert grown < MAX_GROWTH_BYTES


async def test_a_kill_in_the_middle_leaves_no_file_and_its_rest_is_swept(tmp_path: Path) -> None:
    incoming = tmp_path / files_folder(NAME) / ".incoming"
    with running_files(tmp_path) as server:
        await kill_in_the_middle(server)
    (rest,) = kept_in(tmp_path)
    long_ago = time.time() - ABANDONED_S - 60
    for path in (*(incoming / rest).iterdir(), incoming / rest):
        os.utime(path, (long_ago, long_ago))

    with running_files(tmp_path) as server:
        async with server.client() as client:
            lost = await refusal(client, "fetch_file", attachment_id=rest)
            kept = await called(client, "save_text", name="x", text="x")

    assert lost.startswith("There is no file")
    assert kept_in(tmp_path) == [kept["attachment_id"]]


async def test_files_are_deleted_after_a_week(tmp_path: Path) -> None:
    async with stdio_client(tmp_path) as client:
        old = await called(client, "save_text", name="old", text="x")
        young = await called(client, "save_text", name="young", text="x")
    for kept, age_s in ((old, LIFE_S + 60), (young, LIFE_S - 60)):
        folder = tmp_path / files_folder(NAME) / kept["attachment_id"]
        for path in (*folder.iterdir(), folder):
            os.utime(path, (time.time() - age_s, time.time() - age_s))

    async with stdio_client(tmp_path) as client:
        new = await called(client, "save_text", name="new", text="x")

    assert kept_in(tmp_path) == sorted([young["attachment_id"], new["attachment_id"]])


async def test_over_stdio_the_link_is_the_file_on_this_machine(tmp_path: Path) -> None:
    async with stdio_client(tmp_path) as client:
        kept = await called(client, "save_text", name="Plan für heute.TXT", text="Größe")
    parts = urlsplit(kept["link"].uri)
    path = Path(url2pathname(parts.path))

    assert parts.scheme == "file"
    assert path.name == "content.txt"
    assert path.read_text(encoding="utf-8") == "Größe"


async def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    folder = tmp_path / "files"
    files = LocalFiles(folder, lambda attachment_id, path: path.as_uri())
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(Unavailable, match="The disk is full, so that the file was not kept"):
        await files.save("x", "text/plain", chunks())

    assert list(folder.rglob("file_*")) == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    (tmp_path / "files").touch()
    files = LocalFiles(tmp_path / "files", lambda attachment_id, path: path.as_uri())

    with pytest.raises(NotAllowed, match="check the folder and its owner"):
        await files.save("x", "text/plain", chunks())
