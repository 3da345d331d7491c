"""Calls that wait for a sign-in, and what an approval would do in words for the owner."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("approvals", sa.Column("preview", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "questions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("owner_id", sa.Text(), sa.ForeignKey("owners.id"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tool_call_id", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "session_id",
            sa.Text(),
            sa.ForeignKey("sessions.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "turn_id", sa.Text(), sa.ForeignKey("turns.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'done', 'declined', 'expired', 'cancelled')",
            name="known_question_state",
        ),
    )
    op.create_index("questions_by_owner", "questions", ["owner_id", "created_at", "id"])
    op.create_index("questions_by_turn", "questions", ["turn_id"])
    op.create_index("questions_by_session", "questions", ["session_id"])
    op.create_index(
        "questions_pending", "questions", ["state"], sqlite_where=sa.text("state = 'pending'")
    )
