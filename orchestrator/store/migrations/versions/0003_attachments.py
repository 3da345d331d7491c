"""Attachments, which of them messages and tool calls hold, and how many effects a call had."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The tokens of servers are for files, too, from now on.
    op.execute("UPDATE api_tokens SET scope = 'server' WHERE scope = 'ask_approval'")
    for table in ("messages", "tool_calls"):
        ids = sa.Column("attachments", sa.JSON(), nullable=False, server_default="[]")
        op.add_column(table, ids)
    op.add_column("tool_calls", sa.Column("effects", sa.Integer(), nullable=True))
    op.create_table(
        "attachments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("tool_call_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("last_used_at", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retry_at", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('incoming', 'ready', 'deleting')", name="known_attachment_state"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"]),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("attachments_by_owner", "attachments", ["owner_id", "created_at", "id"])
    op.create_index("attachments_by_session", "attachments", ["session_id"])
    op.create_index("attachments_by_use", "attachments", ["last_used_at"])
    op.create_index(
        "attachments_unfinished",
        "attachments",
        ["state"],
        sqlite_where=sa.text("state != 'ready'"),
    )
