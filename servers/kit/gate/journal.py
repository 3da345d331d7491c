"""The journal: each gated call from before it runs to its end, so that none runs twice."""

import json
import sqlite3
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from servers.kit.gate import audit
from servers.kit.gate.limits import Limits, limit_reached
from servers.kit.gate.liveness import ProcessId, is_alive
from servers.kit.manifest import Effect

KEPT_S = 7 * 86_400
"""How long a call's result can be asked for again."""

CallState = Literal["started", "done", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the gate judged it."""

    call_id: str
    owner: str
    server: str
    tool: str
    hash: str
    client: str
    """Name and version, as the client calls itself."""
    labels: tuple[str, ...]
    level: int
    effect: Effect | None
    effects: int
    turn_id: str | None = None
    taint: tuple[str, ...] = ()
    grant_id: str | None = None
    decision: audit.Decision = "not_needed"
    decided_by: audit.DecidedBy | None = None
    account: str | None = None
    """Whose it is, and for whom it was approved; None where no account is needed, or none asked."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The call is in the journal and on the disk: run it now."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The call ran before; `result` is the JSON text that was stored then."""

    state: Literal["done", "failed"]
    result: str


@dataclass(frozen=True, slots=True)
class Running:
    """The call runs now, in this process or `elsewhere`."""

    elsewhere: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call began and its process ended before it did: it may have had its effect."""


@dataclass(frozen=True, slots=True)
class ArgumentsDiffer:
    """A call of this id was something else."""


@dataclass(frozen=True, slots=True)
class GrantUsed:
    """Another call used the grant."""


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The call needs the owner's approval; `why` is a sentence for the owner."""

    why: str


Found: TypeAlias = Replay | Running | Unknown | ArgumentsDiffer
Beginning: TypeAlias = Begun | GrantUsed | OverLimit | Found


def find(
    conn: sqlite3.Connection, call_id: str, call_hash: str, process: ProcessId
) -> Found | None:
    """What became of the call of that id, as `process` sees it; None when there was none."""
    row = conn.execute(
        "SELECT hash, state, result, pid, process_began, opening FROM calls WHERE call_id = ?",
        (call_id,),
    ).fetchone()
    if row is None:
        return None
    hash_, state, result, *runner = row
    if hash_ != call_hash:
        return ArgumentsDiffer()
    if state in ("done", "failed"):
        return Replay(state, result)
    runs_in = ProcessId(*runner)
    if state == "unknown" or not is_alive(runs_in):
        return Unknown()
    return Running(elsewhere=runs_in != process)


def begin(
    conn: sqlite3.Connection,
    call: Call,
    limits: Limits,
    *,
    may_pass_limits: bool,
    process: ProcessId,
    now_s: float,
) -> Beginning:
    """Notes that `call` starts, unless it must not; only after Begun may it run.

    Everything is checked in the caller's transaction, which has to be a durable one.
    """
    if (found := find(conn, call.call_id, call.hash, process)) is not None:
        return found
    if call.grant_id is not None and _is_used(conn, call.grant_id):
        return GrantUsed()
    if not may_pass_limits:
        why = limit_reached(
            conn,
            limits,
            effect=call.effect,
            effects=call.effects,
            turn_id=call.turn_id,
            now_s=now_s,
        )
        if why is not None:
            return OverLimit(why)
    values = _values(call)
    values |= {"labels": json.dumps(call.labels), "taint": json.dumps(call.taint)}
    runner = (process.pid, process.began, process.opening)
    conn.execute(_BEGIN, (*values.values(), *runner, now_s))
    return Begun()


def finish(
    conn: sqlite3.Connection,
    call_id: str,
    state: Literal["done", "failed", "unknown"],
    result: str,
    now_s: float,
) -> None:
    """Stores how a begun call ended, `result` being JSON text, and adds its audit row.

    It is `unknown` when the tool broke in a way that does not say whether it had its effect.
    Raises LookupError when no call of that id waits for its end.
    """
    if not _end(conn, call_id, state, result, now_s):
        raise LookupError(f"no call {call_id!r} waits for its end")


def withdraw(conn: sqlite3.Connection, call_id: str) -> None:
    """Forgets a begun call that found out that it could not be made: nothing happened.

    Its id and its grant are free again, and no limit counts it. Raises LookupError when no call of
    that id waits for its end.
    """
    found = conn.execute(
        "DELETE FROM calls WHERE call_id = ? AND state IN ('started', 'unknown')", (call_id,)
    )
    if found.rowcount != 1:
        raise LookupError(f"no call {call_id!r} waits for its end")


def note_refusal(
    conn: sqlite3.Connection, call: Call, decision: Literal["denied", "expired"], now_s: float
) -> None:
    """Adds the audit row of a call that never ran."""
    _append(conn, {**_values(call), "decision": decision}, "not_run", now_s)


def recover(conn: sqlite3.Connection, now_s: float) -> list[str]:
    """Marks what dead processes left begun as unknown, with audit rows; returns the call ids."""
    rows = conn.execute(
        "SELECT call_id, pid, process_began, opening FROM calls WHERE state = 'started'"
    ).fetchall()
    lost = [call_id for call_id, *runner in rows if not is_alive(ProcessId(*runner))]
    _lose(conn, lost, now_s)
    return lost


def give_up(conn: sqlite3.Connection, process: ProcessId, now_s: float) -> list[str]:
    """Marks what `process` itself has begun and not ended as unknown: before it leaves."""
    rows = conn.execute(
        "SELECT call_id FROM calls WHERE state = 'started'"
        " AND (pid, process_began, opening) = (?, ?, ?)",
        (process.pid, process.began, process.opening),
    ).fetchall()
    lost = [call_id for (call_id,) in rows]
    _lose(conn, lost, now_s)
    return lost


def purge(conn: sqlite3.Connection, now_s: float) -> None:
    """Forgets calls that ended and began more than KEPT_S ago; the audit trail keeps theirs."""
    conn.execute("DELETE FROM calls WHERE state <> 'started' AND started_at < ?", (now_s - KEPT_S,))


def record(conn: sqlite3.Connection, call_id: str) -> dict[str, Any]:
    """`call_id`, `state` (a CallState or `absent`) and `result` (JSON value or None)."""
    row = conn.execute(
        "SELECT state, result, pid, process_began, opening FROM calls WHERE call_id = ?",
        (call_id,),
    ).fetchone()
    if row is None:
        return {"call_id": call_id, "state": "absent", "result": None}
    state, result, *runner = row
    if state == "started" and not is_alive(ProcessId(*runner)):
        state = "unknown"
    return {"call_id": call_id, "state": state, "result": json.loads(result) if result else None}


_FIELDS = tuple(field.name for field in fields(Call))
_BEGIN = f"""INSERT INTO calls
    ({", ".join(_FIELDS)}, pid, process_began, opening, started_at, state)
    VALUES ({"?, " * len(_FIELDS)} ?, ?, ?, ?, 'started')"""  # noqa: S608, own names


def _values(call: Call) -> dict[str, Any]:
    # Not `asdict`, which copies deeply and takes a third of the time of the whole beginning.
    return {name: getattr(call, name) for name in _FIELDS}


def _is_used(conn: sqlite3.Connection, grant_id: str) -> bool:
    row = conn.execute("SELECT 1 FROM calls WHERE grant_id = ?", (grant_id,)).fetchone()
    return row is not None


def _lose(conn: sqlite3.Connection, call_ids: list[str], now_s: float) -> None:
    for call_id in call_ids:
        _end(conn, call_id, "unknown", None, now_s)


_AUDITED = (
    "owner",
    "server",
    "tool",
    "client",
    "call_id",
    "turn_id",
    "labels",
    "level",
    "effect",
    "effects",
    "taint",
    "decision",
    "decided_by",
)


# Also from `unknown`: a process that was wrongly taken for dead knows better.
_END = f"""UPDATE calls SET state = ?, result = ?
    WHERE call_id = ? AND state IN ('started', 'unknown')
    RETURNING hash, {", ".join(_AUDITED)}"""  # noqa: S608, own names


def _end(
    conn: sqlite3.Connection,
    call_id: str,
    state: Literal["done", "failed", "unknown"],
    result: str | None,
    now_s: float,
) -> bool:
    row = conn.execute(_END, (state, result, call_id)).fetchone()
    if row is None:
        return False
    call: dict[str, Any] = dict(zip(("hash", *_AUDITED), row, strict=True))
    call |= {name: json.loads(call[name]) for name in ("labels", "taint")}
    _append(conn, call, state, now_s)
    return True


def _append(
    conn: sqlite3.Connection, call: dict[str, Any], outcome: audit.Outcome, now_s: float
) -> None:
    entry = {name: call[name] for name in _AUDITED}
    entry |= {"labels": sorted(call["labels"]), "taint": list(call["taint"])}
    entry |= {"arguments_hash": call["hash"], "outcome": outcome}
    audit.append(conn, entry, now_s)
