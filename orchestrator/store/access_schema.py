"""The tables of who may ask, and with what: owners, sign-ins, tokens and secrets."""

from sqlalchemy import (
    Column,
    ForeignKey,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

metadata = MetaData()


def owner_column() -> Column[str]:
    """Return the column that says whose row it is."""
    return Column("owner_id", Text, ForeignKey("owners.id"), nullable=False)


owners = Table(
    "owners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("code_hash", Text, primary_key=True),
    owner_column(),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
)

logins = Table(
    "logins",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("cookie_hash", Text, nullable=False, unique=True),
    Column("user_agent", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("last_used_at", Text, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    owner_column(),
    Column("name", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("last_used_at", Text),
    Column("revoked_at", Text),
)

secrets = Table(
    "secrets",
    metadata,
    owner_column(),
    Column("name", Text, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("updated_at", Text, nullable=False),
    PrimaryKeyConstraint("owner_id", "name"),
)
