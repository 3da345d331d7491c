"""Compares what happened with what was allowed and with what is shown."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import create_engine

from orchestrator.store import audit
from orchestrator.store.principals import ensure_owner
from tests.fakes.effects import Effect
from tests.faults.gate_clients import ChatClient, DirectCaller, RawClient, World, key_of

MAY_HAVE_RUN = frozenset({"done", "unknown", "outcome_unknown"})


@dataclass
class Report:
    """What the loop saw; all but the first block must be zero."""

    kills: Counter[str] = field(default_factory=Counter[str])
    calls: int = 0
    effects: int = 0
    unknown: int = 0
    denied: int = 0
    asked_again: int = 0

    doubled: int = 0
    wrongly_shown: int = 0
    """An effect that is shown as none or not at all, or none that is shown as done."""
    not_allowed: int = 0
    """Effects that were denied, or allowed with other arguments."""
    left_open: int = 0
    broken_chains: int = 0
    wrong_answers: int = 0
    complaints: list[str] = field(default_factory=list[str])

    @property
    def is_clean(self) -> bool:
        bad = (self.doubled, self.wrongly_shown, self.not_allowed, self.left_open)
        return not any((*bad, self.broken_chains, self.wrong_answers, self.complaints))

    def complain(self, kind: str, sentence: str, count: int = 1) -> None:
        """Add `count` to the number of that name, and say why."""
        setattr(self, kind, getattr(self, kind) + count)
        self.complaints.append(sentence)

    def table(self) -> str:
        names = [name for name in self.__dataclass_fields__ if name not in ("kills", "complaints")]
        rows = [("kills", self.kills.total()), *(("  " + k, n) for k, n in self.kills.items())]
        rows += [(name.replace("_", " "), getattr(self, name)) for name in names]
        lines = [f"{name:<28}{number:>7,}" for name, number in rows]
        return "\n".join([*lines, *self.complaints])


@dataclass
class Shown:
    """What the API and the audit trail say of the calls with one key."""

    states: dict[str, str] = field(default_factory=dict[str, str])
    """By call id, as the messages or the approvals show it."""
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    """By call id, as the server's audit trail has it."""


