"""What a call would do is told by its server, in bounds, or a sentence says why not."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain.previews import Preview, PreviewLine
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ToolDefinition
from orchestrator.errors import NotFound
from orchestrator.tools.previews import ToolPreviews
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


async def test_a_preview_is_what_the_server_says_of_these_arguments(mail: AccountServer):
    preview = await previews(mail).preview(tool(), ARGUMENTS)

    line = PreviewLine(name="To", value="bo@example.org")
    assert preview == Preview(lines=(line,), text="Dear Bo")
    assert mail.requests == [("POST", "/previews/send", {"arguments": ARGUMENTS})]


async def test_a_tool_without_previews_is_not_asked_about(mail: AccountServer):
    assert await previews(mail).preview(tool(has_preview=False), ARGUMENTS) is None
    assert mail.requests == []


async def test_a_third_party_is_not_asked(mail: AccountServer):
    asked = previews(mail, trust="third_party", token_file=None)
    preview = await asked.preview(tool(), ARGUMENTS)

    assert preview is not None
    assert preview.problem is not None
    assert mail.requests == []


async def test_what_is_told_is_cut_and_shows_all_it_holds(mail: AccountServer):
    lines = [{"name": "To\u202e\n" + "n" * 100, "value": "a\x1b[2J\nCc: b\u200b" + "v" * 400}] * 30
    told = {"lines": lines, "text": "x\u200b\ny" + "t" * 3_000}
    mail.answers.append((200, json.dumps(told).encode()))
    preview = await previews(mail).preview(tool(), ARGUMENTS)

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
        ((409, b'{"error": "The draft was changed."}'), "The draft was changed."),
        (
            (422, b'{"error": {"code": "sign_in_required", "message": "Sign in first."}}'),
            "Sign in first.",
        ),
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
    preview = await previews(mail).preview(tool(), ARGUMENTS)

    assert preview is not None
    assert (preview.lines, preview.text) == ((), None)
    assert problem in (preview.problem or "")


async def test_a_server_that_is_gone_is_a_sentence_too(mail: AccountServer):
    asked = previews(mail, url="http://127.0.0.1:9/mcp")
    preview = await asked.preview(tool(), ARGUMENTS)

    assert preview is not None
    assert "could not connect" in (preview.problem or "")
