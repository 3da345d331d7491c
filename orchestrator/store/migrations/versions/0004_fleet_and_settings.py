"""Settings and titles of sessions, usage that is still to be learned, and the vault."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    source = sa.Column("title_source", sa.Text(), nullable=False, server_default="first_words")
    op.add_column("sessions", source)
    settings = sa.Column("settings", sa.JSON(), nullable=False, server_default="{}")
    op.add_column("sessions", settings)
    op.add_column("usage", sa.Column("message_id", sa.Text(), nullable=True))
    state = sa.Column("state", sa.Text(), nullable=False, server_default="final")
    op.add_column("usage", state)
    pending = sa.text("state = 'pending'")
    op.create_index("usage_pending", "usage", ["state"], sqlite_where=pending)
    op.create_table(
        "secrets",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"]),
        sa.PrimaryKeyConstraint("owner_id", "name"),
    )
