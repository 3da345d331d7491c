"""The audit trail of the whole house: our own rows and those of every server, in one shape."""

import asyncio
import heapq
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from orchestrator.api.deps import AggregatorDep, DatabaseDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.tools import Effect
from orchestrator.errors import NotFound, StorageFull, ToolError
from orchestrator.store import audit
from orchestrator.store.database import Database
from orchestrator.store.paging import decode_cursor, encode_cursor
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.names import qualified_name

logger = logging.getLogger(__name__)

SERVER_DEADLINE_S = 2
OWN = "orchestrator"

router = APIRouter(prefix="/api/audit", tags=["audit"])


class AuditEntry(BaseModel):
    """One row; what only calls of tools have is null or empty in the others."""

    source: str
    """`orchestrator`, or the server that keeps the row."""
    position: int
    """Where it stands in the chain of its source."""
    at: str
    actor: str
    """Who did or decided it; for a call that nobody had to decide, the client."""
    action: str
    """What was done; for a call of a tool `call_` and its outcome."""
    subject: str
    """To what; calls of tools give the id of the call."""
    tool: str | None = None
    client: str | None = None
    """What the client calls itself."""
    turn_id: str | None = None
    arguments_hash: str | None = None
    labels: list[str] = Field(default_factory=list[str])
    level: int | None = None
    effect: Effect | None = None
    effects: int | None = None
    taint: list[str] = Field(default_factory=list[str])
    decision: Literal["not_needed", "approved", "denied", "expired"] | None = None
    decided_by: str | None = None
    outcome: Literal["done", "failed", "unknown", "not_run"] | None = None
    details: dict[str, Any] = Field(default_factory=dict[str, Any])
    previous_hash: str
    hash: str


class AuditPage(BaseModel):
    """Rows, the newest first."""

    items: list[AuditEntry]
    next_cursor: str | None
    unavailable: list[str]
    """The servers that are away or switched off: rows of theirs may be missing here."""


