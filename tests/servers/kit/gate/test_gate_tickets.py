"""Permission by ticket: clients that have no grant and show no form come again."""

import asyncio
import contextlib
import os
import pty
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from servers.kit.orchestrator import api_token_file
from tests.fakes.effects import EffectsServer
from tests.fakes.effects_server import NAME
from tests.fakes.orchestrator_api import TOKEN, FakeOrchestrator, running_orchestrator
from tests.processes import ROOT
from tests.servers.kit.gate.in_memory import MESSAGE, EffectsInMemory, called, error_of

# The command line of the fleet, with one server more.
PROGRAM = """
import servers.kit.cli.approvals as approvals
from servers.__main__ import main
from tests.fakes.effects_server import MANIFEST
approvals.load_manifest = lambda name: MANIFEST
raise SystemExit(main())
"""


@pytest.fixture
async def orchestrator(effects: EffectsInMemory) -> AsyncGenerator[FakeOrchestrator]:
    """An orchestrator to which the effects server belongs."""
    path = effects.data_dir / api_token_file(NAME)
    path.parent.mkdir(exist_ok=True)
    path.write_text(TOKEN, encoding="ascii")
    async with running_orchestrator() as fake:
        effects.use_settings(orchestrator_url=fake.url)
        yield fake


async def call(effects: EffectsInMemory, arguments: dict[str, Any] = MESSAGE) -> Any:
    async with effects.client() as client:
        return await called(client, "send_message", arguments)


async def test_the_same_call_has_one_ticket(effects: EffectsInMemory) -> None:
    first, second = error_of(await call(effects)), error_of(await call(effects))
    other = error_of(await call(effects, {**MESSAGE, "body": "At one?"}))

    assert first == second
    assert other["ticket_id"] != first["ticket_id"]
    assert effects.effects() == []


async def test_what_is_approved_at_the_terminal_runs_when_it_is_called_again(
    effects: EffectsInMemory,
) -> None:
    ticket = error_of(await call(effects))["ticket_id"]
    await effects.decide(ticket, approve=True, now_s=time.time())
    done = await call(effects)
    after = error_of(await call(effects))

    assert done.structured_content == {"message_id": "message to ann@example.org"}
    assert len(effects.effects()) == 1
    [row] = await effects.audit()
    assert (row["decision"], row["decided_by"]) == ("approved", "terminal")
    assert after["code"] == "approval_required"
    assert after["ticket_id"] != ticket


async def test_concurrent_repeats_of_an_approved_call_run_once(effects: EffectsInMemory) -> None:
    ticket = error_of(await call(effects))["ticket_id"]
    await effects.decide(ticket, approve=True, now_s=time.time())
    async with effects.client() as client, asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(called(client, "send_message", MESSAGE))

    assert len(effects.effects()) == 1


async def test_what_is_denied_is_told_once(effects: EffectsInMemory) -> None:
    ticket = error_of(await call(effects))["ticket_id"]
    await effects.decide(ticket, approve=False, now_s=time.time())
    denied, after = error_of(await call(effects)), error_of(await call(effects))

    assert (denied["code"], after["code"]) == ("denied", "approval_required")
    assert [row["decision"] for row in await effects.audit()] == ["denied"]


async def test_an_owner_with_an_orchestrator_sees_it_there(
    effects: EffectsInMemory, orchestrator: FakeOrchestrator
) -> None:
    first, second = error_of(await call(effects)), error_of(await call(effects))

    [approval] = orchestrator.approvals.values()
    assert first == second
    assert first["approval_url"] == approval["url"]
    assert approval["url"] in first["message"]
    shown = {"title": "Send message", "arguments": MESSAGE, "level": 3, "undoable": False}
    assert {name: approval[name] for name in shown} == shown
    assert effects.effects() == []


async def test_a_denial_in_the_orchestrator_reaches_the_client(
    effects: EffectsInMemory, orchestrator: FakeOrchestrator
) -> None:
    await call(effects)
    [approval_id] = orchestrator.approvals
    orchestrator.decide(approval_id, "denied", "Not before noon.")
    error = error_of(await call(effects))

    assert error["code"] == "denied"
    assert "The owner says: Not before noon." in error["message"]
    [row] = await effects.audit()
    assert (row["decision"], row["decided_by"]) == ("denied", "web")


