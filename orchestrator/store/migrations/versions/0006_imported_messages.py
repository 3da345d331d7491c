"""Which messages came from a file: nobody knows who wrote them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    imported = sa.Column("imported", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("messages", imported)
