"""How large pictures are; of those that are there already nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("width", "height"):
        op.add_column("attachments", sa.Column(name, sa.Integer(), nullable=True))
