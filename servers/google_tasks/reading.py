"""From Google's resources to what the tools return, and from their arguments to a resource."""

from datetime import date, timedelta
from typing import Any

from servers.google_tasks.models import OneTask, Task, TaskList
from servers.kit.errors import InvalidInput
from servers.kit.foreign_text import clean_text
from servers.kit.output import MAX_TEXT_CHARS, within_bytes

MAX_TITLE_CHARS = 200
# All notes and all titles of a page, so that it stays below the limit of a result.
_PAGE_TEXT_BYTES = 8_000
_ONE_TEXT_BYTES = 26_000

Resource = dict[str, Any]


def task_list(resource: Resource) -> TaskList:
    return TaskList(list_id=resource["id"], untrusted_title=_title(resource))


def tasks(resources: list[Resource]) -> list[Task]:
    """Of a page; notes and long titles are cut to an equal share."""
    share = _PAGE_TEXT_BYTES // max(1, len(resources))
    return [Task(**_fields(one, MAX_TEXT_CHARS, share)) for one in resources]


def one_task(resource: Resource, account: str, list_id: str) -> OneTask:
    fields = _fields(resource, MAX_TEXT_CHARS, _ONE_TEXT_BYTES)
    return OneTask(**fields, account=account, list_id=list_id, link=resource.get("webViewLink"))


def title_of(resource: Resource) -> str:
    return _title(resource)


def due_of(resource: Resource) -> str | None:
    """The day: Google sends midnight, and the time means nothing."""
    due = resource.get("due")
    return None if due is None else str(due)[:10]


def written_due(due: str) -> str | None:
    """As Google takes it; None for no date. Raises InvalidInput."""
    return None if due == "" else f"{_day('due', due).isoformat()}T00:00:00.000Z"


def last_moment_before(day: str) -> str:
    """Raises InvalidInput."""
    try:
        before = _day("due_before", day) - timedelta(days=1)
    except OverflowError as error:
        raise InvalidInput(f"due_before: there is no day before {day!r}.") from error
    return f"{before.isoformat()}T23:59:59.000Z"


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {text!r} is no day; write it as 2026-11-20.") from error


def _fields(resource: Resource, notes_chars: int, max_bytes: int) -> dict[str, Any]:
    notes = str(resource.get("notes") or "")
    return {
        "task_id": resource["id"],
        "untrusted_title": within_bytes(_title(resource), max_bytes),
        "untrusted_notes": within_bytes(clean_text(notes, notes_chars), max_bytes) or None,
        "notes_chars": len(notes),
        "due": due_of(resource),
        "is_done": resource.get("status") == "completed",
        "completed_at": resource.get("completed"),
        "parent_id": resource.get("parent"),
        "is_assigned": "assignmentInfo" in resource,
    }


def _title(resource: Resource) -> str:
    return clean_text(str(resource.get("title") or ""), MAX_TITLE_CHARS)
