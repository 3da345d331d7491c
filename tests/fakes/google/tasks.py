"""The task lists of one person, and the methods of Tasks."""

import itertools
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tests.fakes.google.calls import ApiCall, handles
from tests.fakes.google.discovery import read_time
from tests.fakes.google.refusals import Refused, invalid, not_found

if TYPE_CHECKING:
    from tests.fakes.google.server import FakeGoogle

Resource = dict[str, Any]
MAX_TITLE_CHARS = 1_024
MAX_NOTES_CHARS = 8_192
_MOST_RESULTS = 100
_numbers = itertools.count(1)


@dataclass
class TaskList:
    """One list; its tasks are in their order, the children of a task after one another."""

    id: str
    title: str
    updated: str
    etag: str
    tasks: dict[str, Resource] = field(default_factory=dict)

    def children(self, parent: str | None) -> list[Resource]:
        """Return the tasks directly below one, in order."""
        return [one for one in self.tasks.values() if one.get("parent") == parent]


class PersonsTasks:
    """The tasks of one account. What has no underscore may be called by tests."""

    def __init__(self, google: "FakeGoogle") -> None:
        self._google = google
        self.lists: dict[str, TaskList] = {}
        self.add_list("My Tasks")

    @property
    def default(self) -> TaskList:
        return next(iter(self.lists.values()))

    def add_list(self, title: str) -> TaskList:
        """Make another list."""
        made = TaskList(secrets.token_urlsafe(24), title, self.now(), _etag())
        self.lists[made.id] = made
        return made

    def add(
        self,
        title: str,
        *,
        due: date | None = None,
        notes: str | None = None,
        completed: bool = False,
        parent: str | None = None,
        to: TaskList | None = None,
    ) -> Resource:
        """Put a task at the end of a list; returns it as it is kept."""
        with self._google.lock:
            there = to or self.default
            task: Resource = {"title": title, "status": "completed" if completed else "needsAction"}
            if due is not None:
                task["due"] = f"{due.isoformat()}T00:00:00.000Z"
            if notes is not None:
                task["notes"] = notes
            siblings = there.children(parent)
            return self.keep(there, task, parent, siblings[-1]["id"] if siblings else None)

    def task(self, task_id: str) -> Resource:
        """Return a task wherever it is."""
        return next(one.tasks[task_id] for one in self.lists.values() if task_id in one.tasks)

    def now(self) -> str:
        return f"{self._google.now().astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"

    def keep(
        self, there: TaskList, task: Resource, parent: str | None, previous: str | None
    ) -> Resource:
        """Keep a new task after `previous`, the first of its siblings for None. Raises Refused."""
        made = {
            "status": "needsAction",
            **task,
            "kind": "tasks#task",
            "id": secrets.token_urlsafe(16),
        }
        self.stamp(made)
        self.place(there, made, parent, previous)
        return made

    def stamp(self, task: Resource) -> None:
        """Note a change of a task; a finished one gets the time when it was."""
        task["updated"], task["etag"] = self.now(), _etag()
        if task["status"] == "completed":
            task.setdefault("completed", task["updated"])
        else:
            task.pop("completed", None)
            task.pop("hidden", None)

    def place(
        self, there: TaskList, task: Resource, parent: str | None, previous: str | None
    ) -> None:
        """Put a task where it belongs and number its siblings. Raises Refused."""
        for other in (parent, previous):
            if other is not None and (other not in there.tasks or other == task["id"]):
                raise invalid(f"Invalid task: {other}", "invalid")
        task.pop("parent", None)
        if parent is not None:
            task["parent"] = parent
        siblings = [one for one in there.children(parent) if one["id"] != task["id"]]
        ids = [one["id"] for one in siblings]
        if previous is not None and previous not in ids:
            raise invalid(f"Invalid previous task: {previous}", "invalid")
        siblings.insert(ids.index(previous) + 1 if previous is not None else 0, task)
        there.tasks[task["id"]] = task
        for number, one in enumerate(siblings):
            one["position"] = f"{number:020d}"

    def list_of(self, name: str) -> TaskList:
        """Return a list by its id. Raises Refused."""
        if name == "@default":
            return self.default
        if name not in self.lists:
            raise not_found("Task list not found.")
        return self.lists[name]


def _etag() -> str:
    return f'"LTE{next(_numbers):08d}"'


def _list_shown(one: TaskList) -> Resource:
    named = {"id": one.id, "title": one.title, "updated": one.updated, "etag": one.etag}
    return {"kind": "tasks#taskList", **named}


def _page(call: ApiCall, found: list[Resource], default: int) -> tuple[list[Resource], Resource]:
    token = call["pageToken"] or "0"
    if not token.isdecimal():
        raise invalid("Invalid page token", "invalid")
    size = default if call["maxResults"] is None else call["maxResults"]
    end = int(token) + max(1, min(size, _MOST_RESULTS))
    return found[int(token) : end], {"nextPageToken": str(end)} if end < len(found) else {}


@handles("tasks.tasklists.list")
def _list_lists(call: ApiCall) -> Resource:
    found = [_list_shown(one) for one in call.person.tasks.lists.values()]
    items, more = _page(call, found, 1_000)
    return {"kind": "tasks#taskLists", "etag": _etag(), "items": items, **more}


@handles("tasks.tasklists.get")
def _get_list(call: ApiCall) -> Resource:
    return _list_shown(call.person.tasks.list_of(call["tasklist"]))


