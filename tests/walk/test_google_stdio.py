"""Gmail in Claude Desktop: the program that its README configures, without an orchestrator.

The client speaks the wire itself: it is of the older era, and can neither ask nor open anything.
"""

import asyncio
import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import clicked
from tests.google_house import ANNA, files_under, secrets_of
from tests.processes import ROOT

WORD = "kanarienvogel"
PDF = b"%PDF-1.7 an invoice over 120 EUR"
KEEPS_MAIL = re.compile(r"data/servers/gmail/(gate\.db|files/)")
"""By design: the journal of what was done, and the attachment that was saved."""
LINE_BYTES = 1024 * 1024
ANSWER_S = 20


@dataclass
class Desktop:
    """A running Claude Desktop: it starts the server in no folder of ours, and calls its tools."""

    folder: Path
    environment: Mapping[str, str]
    server: Process
    said: list[str] = field(default_factory=list[str])
    """All that the server wrote to its output."""
    _requests: int = 0

    async def request(self, method: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        self._requests += 1
        await self._write({"id": self._requests, "method": method, "params": parameters})
        while True:
            answer = await self._read()
            if answer.get("id") == self._requests:
                assert "result" in answer, answer
                return answer["result"]
            # Nothing is asked of a client that can do nothing.
            assert "id" not in answer, answer

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        return await self.request("tools/call", {"name": tool, "arguments": arguments})

    async def done(self, tool: str, **arguments: object) -> dict[str, Any]:
        result = await self.call(tool, **arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]

    async def refused(self, tool: str, **arguments: object) -> dict[str, Any]:
        result = await self.call(tool, **arguments)
        assert result["isError"], result
        return result["structuredContent"]["error"]

    async def hello(self) -> None:
        """Begin as a client does that declares no capability at all."""
        client = {"name": "claude-ai", "version": "0.1.0"}
        parameters = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        await self.request("initialize", parameters)
        await self._write({"method": "notifications/initialized"})

    async def quit(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        await asyncio.wait_for(self.server.wait(), ANSWER_S)

    async def _write(self, message: dict[str, object]) -> None:
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        await self.server.stdin.drain()

    async def _read(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        line = await asyncio.wait_for(self.server.stdout.readline(), ANSWER_S)
        assert line, (self.folder / "mcp-server-gmail.log").read_text("utf-8")
        self.said.append(line.decode())
        return json.loads(line)


@pytest.fixture
async def desktop(tmp_path: Path, google: FakeGoogle) -> AsyncIterator[Desktop]:
    """The program of the configuration in the README, in the home of somebody new."""
    configured = configuration(tmp_path)
    stand_in = {
        name: value
        for name, value in google.environment.items()
        if not name.startswith("GOOGLE_OAUTH_CLIENT_")
    }
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": os.environ["PATH"],
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        # Nobody may answer at the address of an orchestrator on this machine.
        "FLOTILLA_ORCHESTRATOR_URL": "http://127.0.0.1:9",
        **stand_in,
        **configured["env"],
    }
    for name in ("home", "data", "downloads"):
        (tmp_path / name).mkdir()
    oauth = google.oauth
    client = {
        "client_id": oauth.client_id,
        "client_secret": oauth.client_secret,
        "auth_uri": environment["GOOGLE_OAUTH_AUTH_URI"],
        "token_uri": environment["GOOGLE_OAUTH_TOKEN_URI"],
        "redirect_uris": ["http://localhost"],
    }
    secret = Path(environment["GOOGLE_OAUTH_CLIENT_FILE"])
    secret.write_text(json.dumps({"installed": client}), encoding="ascii")
    secret.chmod(0o600)
    with (tmp_path / "mcp-server-gmail.log").open("wb") as errors:
        server = await asyncio.create_subprocess_exec(
            configured["command"],
            *configured["args"],
            cwd="/",
            env=environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            limit=LINE_BYTES,
        )
    client_program = Desktop(tmp_path, environment, server)
    try:
        await client_program.hello()
        yield client_program
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


@pytest.fixture
def google() -> Any:
    with FakeGoogle() as fake:
        fake.person(ANNA)
        fake.oauth.chosen = ANNA
        yield fake


def configuration(folder: Path) -> dict[str, Any]:
    """Return what the README says, with the paths of this machine."""
    readme = (ROOT / "servers" / "gmail" / "README.md").read_text(encoding="utf-8")
    [text] = [
        one for one in re.findall(r"```json\n(.*?)```", readme, re.DOTALL) if "mcpServers" in one
    ]
    for path, own in {
        "/path/to/flotilla/.venv/bin/python": sys.executable,
        "/path/to/flotilla/data": str(folder / "data"),
        "/path/to/client_secret.json": str(folder / "downloads" / "client_secret.json"),
    }.items():
        assert text.count(path) == 1, path
        text = text.replace(path, own)
    assert "/path/to" not in text
    return json.loads(text)["mcpServers"]["gmail"]


async def test_claude_desktop_signs_in_saves_and_sends_what_was_approved(
    desktop: Desktop, google: FakeGoogle
) -> None:
    mailbox = google.person(ANNA).mail
    file = ("Rechnung März.pdf", "application/pdf", PDF)
    mailbox.receive("Bo <bo@example.org>", "Invoice", f"Attached, {WORD}.", files=[file])

    to_sign_in = await desktop.refused("search", query="subject:invoice")
    assert (to_sign_in["code"], to_sign_in["reason"]) == ("sign_in_required", "no_account")
    page = await browse(to_sign_in["sign_in_url"])
    assert page == f"Signed in as {ANNA}. You can close this tab.\n"
    found = await desktop.done("search", query="subject:invoice")
    [mail] = [await desktop.done("get_message", message_id=found["items"][0]["message_id"])]
    assert WORD in mail["untrusted_body"]

    part = {"message_id": mail["message_id"], "part_id": mail["attachments"][0]["part_id"]}
    saved = await desktop.call("save_attachment", **part)
    [link] = [block for block in saved["content"] if block["type"] == "resource_link"]
    assert (link["name"], link["mimeType"]) == ("Rechnung März.pdf", "application/pdf")
    address = urlsplit(link["uri"])
    assert (address.scheme, address.netloc) == ("file", "")
    assert Path(unquote(address.path)).read_bytes() == PDF

    letter = {"to": ["bo@example.org"], "subject": "Paid", "body_markdown": f"Paid, {WORD}."}
    to_write = await desktop.refused("create_draft", **letter)
    assert (to_write["code"], to_write["reason"]) == ("sign_in_required", "scope")
    await browse(to_write["sign_in_url"])
    draft = await desktop.done("create_draft", **letter)
    sending = {name: draft[name] for name in ("draft_id", "version", "recipients")}
    sending["subject"] = draft["untrusted_subject"]

    to_approve = await desktop.refused("send_draft", **sending)
    assert to_approve["code"] == "approval_required"
    [command] = re.findall(r"python -m (servers approve gmail \S+\w)", to_approve["message"])
    assert command.endswith(to_approve["ticket_id"])
    assert google.sent == []
    shown = await asyncio.to_thread(at_terminal, desktop, command, "y\n")
    assert "To: bo@example.org" in shown
    assert f"Paid, {WORD}." in shown
    assert google.sent == []
    sent = await desktop.done("send_draft", **sending)
    again = await desktop.call("send_draft", **sending)
    await desktop.quit()

    assert again["isError"]
    assert "list_drafts says which there are" in again["content"][0]["text"]
    [out] = google.sent
    assert (out.id, out.recipients, out.subject) == (sent["message_id"], ["bo@example.org"], "Paid")
    key = desktop.folder / "home" / ".config" / "flotilla" / "vault.key"
    assert key.stat().st_mode & 0o077 == 0
    nothing_is_left_behind(desktop, google, shown)


def nothing_is_left_behind(desktop: Desktop, google: FakeGoogle, shown: str) -> None:
    """Search all that was printed or kept; only the person's own client id is left out."""
    secrets = secrets_of(google)
    # Two sign-ins: codes, verifiers and tokens of each, and the secret of the client.
    assert len(secrets) >= 9
    told = {"output": "".join(desktop.said), "terminal": shown}
    left = files_under(desktop.folder) | told
    del left["downloads/client_secret.json"]
    assert " DEBUG " in left["mcp-server-gmail.log"]
    assert WORD in left["data/servers/gmail/gate.db (rows)"]
    for name, content in left.items():
        assert [one for one in secrets if one in content] == [], name
        if name not in told and not KEEPS_MAIL.match(name):
            assert WORD not in content, name


async def browse(url: str) -> str:
    """Return the page at which somebody ends who opens an address and consents."""
    page = await asyncio.to_thread(clicked, url)
    assert page.status_code == 200, page.text
    return page.text


def at_terminal(desktop: Desktop, command: str, typed: str) -> str:
    """Return what a person sees who runs `python -m COMMAND` and types something."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", *command.split()],
        cwd=ROOT,
        env=desktop.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        os.write(ours, typed.encode())
        seen = b""
        # The end of the program is an error of the terminal's other side (Linux) or no bytes.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 4096):
                seen += piece
    os.close(ours)
    return seen.decode()
