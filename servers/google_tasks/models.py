"""What the tools return. Titles and notes may come from elsewhere: mails, documents, other apps."""

from pydantic import BaseModel, Field

NextCursor = Field(default=None, description="Pass as cursor for the next page.")


class TaskList(BaseModel):
    list_id: str
    untrusted_title: str


class TaskLists(BaseModel):
    account: str
    items: list[TaskList]
    next_cursor: str | None = NextCursor


class Task(BaseModel):
    task_id: str
    untrusted_title: str
    untrusted_notes: str | None = None
    notes_chars: int = Field(default=0, description="Of all notes; get has those cut here.")
    due: str | None = Field(default=None, description="YYYY-MM-DD; Google keeps no time.")
    is_done: bool
    completed_at: str | None = None
    parent_id: str | None = Field(default=None, description="The task it is a part of.")
    is_assigned: bool = Field(default=False, description="Given in a document or a chat.")


class Tasks(BaseModel):
    account: str
    list_id: str
    items: list[Task]
    next_cursor: str | None = NextCursor


class OneTask(Task):
    account: str
    list_id: str
    link: str | None = Field(default=None, description="For the owner to open it.")


class Deleted(BaseModel):
    account: str
    list_id: str
    task_ids: list[str] = Field(description="It and its subtasks; restore takes them.")
    untrusted_title: str


class Restored(BaseModel):
    account: str
    list_id: str
    restored: list[str]
    failed: list[str] = Field(description="Not there any more, or not reached: try those again.")