@handles("tasks.tasklists.insert")
def _insert_list(call: ApiCall) -> Resource:
    return _list_shown(call.person.tasks.add_list(_title(call, "Untitled")))


@handles("tasks.tasklists.patch", "tasks.tasklists.update")
def _rename_list(call: ApiCall) -> Resource:
    there = call.person.tasks.list_of(call["tasklist"])
    there.title, there.updated = _title(call, there.title), call.person.tasks.now()
    return _list_shown(there)


@handles("tasks.tasklists.delete")
def _delete_list(call: ApiCall) -> None:
    there = call.person.tasks.list_of(call["tasklist"])
    if there is call.person.tasks.default:
        raise invalid("The default task list cannot be deleted.", "invalid")
    del call.person.tasks.lists[there.id]


def _title(call: ApiCall, default: str) -> str:
    title = call.body.get("title", default)
    if len(title) > MAX_TITLE_CHARS:
        raise invalid("Title is too long.", "invalid")
    return title


@handles("tasks.tasks.list")
def _list_tasks(call: ApiCall) -> Resource:
    there = call.person.tasks.list_of(call["tasklist"])
    found = [one for one in there.tasks.values() if _is_asked(call, one)]
    found.sort(key=lambda one: (one.get("parent", ""), one["position"]))
    items, more = _page(call, found, 20)
    return {"kind": "tasks#tasks", "etag": _etag(), "items": items, **more}


def _is_asked(call: ApiCall, task: Resource) -> bool:
    if task.get("deleted") and not call["showDeleted"]:
        return False
    if task.get("hidden") and not call["showHidden"]:
        return False
    if task["status"] == "completed" and call["showCompleted"] is False:
        return False
    return (
        _is_between(call, task, "due")
        and _is_between(call, task, "completed")
        and (not call["updatedMin"] or task["updated"] >= _stamp(call["updatedMin"]))
    )


def _is_between(call: ApiCall, task: Resource, name: str) -> bool:
    low, high = call[f"{name}Min"], call[f"{name}Max"]
    if not low and not high:
        return True
    if name not in task:
        return False
    # The upper bound itself is not in.
    return (not low or task[name] >= _stamp(low)) and (not high or task[name] < _stamp(high))


def _stamp(text: str) -> str:
    time: datetime = read_time("time", text)
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _task(call: ApiCall) -> tuple[TaskList, Resource]:
    there = call.person.tasks.list_of(call["tasklist"])
    task = there.tasks.get(call["task"])
    if task is None:
        raise not_found("Task not found.")
    if call.if_match not in (None, "*", task["etag"]):
        raise Refused(412, "Precondition Failed", "conditionNotMet")
    return there, task


@handles("tasks.tasks.get")
def _get_task(call: ApiCall) -> Resource:
    return _task(call)[1]


@handles("tasks.tasks.insert")
def _insert_task(call: ApiCall) -> Resource:
    there = call.person.tasks.list_of(call["tasklist"])
    return call.person.tasks.keep(there, _fields(call), call["parent"], call["previous"])


@handles("tasks.tasks.patch", "tasks.tasks.update")
def _change_task(call: ApiCall) -> Resource:
    _, task = _task(call)
    fields = _fields(call)
    if call.method.endswith(".update"):
        if call.body.get("id") not in (None, task["id"]):
            raise invalid("Invalid task id", "invalid")
        for name in ("title", "notes", "due", "completed", "deleted"):
            task.pop(name, None)
        task["status"] = "needsAction"
    for name, value in call.body.items():
        if value is None:
            task.pop(name, None)
    task |= fields
    task.setdefault("status", "needsAction")
    call.person.tasks.stamp(task)
    return task


def _fields(call: ApiCall) -> Resource:
    """Return what a request says of a task; of a due time only the day. Raises Refused."""
    written = ("title", "notes", "due", "status", "completed", "deleted")
    given = {name: call.body[name] for name in written if call.body.get(name) is not None}
    _title(call, "") if "title" in given else None
    if len(given.get("notes", "")) > MAX_NOTES_CHARS:
        raise invalid("Notes are too long.", "invalid")
    if given.get("status", "completed") not in ("completed", "needsAction"):
        raise invalid("Invalid status.", "invalid")
    if "due" in given:
        read_time("due", given["due"])
        given["due"] = re.sub(r"T.*", "T00:00:00.000Z", given["due"])
    if "completed" in given:
        given["completed"] = _stamp(given["completed"])
    return given


@handles("tasks.tasks.delete")
def _delete_task(call: ApiCall) -> None:
    there, task = _task(call)
    for one in [task, *there.children(task["id"])]:
        one["deleted"] = True
        call.person.tasks.stamp(one)


@handles("tasks.tasks.move")
def _move_task(call: ApiCall) -> Resource:
    there, task = _task(call)
    target = call.person.tasks.list_of(call["destinationTasklist"] or there.id)
    if target is not there:
        children = there.children(task["id"])
        for one in [task, *children]:
            del there.tasks[one["id"]]
        target.tasks |= {one["id"]: one for one in children}
    call.person.tasks.place(target, task, call["parent"], call["previous"])
    call.person.tasks.stamp(task)
    return task


@handles("tasks.tasks.clear")
def _clear(call: ApiCall) -> None:
    for task in call.person.tasks.list_of(call["tasklist"]).tasks.values():
        if task["status"] == "completed":
            task["hidden"] = True
