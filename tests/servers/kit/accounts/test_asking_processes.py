"""A person at a client signs in in the middle of a call, and the same call goes on."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from servers.kit.client_tokens import Scope, add_client_token, client_tokens_file
from servers.kit.gate import audit
from servers.kit.gate.ledger import Ledger, ledger_file
from tests.fakes.effects_server import NAME
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA, SignInServer, clicked, running_sign_in
from tests.servers.kit.accounts.errands import SENT, Person, made
from tests.servers.kit.raw import raw_request

Mode = Literal["auto", "legacy"]
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


async def chain(server: SignInServer) -> tuple[list[dict[str, Any]], int | None]:
    async with Ledger(server.data_dir / ledger_file(NAME)) as ledger:
        rows = await ledger.read(audit.rows_after, 0, 100)
        return rows, await ledger.read(audit.first_broken)


@pytest.mark.parametrize("transport", ["http", "stdio"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_goes_on_by_itself_after_the_sign_in(
    tmp_path: Path, google: FakeGoogle, mode: Mode, transport: str
) -> None:
    person = Person()
    with running_sign_in(tmp_path, google) as server:
        make = server.client if transport == "http" else server.stdio_client
        async with make(mode, elicitation_handler=person) as client:
            read = await made(client, "read_errand", {"errand": "milk"})
            first = await made(client, "send_errand", SENT)
            # Its tokens look good to the server until Google says otherwise, in mid-call.
            google.oauth.revoke(ANNA)
            second = await made(client, "send_errand", SENT, call_id="call_2")
            again = await made(client, "send_errand", SENT, call_id="call_2")

    assert [read["errand"], first["errand"], second["errand"]] == ["milk", "Buy milk", "Buy milk"]
    assert again == second
    # To read; to write as well, before anybody is asked to approve; and after the approval.
    assert person.asked == ["url", "url", "form", "form", "url"]
    assert person.read[0] == (
        "Errands: Nobody has signed in to Google yet. This takes a sign-in that lets the server"
        " read your errands."
    )
    assert [effect.tool for effect in server.effects()] == ["send_errand"] * 2
    rows, broken = await chain(server)
    assert [(row["decided_by"], row["outcome"]) for row in rows] == [("elicitation", "done")] * 2
    assert rows[1]["call_id"] == "call_2"
    assert broken is None


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_cannot_ask_is_told_where_to_sign_in(
    tmp_path: Path, google: FakeGoogle, mode: Mode
) -> None:
    with running_sign_in(tmp_path, google) as server:
        async with server.client(mode) as client:
            refused = (await made(client, "add_errand", {"errand": "milk"}, call_id="c1"))["error"]
            again = (await made(client, "add_errand", {"errand": "milk"}, call_id="c1"))["error"]
            page = await asyncio.to_thread(clicked, refused["sign_in_url"])
            done = await made(client, "add_errand", {"errand": "milk"}, call_id="c1")
        log = server.log.read_text(encoding="utf-8")

    url = refused.pop("sign_in_url")
    assert again["sign_in_url"] == url
    assert refused == {
        "code": "sign_in_required",
        "message": "Nobody has signed in to Google yet. This takes a sign-in that lets the server"
        f" change your errands. Nothing was done. Sign in at {url} and make exactly this call"
        " again then.",
        "server": "effects",
        "provider": "Google",
        "account": None,
        "capability": "write",
        "reason": "no_account",
    }
    assert (page.status_code, page.text) == (
        200,
        "Signed in as anna@example.org. You can close this tab.\n",
    )
    assert done["errand"] == "milk"
    assert [effect.tool for effect in server.effects()] == ["add_errand"]
    for secret in (dict(page.url.params)["code"], dict(page.url.params)["state"]):
        assert secret not in log


async def test_a_client_that_only_shows_forms_is_not_sent_anywhere(
    tmp_path: Path, google: FakeGoogle
) -> None:
    with running_sign_in(tmp_path, google) as server:
        request = raw_request(
            "tools/call",
            "send_errand",
            SENT,
            {"Authorization": f"Bearer {server.token}"},
        )
        request["json"]["params"]["_meta"][CAPABILITIES] = {"elicitation": {"form": {}}}
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = (await http.post(server.url, **request)).json()["result"]

    error = answer["structuredContent"]["error"]
    assert error["code"] == "sign_in_required"
    assert error["sign_in_url"].startswith(google.environment["GOOGLE_OAUTH_AUTH_URI"])
    assert server.effects() == []


async def test_a_token_for_reading_signs_in_for_reading_only(
    tmp_path: Path, google: FakeGoogle
) -> None:
    person = Person()
    with running_sign_in(tmp_path, google) as server:
        file = server.data_dir / client_tokens_file(NAME)
        texts: dict[Scope, str] = {}
        for scope in ("read", "full"):
            texts[scope] = add_client_token(file, name=scope, scope=scope)[1]
        transport = StreamableHttpTransport(server.url, auth=texts["read"])
        async with Client(transport, elicitation_handler=person) as client:
            refused = await made(client, "add_errand", {"errand": "milk"})
            asked_before = list(person.asked)
            read = await made(client, "read_errand", {"errand": "milk"})
        answers = [
            server.ask(method, path, token=text).status_code
            for text in texts.values()
            for method, path in (
                ("GET", "/accounts"),
                ("POST", "/accounts/sign-ins"),
                ("POST", "/accounts/sign-ins/complete"),
                ("PATCH", f"/accounts/{ANNA}"),
                ("DELETE", f"/accounts/{ANNA}"),
            )
        ]

    assert refused["error"]["code"] == "read_only_token"
    assert asked_before == []
    assert read["account"].lower() == ANNA
    assert person.asked == ["url"]
    assert answers == [403] * 10
