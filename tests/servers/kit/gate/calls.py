"""Calls for the tests of the journal, the tickets and the limits."""

import sqlite3
from dataclasses import replace
from typing import Any

from servers.kit.gate import journal
from servers.kit.gate.journal import Beginning, Call
from servers.kit.gate.limits import Limits
from servers.kit.gate.liveness import ProcessId
from servers.kit.manifest import Effect

NOW_S = 1_800_000_000.0
NO_LIMITS = Limits(turn={}, day={})
CALL = Call(
    call_id="call_1",
    owner="owner",
    server="mail",
    tool="send",
    hash="ab" * 32,
    client="claude-desktop 1.2",
    labels=("write", "egress"),
    level=2,
    effect=Effect.SEND,
    effects=1,
    turn_id="turn_1",
    taint=("mail from x@y.example",),
    decision="approved",
    decided_by="web",
)


def a_call(call_id: str, **changed: Any) -> Call:
    return replace(CALL, call_id=call_id, **changed)


def begin(
    conn: sqlite3.Connection,
    call: Call,
    process: ProcessId,
    limits: Limits = NO_LIMITS,
    *,
    may_pass_limits: bool = False,
    now_s: float = NOW_S,
) -> Beginning:
    return journal.begin(
        conn, call, limits, may_pass_limits=may_pass_limits, process=process, now_s=now_s
    )
