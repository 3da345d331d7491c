"""Google's Tasks API v1, for one call of a tool."""

from collections.abc import Sequence
from typing import Any

from servers.kit.errors import InvalidInput, NotFound, TooLarge, Unavailable, UpstreamError
from servers.kit.google.api import GoogleAccount
from servers.kit.google.errors import OutcomeUnknown

Resource = dict[str, Any]

MAX_SUBTASKS = 99
_PAGE = 100
_MAX_PAGES = 50


class TasksClient:
    """Raises the errors of `GoogleAccount.execute`; NotFound names the ids."""

    def __init__(self, google: GoogleAccount) -> None:
        self._google = google
        self.account = google.name
        self._tasks: Any = google.service.tasks()

    async def lists(self, limit: int, page: str | None) -> Resource:
        lists = self._google.service.tasklists()
        return await self._google.execute(lists.list(maxResults=limit, pageToken=page))

    async def tasks(
        self,
        list_id: str,
        *,
        limit: int,
        page: str | None,
        due_max: str | None,
        show_completed: bool,
    ) -> Resource:
        request = self._tasks.list(
            tasklist=list_id,
            maxResults=limit,
            pageToken=page,
            dueMax=due_max,
            showCompleted=show_completed,
            # What is ticked off in Google's own apps counts as hidden.
            showHidden=show_completed,
            showAssigned=True,
        )
        return await self._sent(request, f"There is no task list {list_id!r}: see list_lists.")

    async def get(self, list_id: str, task_id: str) -> Resource:
        """Raises NotFound for a deleted one too."""
        request = self._tasks.get(tasklist=list_id, task=task_id)
        task = await self._sent(request, _no_task(list_id, task_id))
        if task.get("deleted"):
            raise NotFound(f"The task {task_id!r} is deleted; restore brings it back.")
        return task

    async def add(self, list_id: str, parent_id: str | None, task: Resource) -> Resource:
        request = self._tasks.insert(tasklist=list_id, parent=parent_id, body=task)
        return await self._sent(request, f"There is no task list {list_id!r}: see list_lists.")

    async def change(self, list_id: str, task_id: str, changes: Resource) -> Resource:
        """Changes what is given; None removes it."""
        request = self._tasks.patch(tasklist=list_id, task=task_id, body=changes)
        return await self._sent(request, _no_task(list_id, task_id), may_repeat=True)

    async def move(self, list_id: str, task_id: str, to_list_id: str) -> Resource:
        request = self._tasks.move(tasklist=list_id, task=task_id, destinationTasklist=to_list_id)
        missing = f"{_no_task(list_id, task_id)} Or there is no list {to_list_id!r}."
        return await self._sent(request, missing)

    async def subtasks(self, list_id: str, task_id: str) -> list[str]:
        """The ids of what goes with a task when it is deleted. Raises TooLarge."""
        found: list[str] = []
        page = None
        for _ in range(_MAX_PAGES):
            answer = await self._google.execute(
                self._tasks.list(
                    tasklist=list_id,
                    maxResults=_PAGE,
                    pageToken=page,
                    showHidden=True,
                    showAssigned=True,
                    fields="items(id,parent),nextPageToken",
                )
            )
            found += [one["id"] for one in answer.get("items", ()) if one.get("parent") == task_id]
            page = answer.get("nextPageToken")
            if page is None and len(found) <= MAX_SUBTASKS:
                return found
        raise TooLarge(
            "The list or the task is too large for this: the owner can delete it in Google Tasks."
        )

    async def delete(self, list_id: str, task_id: str) -> None:
        request = self._tasks.delete(tasklist=list_id, task=task_id)
        try:
            await self._sent(request, _no_task(list_id, task_id), may_repeat=True)
        except OutcomeUnknown:
            if not await self._is_gone(list_id, task_id):
                raise

    async def restore(self, list_id: str, task_ids: Sequence[str]) -> list[str]:
        """The ids of those that are back. Raises UpstreamError when none is."""
        back: list[str] = []
        failure: UpstreamError | None = None
        for task_id in task_ids:
            try:
                task = await self.change(list_id, task_id, {"deleted": False})
                if task.get("deleted"):
                    raise NotFound(f"Google does not bring back {task_id!r}.")
                back.append(task_id)
            except UpstreamError as error:
                failure = failure or error
        if not back and failure is not None:
            raise failure
        return back

    async def _is_gone(self, list_id: str, task_id: str) -> bool:
        try:
            await self.get(list_id, task_id)
        except NotFound:
            return True
        except Unavailable:
            pass
        return False

    async def _sent(self, request: Any, missing: str, *, may_repeat: bool = False) -> Resource:
        try:
            return await self._google.execute(request, may_repeat=may_repeat)
        except NotFound as error:
            raise NotFound(missing) from error


def check_not_assigned(task: Resource) -> None:
    """Raises InvalidInput: Google would delete it in the document too, for everybody."""
    if "assignmentInfo" in task:
        raise InvalidInput(
            "This task was given in a document or a chat; deleting it here would delete it there."
            " The owner can do that in Google Tasks."
        )


def _no_task(list_id: str, task_id: str) -> str:
    return f"There is no task {task_id!r} in the list {list_id!r}: list shows both."