class _ServerRow(BaseModel):
    """A row as a server of the fleet keeps it."""

    position: int
    at: str
    tool: str
    client: str
    call_id: str
    turn_id: str | None
    arguments_hash: str
    labels: list[str]
    level: int
    effect: Effect | None
    effects: int
    taint: list[str]
    decision: Literal["not_needed", "approved", "denied", "expired"]
    decided_by: str | None
    outcome: Literal["done", "failed", "unknown", "not_run"]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Rows of one source, the newest first."""

    source: str
    entries: list[AuditEntry]
    after: int
    """All that the source has above this position, up to the cursor, is in `entries`."""
    head: tuple[int, str] | None = None
    """Position and hash of its newest row, if it was asked for that."""


_POSITIONS = TypeAdapter(dict[str, Annotated[int, Field(strict=True, ge=1, le=2**53)]])


@router.get("", responses=problem_responses(404))
async def list_audit(
    principal: PrincipalDep,
    database: DatabaseDep,
    aggregator: AggregatorDep,
    server: Annotated[str | None, Query(max_length=64, description="Only this source")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=4_000)] = None,
) -> AuditPage:
    """List what was done and decided, the newest first; servers are asked now, for 2 s each."""
    before = _positions(cursor)
    servers = [status for status in aggregator.servers() if server in (None, status.id)]
    if not servers and server not in (None, OWN):
        raise NotFound(f"There is no server {server!r}.")
    async with asyncio.TaskGroup() as group:
        asked = {
            status.id: group.create_task(
                _from_server(aggregator, status.id, before.get(status.id), limit)
            )
            for status in servers
            if status.enabled  # Whoever uses the port of another one must not get its token.
        }
        own = await database.read(audit.page, principal.owner_id, before.get(OWN), limit)
    answers = {name: task.result() for name, task in asked.items()}
    await _remember_heads(database, principal.owner_id, answers)
    fetched = [answer for answer in answers.values() if answer is not None]
    if server in (None, OWN):
        after = own[-1]["position"] - 1 if len(own) == limit else 0
        fetched.append(_Fetched(OWN, [_own_entry(row) for row in own], after))
    items = _newest(fetched, limit)
    return AuditPage(
        items=items,
        next_cursor=_next_cursor(before, fetched, items),
        unavailable=[status.id for status in servers if answers.get(status.id) is None],
    )


async def _from_server(
    aggregator: MCPToolAggregator, server: str, before: int | None, limit: int
) -> _Fetched | None:
    """Return rows of a server; none of a third party, which keeps none; None when it is away."""
    head = None
    try:
        async with asyncio.timeout(SERVER_DEADLINE_S):
            if before is None:
                newest = await aggregator.audit_rows(server, after=0, limit=1)
                head = newest.head.position, newest.head.hash
                before = newest.head.position + 1
            after = max(0, before - 1 - limit)
            if before == 1:
                return _Fetched(server, [], 0, head)
            found = await aggregator.audit_rows(server, after=after, limit=before - 1 - after)
        rows = [_ServerRow.model_validate(row) for row in reversed(found.items)]
    except NotFound:
        return _Fetched(server, [], 0)
    except (TimeoutError, ToolError, ValidationError):
        return None
    entries = [_server_entry(server, row) for row in rows if after < row.position < before]
    return _Fetched(server, entries, after, head)


async def _remember_heads(
    database: Database, owner_id: str, answers: Mapping[str, _Fetched | None]
) -> None:
    """Keep in our own trail what the newest rows were: who cuts theirs off cannot cut ours."""
    heads = {name: answer.head for name, answer in answers.items() if answer and answer.head}
    seen = await database.read(audit.heads_seen, owner_id)
    newer = {name: head for name, head in heads.items() if head[0] > max(seen.get(name, {0: ""}))}
    if not newer:
        return
    try:
        await database.write(audit.remember_heads, owner_id, newer)
    except StorageFull:
        logger.warning("audit_heads_not_kept servers=%d reason=disk_full", len(newer))


def _server_entry(server: str, row: _ServerRow) -> AuditEntry:
    fields = row.model_dump(exclude={"call_id", "tool"})
    return AuditEntry(
        source=server,
        actor=row.decided_by or row.client,
        action=f"call_{row.outcome}",
        subject=row.call_id,
        tool=qualified_name(server, row.tool),
        **fields,
    )


def _own_entry(row: RowMapping) -> AuditEntry:
    details = dict(row["details"])
    shared = {
        name: details[name] for name in ("tool", "taint", "arguments_hash") if name in details
    }
    return AuditEntry(source=OWN, **row, **shared)


def _newest(fetched: list[_Fetched], limit: int) -> list[AuditEntry]:
    """Merge by time, but never out of the order of a source: clocks can go back."""
    sources = (each.entries for each in fetched)
    return list(islice(heapq.merge(*sources, key=lambda entry: entry.at, reverse=True), limit))


def _next_cursor(
    before: Mapping[str, int], fetched: list[_Fetched], items: list[AuditEntry]
) -> str | None:
    """Return where each source goes on; one that was away stays where it is."""
    positions = dict(before)
    has_more = False
    for each in fetched:
        shown = [entry.position for entry in items if entry.source == each.source]
        is_all = len(shown) == len(each.entries)
        lowest = each.after + 1 if is_all else min(shown, default=before.get(each.source))
        if lowest is not None:
            positions[each.source] = lowest
        has_more = has_more or lowest != 1
    return encode_cursor(json.dumps(positions)) if has_more else None


def _positions(cursor: str | None) -> dict[str, int]:
    if cursor is None:
        return {}
    [text] = decode_cursor(cursor, str)
    try:
        return _POSITIONS.validate_json(str(text))
    except ValidationError as error:
        raise NotFound(
            "There is no such page: the cursor is not one of ours. Start without one."
        ) from error
