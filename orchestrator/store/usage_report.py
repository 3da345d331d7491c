"""Sums over the rows of `usage`, and the rows themselves for export."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)

from orchestrator.domain.usage import UsageGroup, UsageSums
from orchestrator.store.paging import decode_cursor, encode_cursor
from orchestrator.store.schema import sessions, usage

GroupBy = Literal["day", "model", "purpose", "session", "message", "turn"]
EXPORTED = tuple(column.name for column in usage.c if column.name != "owner_id")

_KEYS: dict[str, ColumnElement[str]] = {
    "model": usage.c.model,
    "purpose": usage.c.purpose,
    "session": usage.c.session_id,
    "message": func.coalesce(usage.c.message_id, ""),
    "turn": usage.c.turn_id,
}
_MINUTE = func.substr(usage.c.created_at, 1, 16)
"""Every zone is whole minutes away from UTC, so minutes add up to its days."""


def _counted(state: str) -> ColumnElement[int]:
    return func.sum(case((usage.c.state == state, 1), else_=0))


_SUMS = (
    func.count().label("requests"),
    func.sum(usage.c.prompt_tokens).label("prompt_tokens"),
    func.sum(usage.c.completion_tokens).label("completion_tokens"),
    func.sum(usage.c.reasoning_tokens).label("reasoning_tokens"),
    func.sum(usage.c.cached_tokens).label("cached_tokens"),
    func.sum(usage.c.cost_microusd).label("cost_microusd"),
    _counted("pending").label("pending"),
    _counted("estimated").label("estimated"),
)


@dataclass(frozen=True, slots=True)
class Period:
    """From one RFC 3339 time up to, but not at, another; None: no end on that side."""

    since: str | None = None
    until: str | None = None


def totals(conn: Connection, owner_id: str, period: Period) -> UsageSums:
    """Return the sums of the whole period."""
    return _sums(conn.execute(select(*_SUMS).where(*_within(owner_id, period))).mappings().one())


def groups(
    conn: Connection,
    owner_id: str,
    by: GroupBy,
    period: Period,
    zone: ZoneInfo,
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[UsageGroup], str | None]:
    """Return a page of groups and the next cursor: days newest first, others dearest first.

    Sessions, turns and messages carry the title of their session while it is stored. Raises
    NotFound when the cursor is not one of ours.
    """
    if by == "day":
        return _days(conn, owner_id, period, zone, limit, cursor)
    key, cost = _KEYS[by], func.sum(usage.c.cost_microusd)
    query = select(key.label("key"), *_SUMS, _title(by)).where(*_within(owner_id, period))
    query = query.group_by(key)
    if cursor is not None:
        last_cost, last_key = decode_cursor(cursor, int, str)
        after = and_(cost == last_cost, key > last_key)
        query = query.having(or_(cost < last_cost, after))
    query = query.order_by(cost.desc(), key).limit(limit + 1)
    found = [
        UsageGroup(key=row["key"], title=row["title"], **_sums(row).model_dump())
        for row in conn.execute(query).mappings()
    ]
    return _page(found, limit, lambda last: encode_cursor(last.cost_microusd, last.key))


def rows_after(
    conn: Connection, owner_id: str, period: Period, after: tuple[str, str] | None, limit: int
) -> Sequence[Row[Any]]:
    """Return rows with the columns of EXPORTED, by time, after that `created_at` and `id`."""
    query = select(*(usage.c[name] for name in EXPORTED)).where(*_within(owner_id, period))
    if after is not None:
        at, row_id = after
        same = and_(usage.c.created_at == at, usage.c.id > row_id)
        query = query.where(or_(usage.c.created_at > at, same))
    query = query.order_by(usage.c.created_at, usage.c.id).limit(limit)
    rows: Sequence[Row[Any]] = conn.execute(query).all()
    return rows


def _days(
    conn: Connection,
    owner_id: str,
    period: Period,
    zone: ZoneInfo,
    limit: int,
    cursor: str | None,
) -> tuple[list[UsageGroup], str | None]:
    before = str(decode_cursor(cursor, str)[0]) if cursor is not None else None
    query = select(_MINUTE.label("minute"), *_SUMS).where(*_within(owner_id, period))
    query = query.group_by(_MINUTE)
    days: dict[str, UsageSums] = {}
    for row in conn.execute(query).mappings():
        minute = datetime.fromisoformat(f"{row['minute']}:00+00:00")
        day = minute.astimezone(zone).date().isoformat()
        if before is None or day < before:
            days[day] = days[day].plus(_sums(row)) if day in days else _sums(row)
    found = [UsageGroup(key=day, **days[day].model_dump()) for day in sorted(days, reverse=True)]
    return _page(found, limit, lambda last: encode_cursor(last.key))


def _page(
    found: list[UsageGroup], limit: int, cursor_at: Callable[[UsageGroup], str]
) -> tuple[list[UsageGroup], str | None]:
    page = found[:limit]
    return page, cursor_at(page[-1]) if len(found) > limit else None


def _title(by: GroupBy) -> ColumnElement[Any]:
    if by not in ("session", "message", "turn"):
        return literal(None).label("title")
    return (
        select(sessions.c.title)
        .where(sessions.c.id == usage.c.session_id, sessions.c.owner_id == usage.c.owner_id)
        .correlate(usage)
        .scalar_subquery()
        .label("title")
    )


def _within(owner_id: str, period: Period) -> list[ColumnElement[bool]]:
    conditions = [usage.c.owner_id == owner_id]
    if period.since is not None:
        conditions.append(usage.c.created_at >= period.since)
    if period.until is not None:
        conditions.append(usage.c.created_at < period.until)
    return conditions


def _sums(row: RowMapping) -> UsageSums:
    return UsageSums(**{name: row[name] or 0 for name in UsageSums.model_fields})
