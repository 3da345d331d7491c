"""What requests to models used and cost, from the ledger."""

import csv
import io
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict
from sqlalchemy import Connection

from orchestrator.api.deps import DatabaseDep, PrincipalDep, SettingsDep
from orchestrator.api.moments import Day, Moment
from orchestrator.api.problems import problem_responses
from orchestrator.chat.budget import DAY, MONTH
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.domain.usage import UsageCap, UsageCaps, UsageGroup, UsageSums
from orchestrator.settings import Settings
from orchestrator.store import usage_report
from orchestrator.store.database import Database
from orchestrator.store.usage import cost_since
from orchestrator.store.usage_report import EXPORTED, GroupBy, Period

router = APIRouter(prefix="/api/usage", tags=["usage"])

_ROWS_PER_READ = 1_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is reckoned by spreadsheets; names of models come from outside."""


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("write an IANA zone such as Europe/Lisbon") from error
    return name


Zone = Annotated[
    str | None,
    AfterValidator(lambda name: name and _is_zone(name)),
    Query(max_length=64, description="IANA zone of the days; the owner's when not given"),
]
Since = Annotated[
    Day | Moment | None,
    Query(alias="from", description="First day, or a time", examples=["2026-11-01"]),
]
Until = Annotated[
    Day | Moment | None,
    Query(alias="to", description="Day or time at which it ends, itself left out"),
]
_SUMS = {
    "requests": 3,
    "prompt_tokens": 5210,
    "completion_tokens": 380,
    "reasoning_tokens": 120,
    "cached_tokens": 4096,
    "cost_microusd": 12_340,
    "pending": 0,
    "estimated": 0,
}
_EXAMPLE: dict[str, Any] = {
    "items": [{"key": "2026-11-20", "title": None, **_SUMS}],
    "totals": _SUMS,
    "caps": {
        "turn": {"limit_microusd": 1_000_000, "spent_microusd": None, "remaining_microusd": None},
        **{
            name: {
                "limit_microusd": limit,
                "spent_microusd": 12_340,
                "remaining_microusd": limit - 12_340,
            }
            for name, limit in (("day", 10_000_000), ("month", 100_000_000))
        },
    },
    "timezone": "Europe/Lisbon",
    "next_cursor": None,
}


class UsagePage(BaseModel):
    """A page of groups, the sums of the whole period, and how much may still be spent."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    items: list[UsageGroup]
    totals: UsageSums
    caps: UsageCaps
    timezone: str
    next_cursor: str | None


@router.get("", responses=problem_responses(404))
async def get_usage(
    principal: PrincipalDep,
    database: DatabaseDep,
    settings: SettingsDep,
    group_by: GroupBy = "day",
    since: Since = None,
    until: Until = None,
    tz: Zone = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> UsagePage:
    """Sum up what requests used and cost, deleted sessions included; money in micro-dollars."""
    zone = ZoneInfo(tz or settings.timezone)
    period = _period(since, until, zone)

    def read(conn: Connection) -> UsagePage:
        owner_id = principal.owner_id
        items, next_cursor = usage_report.groups(
            conn, owner_id, group_by, period, zone, limit=limit, cursor=cursor
        )
        return UsagePage(
            items=items,
            totals=usage_report.totals(conn, owner_id, period),
            caps=_caps(conn, owner_id, settings),
            timezone=zone.key,
            next_cursor=next_cursor,
        )

    return await database.read(read)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        **problem_responses(),
        200: {
            "description": "One line for each request, the oldest first",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
    },
)
async def export_usage(
    principal: PrincipalDep,
    database: DatabaseDep,
    settings: SettingsDep,
    format: Literal["csv"] = "csv",  # noqa: A002 - the name of the query parameter
    since: Since = None,
    until: Until = None,
    tz: Zone = None,
) -> StreamingResponse:
    """Export the ledger, one line for each request to a model."""
    period = _period(since, until, ZoneInfo(tz or settings.timezone))
    return StreamingResponse(
        _lines(database, principal.owner_id, period),
        media_type=f"text/{format}",
        headers={"Content-Disposition": f'attachment; filename="usage.{format}"'},
    )


async def _lines(database: Database, owner_id: str, period: Period) -> AsyncGenerator[str]:
    yield _csv([EXPORTED])
    after: tuple[str, str] | None = None
    while rows := await database.read(
        usage_report.rows_after, owner_id, period, after, _ROWS_PER_READ
    ):
        yield _csv([[_cell(value) for value in row] for row in rows])
        after = rows[-1].created_at, rows[-1].id


def _csv(rows: list[list[object]] | list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _period(since: date | None, until: date | None, zone: ZoneInfo) -> Period:
    return Period(_moment(since, zone), _moment(until, zone))


def _moment(at: date | None, zone: ZoneInfo) -> str | None:
    """Return a time as rows have it; a day is the moment it begins."""
    if at is None:
        return None
    if not isinstance(at, datetime):
        at = datetime.combine(at, time(), zone)
    try:
        return to_rfc3339(at)
    except OverflowError:  # A day at the end of time, seen from another zone.
        return to_rfc3339(at.replace(tzinfo=UTC))


def _caps(conn: Connection, owner_id: str, settings: Settings) -> UsageCaps:
    now = utc_now()
    day, month = cost_since(conn, owner_id, [to_rfc3339(now - DAY), to_rfc3339(now - MONTH)])
    limit = settings.turn_max_cost_microusd
    return UsageCaps(
        turn=UsageCap(limit_microusd=limit, spent_microusd=None, remaining_microusd=None),
        day=_cap(settings.day_max_cost_microusd, day),
        month=_cap(settings.month_max_cost_microusd, month),
    )


def _cap(limit_microusd: int, spent_microusd: int) -> UsageCap:
    left = max(0, limit_microusd - spent_microusd)
    return UsageCap(
        limit_microusd=limit_microusd, spent_microusd=spent_microusd, remaining_microusd=left
    )