async def test_what_the_orchestrator_ran_is_told_to_the_client_once(
    effects: EffectsInMemory, orchestrator: FakeOrchestrator
) -> None:
    await call(effects)
    [approval_id] = orchestrator.approvals
    orchestrator.decide(approval_id, "approved")
    waiting = error_of(await call(effects))
    call_id = orchestrator.approvals[approval_id]["tool_call_id"]
    meta = effects.granted("send_message", MESSAGE, call_id=call_id)
    async with effects.client() as client:
        ran = await client.call_tool("send_message", MESSAGE, meta=meta)
    told, after = await call(effects), error_of(await call(effects))

    assert waiting["code"] == "approval_required"
    assert "approved and about to run" in waiting["message"]
    assert told.structured_content == ran.structured_content
    assert told.meta["flotilla/replayed"] is True
    assert after["code"] == "approval_required"
    assert len(effects.effects()) == 1
    assert [row["decided_by"] for row in await effects.audit()] == ["web"]


async def test_a_call_that_the_owner_changed_is_told_as_changed(
    effects: EffectsInMemory, orchestrator: FakeOrchestrator
) -> None:
    await call(effects)
    [approval] = orchestrator.approvals.values()
    changed = {**MESSAGE, "to": "bob@example.org"}
    meta = effects.granted("send_message", changed, call_id=approval["tool_call_id"])
    async with effects.client() as client:
        await client.call_tool("send_message", changed, meta=meta)
    told = await call(effects)

    assert told.structured_content == {"message_id": "message to bob@example.org"}
    assert told.content[0].text.startswith("The owner changed the arguments before approving")
    assert effects.effects() == [("send_message", changed)]


@pytest.mark.parametrize(
    ("state", "outcome", "code", "audited"),
    [
        ("expired", None, "approval_expired", ["expired"]),
        ("approved", {"status": "failed"}, "approval_expired", []),
        ("approved", {"status": "unknown"}, "outcome_unknown", []),
    ],
)
async def test_an_approval_that_came_to_nothing_is_told_once(
    effects: EffectsInMemory,
    orchestrator: FakeOrchestrator,
    state: str,
    outcome: dict[str, Any] | None,
    code: str,
    audited: list[str],
) -> None:
    first = error_of(await call(effects))
    [approval_id] = orchestrator.approvals
    orchestrator.decide(approval_id, state)
    orchestrator.approvals[approval_id]["outcome"] = outcome
    told, after = error_of(await call(effects)), error_of(await call(effects))

    assert told["code"] == code
    assert (after["code"], after["ticket_id"] != first["ticket_id"]) == ("approval_required", True)
    assert [row["decision"] for row in await effects.audit()] == audited
    assert effects.effects() == []


@pytest.mark.parametrize("fault", ["away", "no token", "wrong token", "nonsense"])
async def test_an_orchestrator_that_cannot_be_asked_leaves_the_terminal(
    effects: EffectsInMemory, orchestrator: FakeOrchestrator, fault: str
) -> None:
    token = effects.data_dir / api_token_file(NAME)
    if fault == "away":
        effects.use_settings()
    elif fault == "no token":
        token.unlink()
    elif fault == "wrong token":
        token.write_text("x" * 43, encoding="ascii")
    else:
        effects.use_settings(orchestrator_url=f"{orchestrator.url}/api/sessions?")
    error = error_of(await call(effects))

    assert error["code"] == "approval_required"
    assert "approval_url" not in error
    assert "python -m servers approve effects ticket_" in error["message"]


async def test_the_command_line_is_for_persons(
    effects_process: EffectsServer,
) -> None:
    async with effects_process.client() as client:
        ticket = error_of(await called(client, "send_message", MESSAGE))["ticket_id"]
        listed = run(effects_process, "approvals", NAME)
        piped = run(effects_process, "approve", NAME, ticket)
        assert f"{ticket}: send_message, asked for by mcp" in listed.stdout
        assert "body: At noon?" in listed.stdout
        assert (piped.returncode, piped.stderr) == (
            1,
            "error: A person has to decide: run this in a terminal.\n",
        )
        refused = at_terminal(effects_process, "n\n", "approve", NAME, ticket)
        assert "Nothing was decided" in refused
        assert effects_process.effects() == []
        approved = at_terminal(effects_process, "y\n", "approve", NAME, ticket)
        assert "to: ann@example.org" in approved
        assert "It cannot be undone." in approved
        assert "Approved: it runs when" in approved
        assert not (await called(client, "send_message", MESSAGE)).is_error
    assert len(effects_process.effects()) == 1
    assert run(effects_process, "approvals", NAME).stdout == "Nothing waits for you.\n"


def run(server: EffectsServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, "FLOTILLA_DATA_DIR": str(server.data_dir)},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )


def at_terminal(server: EffectsServer, typed: str, *arguments: str) -> str:
    """What a person sees who types `typed` at the question."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, "FLOTILLA_DATA_DIR": str(server.data_dir)},
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
