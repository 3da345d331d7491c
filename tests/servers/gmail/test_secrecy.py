"""The server as a process of its own: nothing of mails or tokens is left in its logs and files."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from servers.kit.accounts import Accounts
from servers.kit.google.provider import GoogleProvider
from servers.kit.manifest import load_manifest
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.google import FakeGoogle
from tests.servers.kit.google.conftest import ANNA, sign_in
from tests.servers.kit.process import running_server

CANARIES = ("canary-subject", "canary-body", "canary-file", "canary-name", "canary-draft")


@asynccontextmanager
async def signed_in(data_dir: Path) -> AsyncGenerator[Accounts]:
    signs_in = load_manifest("gmail").sign_in
    assert signs_in is not None
    accounts = Accounts("gmail", signs_in, GoogleProvider)
    accounts.use_settings(KitSettings(data_dir=data_dir), SystemdSettings())
    async with accounts.opened():
        await sign_in(accounts, "read", "organise", "write")
        yield accounts


async def test_a_server_process_leaves_no_mail_and_no_token_behind(
    google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    mail = google.person(ANNA).mail.receive(
        sender="canary-name <bo@example.org>",
        subject="canary-subject",
        text="canary-body",
        files=[("canary-file.txt", "text/plain", b"canary-body")],
    )
    async with signed_in(tmp_path):
        pass
    environment = {
        **google.environment,
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_ORCHESTRATOR_URL": "http://127.0.0.1:9",
    }

    with running_server("gmail", tmp_path, environment) as server:
        async with server.client() as client:
            found = await client.call_tool("search", {"query": "subject:canary-subject"})
            assert (found.structured_content or {})["items"][0]["message_id"] == mail.id
            read = await client.call_tool("get_message", {"message_id": mail.id})
            assert (read.structured_content or {})["untrusted_body"] == "canary-body"
            google.faults.next("gmail.users.messages.get", status=400)
            await client.call_tool("get_message", {"message_id": mail.id}, raise_on_error=False)
            google.faults.next("gmail.users.drafts.create", cut=True)
            draft = {"to": ["bo@example.org"], "body_markdown": "canary-draft"}
            await client.call_tool("create_draft", draft, raise_on_error=False)

    log = await asyncio.to_thread(server.log.read_text, encoding="utf-8")
    assert log
    assert [one for one in CANARIES if one in log] == []
    tokens = [*google.oauth._access, *google.oauth._refresh, *google.oauth._codes]
    assert tokens
    assert [one for one in tokens if one in log] == []
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "config" not in path.parts]
    for path in kept:
        content = await asyncio.to_thread(path.read_bytes)
        assert [one for one in tokens if one.encode() in content] == [], path
        assert [one for one in CANARIES if one.encode() in content] == [], path
