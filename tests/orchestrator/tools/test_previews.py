"""What a call would do is told by its server, in bounds, or a sentence says why not."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain.previews import Preview, PreviewLine
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ToolDefinition, ToolResult
from orchestrator.errors import NotFound
from orchestrator.tools.previews import Told, ToolPreviews
from orchestrator.tools.side_requests import SideRequests
from tests.fakes.account_server import TOKEN, AccountServer, running_accounts

ARGUMENTS = {"to": "bo@example.org"}


@pytest.fixture
def mail() -> Iterator[AccountServer]:
    with running_accounts(AccountServer("mail")) as server:
        yield server


def tool(name: str = "send", *, has_preview: bool = True) -> ToolDefinition:
    return ToolDefinition(
        qualified_name=f"mail__{name}",
        server="mail",
        name=name,
        title="Send",
        description="",
        input_schema={},
        read_only=False,
        idempotent=False,
        has_preview=has_preview,
    )


def previews(mail: AccountServer, **changes: Any) -> ToolPreviews:
    config = ServerConfig(**mail.document(**changes))

    def configured(server: str) -> ServerConfig:
        if server != config.id:
            raise NotFound(f"There is no server {server!r}.")
        return config

    requests = SideRequests(lambda _: TOKEN, ssl.create_default_context())
    return ToolPreviews(requests, configured)


async def shown(previews: ToolPreviews) -> Preview | None:
    told = await previews.tell(tool(), ARGUMENTS)
    assert isinstance(told, Told), told
    return told.preview


async def test_a_preview_is_what_the_server_says_of_these_arguments(mail: AccountServer):
    preview = await shown(previews(mail))

    line = PreviewLine(name="To", value="bo@example.org")
    assert preview == Preview(lines=(line,), text="Dear Bo")
    assert mail.requests == [("POST", "/previews/send", {"arguments": ARGUMENTS})]


async def test_a_tool_without_previews_is_not_asked_about(mail: AccountServer):
    assert await previews(mail).tell(tool(has_preview=False), ARGUMENTS) == Told()
    assert mail.requests == []


async def test_a_third_party_is_not_asked(mail: AccountServer):
    asked = previews(mail, trust="third_party", token_file=None)
    preview = await shown(asked)

    assert preview is not None
    assert preview.problem is not None
    assert mail.requests == []


async def test_what_is_told_is_cut_and_shows_all_it_holds(mail: AccountServer):
    lines = [{"name": "To\u202e\n" + "n" * 100, "value": "a\x1b[2J\nCc: b\u200b" + "v" * 400}] * 30
    told = {"lines": lines, "text": "x\u200b\ny" + "t" * 3_000}
    mail.answers.append((200, json.dumps(told).encode()))
    preview = await shown(previews(mail))

    assert preview is not None
    assert preview.text is not None
    assert (len(preview.lines), len(preview.text)) == (20, 2_000)
    assert preview.text.startswith("x\nyt")
    first = preview.lines[0]
    assert (len(first.name), len(first.value)) == (80, 300)
    assert first.name.startswith("To n")
    assert first.value.startswith("a Cc: bv"), "one line stays one line"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((502, b'{"error": "The shelf is away."}'), "The shelf is away."),
        ((200, b'{"account": "two words"}'), "does not have its form"),
        ((404, b'{"error": "There is nothing here."}'), "There is nothing here."),
        ((500, b"crashed"), "cannot be asked now: it answered with HTTP 500"),
        ((302, b""), "gave no usable answer"),
        ((401, b""), "did not accept the token"),
        ((200, b"[]"), "does not have its form"),
        ((200, b'{"lines": [{"name": 1, "value": 2}]}'), "does not have its form"),
        ((200, b'{"text": "' + b"t" * 70_000 + b'"}'), "larger than 65536 bytes"),
    ],
)
async def test_a_preview_that_cannot_be_had_is_a_sentence(
    mail: AccountServer, answer: tuple[int, bytes], problem: str
):
    mail.answers.append(answer)
    preview = await shown(previews(mail))

    assert preview is not None
    assert (preview.lines, preview.text) == ((), None)
    assert problem in (preview.problem or "")


async def test_a_server_that_is_gone_is_a_sentence_too(mail: AccountServer):
    asked = previews(mail, url="http://127.0.0.1:9/mcp")
    preview = await shown(asked)

    assert preview is not None
    assert "could not connect" in (preview.problem or "")


@pytest.mark.parametrize(
    ("body", "account"),
    [
        (b'{"account": "anna@example.org", "lines": [], "text": null}', "anna@example.org"),
        (b"{}", None),
    ],
)
async def test_without_lines_and_text_only_the_account_is_told(
    mail: AccountServer, body: bytes, account: str | None
):
    mail.answers.append((200, body))
    assert await previews(mail).tell(tool(), ARGUMENTS) == Told(None, account)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((409, b'{"error": "The draft was changed."}'), None),
        ((422, b'{"error": "The draft was changed."}'), None),
        (
            (409, b'{"error": {"code": "sign_in_required", "message": "The draft was changed."}}'),
            "sign_in_required",
        ),
    ],
)
async def test_a_call_that_cannot_be_made_ends_as_it_would(
    mail: AccountServer, answer: tuple[int, bytes], code: str | None
):
    mail.answers.append(answer)
    ended = await previews(mail).tell(tool(), ARGUMENTS)

    assert isinstance(ended, ToolResult)
    assert (ended.status, ended.text, ended.error_code) == ("failed", ended.error, code)
    assert ended.error == "The draft was changed."
    assert code is None or ended.structured["error"]["code"] == code
