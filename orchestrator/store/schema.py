"""The tables. Times are RFC 3339 text in UTC, money is integer micro-dollars.

Every row that belongs to a person carries `owner_id`, and no query of this house leaves it out.
The migrations under `migrations/versions` create exactly this; a test compares the two.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from orchestrator.store.access_schema import metadata, owner_column

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("title", Text, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("leaf_message_id", Text),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("title_source", Text, nullable=False, server_default="first_words"),
    Column("settings", JSON, nullable=False, server_default="{}"),
    Index("sessions_by_owner", "owner_id", "pinned", "updated_at", "id"),
)

messages = Table(
    "messages",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    owner_column(),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    # No cascade: SQLite follows cascades at most 1,000 levels deep, and chats are longer.
    Column("parent_id", Text, ForeignKey("messages.id")),
    Column("turn_id", Text),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("reasoning", Text, nullable=False),
    Column("reasoning_ms", Integer),
    Column("reasoning_details", JSON, nullable=False),
    Column("tool_calls", JSON, nullable=False),
    Column("tool_call_id", Text),
    Column("sources", JSON, nullable=False),
    Column("attachments", JSON, nullable=False, server_default="[]"),
    Column("created_at", Text, nullable=False),
    # When another branch was shown instead of the one that ends here.
    Column("left_at", Text),
    # It came from a file, so nobody knows who wrote it.
    Column("imported", Boolean, nullable=False, server_default=false()),
    CheckConstraint("role IN ('user', 'assistant', 'tool')", name="known_role"),
    Index("messages_by_session", "session_id", "position"),
    Index("messages_by_parent", "parent_id", "session_id"),
    Index("messages_by_turn", "turn_id"),
    Index("messages_by_tool_call", "tool_call_id"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("client_message_id", Text),
    Column("user_message_id", Text),
    Column("parent_message_id", Text),
    Column("assistant_message_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("finish_reason", Text),
    Column("error", JSON),
    Column("cost_microusd", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("last_seq", Integer, nullable=False),
    Column("waiting_since", Text),
    UniqueConstraint("owner_id", "client_message_id", name="one_turn_per_client_message"),
    CheckConstraint(
        "state IN ('running', 'finished', 'failed', 'interrupted', 'cancelled')", name="known_state"
    ),
    Index("turns_by_session", "session_id", "created_at"),
    Index("turns_running", "state", sqlite_where=Column("state", Text) == "running"),
)

turn_events = Table(
    "turn_events",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("turn_id", Text, ForeignKey("turns.id", ondelete="CASCADE"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("tool", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("arguments_hash", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("structured", JSON(none_as_null=True)),
    Column("error", Text),
    Column("started_at", Text),
    Column("duration_ms", Integer),
    Column("ran_arguments", JSON(none_as_null=True)),
    Column("effect", Text),
    Column("effects", Integer),
    Column("sources", JSON, nullable=False, server_default="[]"),
    Column("undo", JSON(none_as_null=True)),
    Column("undone_at", Text),
    Column("attachments", JSON, nullable=False, server_default="[]"),
    Index("tool_calls_by_turn", "turn_id"),
    Index("tool_calls_by_session", "session_id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tool_call_id", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("account", Text),
    Column("arguments", JSON, nullable=False),
    Column("arguments_to_run", JSON(none_as_null=True)),
    Column("level", Integer, nullable=False),
    Column("effect", Text),
    Column("reason", Text, nullable=False),
    Column("taint", JSON, nullable=False),
    Column("undoable", Boolean, nullable=False),
    Column("client", Text, nullable=False),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE")),
    Column("turn_id", Text, ForeignKey("turns.id", ondelete="CASCADE")),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("decided_at", Text),
    Column("decided_by", Text),
    Column("decision_reason", Text),
    Column("scope", Text),
    Column("outcome", JSON(none_as_null=True)),
    Column("preview", JSON(none_as_null=True)),
    CheckConstraint(
        "state IN ('pending', 'approved', 'denied', 'expired', 'cancelled')",
        name="known_approval_state",
    ),
    Index("approvals_by_owner", "owner_id", "created_at", "id"),
    Index("approvals_by_call", "tool_call_id"),
    Index("approvals_by_turn", "turn_id"),
    Index("approvals_by_session", "session_id"),
    Index("approvals_pending", "state", sqlite_where=Column("state", Text) == "pending"),
)

questions = Table(
    "questions",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("state", Text, nullable=False),
    *(
        Column(name, Text, nullable=False)
        for name in ("tool_call_id", "server", "tool", "title", "message", "url")
    ),
    Column("account", Text),
    Column("capability", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("turn_id", Text, ForeignKey("turns.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("answered_at", Text),
    CheckConstraint(
        "state IN ('pending', 'done', 'declined', 'expired', 'cancelled')",
        name="known_question_state",
    ),
    Index("questions_by_owner", "owner_id", "created_at", "id"),
    Index("questions_by_turn", "turn_id"),
    Index("questions_by_session", "session_id"),
    Index("questions_pending", "state", sqlite_where=Column("state", Text) == "pending"),
)

standing_approvals = Table(
    "standing_approvals",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("tool", Text, nullable=False),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE")),
    Column("created_at", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", Text),
    Index("standing_approvals_by_owner", "owner_id", "tool"),
    Index("standing_approvals_by_session", "session_id"),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    # Not deleted with its session: the blob goes first, and the reaper finds it by this row.
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="SET NULL")),
    Column("state", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("mime", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("sha256", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("tool_call_id", Text),
    Column("created_at", Text, nullable=False),
    Column("last_used_at", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("retry_at", Text),
    CheckConstraint("state IN ('incoming', 'ready', 'deleting')", name="known_attachment_state"),
    Index("attachments_by_owner", "owner_id", "created_at", "id"),
    Index("attachments_by_session", "session_id"),
    Index("attachments_by_use", "last_used_at"),
    Index("attachments_unfinished", "state", sqlite_where=Column("state", Text) != "ready"),
)

usage = Table(
    "usage",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    # No foreign key: what was spent stays known when the chat is deleted.
    Column("session_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("reasoning_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("cost_microusd", Integer, nullable=False),
    Column("generation_id", Text),
    Column("created_at", Text, nullable=False),
    Column("message_id", Text),
    # `pending`: the stream broke before its usage came, which is asked for later. `estimated`:
    # nobody could say what it cost.
    Column("state", Text, nullable=False, server_default="final"),
    Index("usage_by_owner", "owner_id", "created_at"),
    Index("usage_pending", "state", sqlite_where=Column("state", Text) == "pending"),
)

audit = Table(
    "audit",
    metadata,
    Column("position", Integer, primary_key=True),
    owner_column(),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("audit_by_owner", "owner_id", "position"),
)