class Judge:
    """Reads everything once the house is at rest, and complains."""

    def __init__(self, world: World, report: Report) -> None:
        self._world = world
        self._report = report
        self._shown: defaultdict[str, Shown] = defaultdict(Shown)

    async def judge(
        self, chats: list[ChatClient], programs: Sequence[DirectCaller | RawClient]
    ) -> None:
        """Fill the report."""
        await self._read_messages(chats)
        await self._read_approvals()
        await self._read_server_audit()
        happened: defaultdict[str, list[Effect]] = defaultdict(list)
        for effect in self._world.house.effects.effects():
            happened[key_of(effect.arguments)].append(effect)
        for key in happened.keys() | self._shown.keys():
            self._judge_key(key, happened[key])
        self._judge_answers(programs, happened)
        report = self._report
        asked = sum(chat.count_calls() for chat in chats)
        report.calls = asked + sum(len(program.answers) for program in programs)
        report.effects = sum(map(len, happened.values()))
        report.asked_again = self._world.asked_again
        report.denied = len(self._world.denied)
        report.wrong_answers = len(self._world.wrong_answers)
        report.complaints += self._world.wrong_answers[:20]

    def judge_files(self) -> None:
        """Look into the databases, once nobody has them open."""
        path = self._world.house.installation.data_dir / "chat_sessions.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as conn:
            owner = ensure_owner(conn)
            if (row := audit.first_broken_row(conn, owner.id)) is not None:
                self._report.complain("broken_chains", f"the orchestrator's audit breaks at {row}")
        engine.dispose()
        with closing(sqlite3.connect(path)) as conn:
            (left,) = conn.execute(
                "SELECT (SELECT count(*) FROM turns WHERE state = 'running')"
                " + (SELECT count(*) FROM tool_calls WHERE state IN ('planned', 'started'))"
                " + (SELECT count(*) FROM approvals WHERE state = 'approved'"
                "    AND origin <> 'turn' AND outcome IS NULL)"
            ).fetchone()
        if left:
            self._report.complain(
                "left_open", f"{left} turns, calls or approvals are left open", left
            )

    async def _read_messages(self, chats: list[ChatClient]) -> None:
        for chat in chats:
            for session_id in chat.session_ids():
                path = f"/api/sessions/{session_id}/messages?limit=500"
                response = await self._world.ask("GET", path)
                for message in response.json()["items"]:
                    if (call := message["tool_call"]) is not None:
                        self._note(call["arguments"], call["tool_call_id"], call["state"])

    async def _read_approvals(self) -> None:
        cursor = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = (await self._world.ask("GET", f"/api/approvals?limit=200{more}")).json()
            for approval in page["items"]:
                state = approval["state"]
                if approval["origin"] != "turn":
                    if state == "approved":
                        state = (approval["outcome"] or {"status": "no outcome"})["status"]
                    self._note(approval["arguments"], approval["tool_call_id"], state)
            cursor = page["next_cursor"]

    def _note(self, arguments: Mapping[str, Any], call_id: str, state: str) -> None:
        self._shown[key_of(dict(arguments))].states[call_id] = state
        self._report.unknown += state == "unknown"

    async def _read_server_audit(self) -> None:
        server = self._world.house.effects
        headers = {"Authorization": f"Bearer {server.token}"}
        keys = {call_id: key for key, shown in self._shown.items() for call_id in shown.states}
        position = 0
        while True:
            url = f"{server.origin}/audit?after={position}&limit=200"
            page = (await self._world.http.get(url, headers=headers)).json()
            for row in page["items"]:
                key = keys.get(row["call_id"]) or row["call_id"].removeprefix("call-")
                self._shown[key].outcomes[row["call_id"]] = row["outcome"]
                position = row["position"]
            if not page["items"]:
                return

    def _judge_key(self, key: str, effects: list[Effect]) -> None:
        shown = self._shown[key]
        if len(effects) > 1:
            self._report.complain("doubled", f"{key} happened {len(effects)} times: {effects}")
        for effect in effects:
            body = effect.arguments.get("body")
            if key in self._world.denied and key not in self._world.allowed:
                self._report.complain("not_allowed", f"{key} was denied and happened")
            elif self._world.allowed.get(key, body) != body:
                self._report.complain("not_allowed", f"{key} happened as {body}")
        states = [*shown.states.values(), *shown.outcomes.values()]
        if effects and not (MAY_HAVE_RUN & set(states)):
            self._report.complain("wrongly_shown", f"{key} happened and is shown as {states}")
        if effects and "failed" in states:
            self._report.complain("wrongly_shown", f"{key} happened and is shown as failed")
        if not effects and "done" in states:
            self._report.complain(
                "wrongly_shown", f"{key} is shown as done and did not happen: {shown}"
            )
        for call_id, outcome in shown.outcomes.items():
            state = shown.states.get(call_id)
            if outcome == "unknown" and state not in (None, "unknown"):
                self._report.complain("wrongly_shown", f"{key} is unknown and shown as {state}")

    def _judge_answers(
        self,
        programs: Sequence[DirectCaller | RawClient],
        happened: Mapping[str, list[Effect]],
    ) -> None:
        for answer in (answer for program in programs for answer in program.answers):
            has_happened = bool(happened.get(answer.key))
            # What a client was not told is asked about anew, and then denied.
            was_asked_again = {answer.key} <= (self._world.denied & self._world.allowed.keys())
            if answer.code == "done" and not has_happened:
                self._report.complain("wrongly_shown", f"{answer} did not happen")
            if has_happened and answer.code not in MAY_HAVE_RUN and not was_asked_again:
                self._report.complain("wrongly_shown", f"{answer} happened")
