"""Owners, sign-in links, logins and API tokens. Only hashes of secrets are stored."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Literal

from sqlalchemy import Connection, Table, delete, insert, select, update

from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.values import Value
from orchestrator.store import audit
from orchestrator.store.access_schema import api_tokens, logins, owners, sign_in_links

Scope = Literal["owner", "read_history", "server"]
"""`server` is for a server of the fleet, the one that the token is named after."""
CredentialKind = Literal["login", "token"]

_TABLES: dict[CredentialKind, Table] = {"login": logins, "token": api_tokens}


class Owner(Value):
    """The person everything belongs to."""

    id: str
    name: str


class Credential(Value):
    """A login or an API token that is valid now."""

    kind: CredentialKind
    id: str
    owner_id: str
    owner_name: str
    name: str
    """What a token is for; empty for a login."""
    scope: Scope


class Login(Value):
    """One browser that is signed in."""

    id: str
    user_agent: str
    created_at: str
    last_used_at: str


class ApiToken(Value):
    """One token for programs; its text was shown once."""

    id: str
    name: str
    scope: Scope
    created_at: str
    last_used_at: str | None


def hash_secret(secret: str) -> str:
    """Return the SHA-256 under which a random secret of 256 bits is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_token() -> str:
    """Return the text of a fresh token: `flo_` and 43 characters that hold 256 bits."""
    return f"flo_{secrets.token_urlsafe(32)}"


def ensure_owner(conn: Connection) -> Owner:
    """Return the single owner, made at the first call."""
    row = conn.execute(select(owners.c.id, owners.c.name).limit(1)).mappings().first()
    if row is None:
        row = {"id": new_id("own"), "name": "owner"}
        conn.execute(insert(owners), {**row, "created_at": now_rfc3339()})
    return Owner(**row)


def owner_name(conn: Connection, owner_id: str) -> str:
    """Return the name that grants carry."""
    return conn.execute(select(owners.c.name).where(owners.c.id == owner_id)).scalar_one()


def add_sign_in_link(
    conn: Connection, owner_id: str, *, code_hash: str, expires_at: str, actor: str
) -> None:
    """Store a one-time code, and drop those that expired."""
    now = now_rfc3339()
    conn.execute(delete(sign_in_links).where(sign_in_links.c.expires_at <= now))
    row = {"code_hash": code_hash, "owner_id": owner_id, "created_at": now}
    conn.execute(insert(sign_in_links), {**row, "expires_at": expires_at})
    audit.append(conn, owner_id, actor=actor, action="sign_in_link_created", subject="link")


def redeem_sign_in_link(
    conn: Connection, *, code_hash: str, cookie_hash: str, user_agent: str, idle_since: str
) -> Credential | None:
    """Use a one-time code up and return the new login; None when it is unknown, used or expired.

    Logins that nobody used since `idle_since` are dropped.
    """
    now = now_rfc3339()
    owner_id = conn.execute(
        delete(sign_in_links)
        .where(sign_in_links.c.code_hash == code_hash, sign_in_links.c.expires_at > now)
        .returning(sign_in_links.c.owner_id)
    ).scalar_one_or_none()
    if owner_id is None:
        return None
    conn.execute(delete(logins).where(logins.c.last_used_at <= idle_since))
    login_id = new_id("login")
    row = {"id": login_id, "owner_id": owner_id, "cookie_hash": cookie_hash}
    times = {"created_at": now, "last_used_at": now}
    conn.execute(insert(logins), {**row, **times, "user_agent": user_agent[:300]})
    audit.append(conn, owner_id, actor="browser", action="signed_in", subject=login_id)
    return find_login(conn, cookie_hash=cookie_hash, used_after="")


def find_login(conn: Connection, *, cookie_hash: str, used_after: str) -> Credential | None:
    """Return the login of a cookie that was used after that time."""
    row = (
        conn.execute(
            select(logins.c.id, logins.c.owner_id, owners.c.name.label("owner_name"))
            .join(owners)
            .where(logins.c.cookie_hash == cookie_hash, logins.c.last_used_at > used_after)
        )
        .mappings()
        .first()
    )
    return Credential(kind="login", name="", scope="owner", **row) if row else None


def find_token(conn: Connection, *, token_hash: str) -> Credential | None:
    """Return the API token with this hash unless it was revoked."""
    row = (
        conn.execute(
            select(
                api_tokens.c.id,
                api_tokens.c.owner_id,
                api_tokens.c.name,
                api_tokens.c.scope,
                owners.c.name.label("owner_name"),
            )
            .join(owners)
            .where(api_tokens.c.token_hash == token_hash, api_tokens.c.revoked_at.is_(None))
        )
        .mappings()
        .first()
    )
    return Credential(kind="token", **row) if row else None


def list_logins(conn: Connection, owner_id: str) -> list[Login]:
    """Return the owner's logins, the one used last first."""
    rows = conn.execute(
        select(*logins.c["id", "user_agent", "created_at", "last_used_at"])
        .where(logins.c.owner_id == owner_id)
        .order_by(logins.c.last_used_at.desc(), logins.c.id)
    ).mappings()
    return [Login(**row) for row in rows]


def remove_login(conn: Connection, owner_id: str, login_id: str, *, actor: str) -> bool:
    """Sign a browser out; False when the owner has no such login."""
    removed = conn.execute(
        delete(logins).where(logins.c.id == login_id, logins.c.owner_id == owner_id)
    ).rowcount
    if removed:
        audit.append(conn, owner_id, actor=actor, action="signed_out", subject=login_id)
    return bool(removed)


def list_tokens(conn: Connection, owner_id: str) -> list[ApiToken]:
    """Return the owner's tokens that are in force, oldest first."""
    rows = conn.execute(
        select(*api_tokens.c["id", "name", "scope", "created_at", "last_used_at"])
        .where(api_tokens.c.owner_id == owner_id, api_tokens.c.revoked_at.is_(None))
        .order_by(api_tokens.c.id)
    ).mappings()
    return [ApiToken(**row) for row in rows]


def add_token(
    conn: Connection, owner_id: str, *, name: str, scope: Scope, token_hash: str, actor: str
) -> ApiToken:
    """Store a new token."""
    token = ApiToken(
        id=new_id("tok"), name=name, scope=scope, created_at=now_rfc3339(), last_used_at=None
    )
    row = {**token.model_dump(), "owner_id": owner_id, "token_hash": token_hash}
    conn.execute(insert(api_tokens), row)
    details = {"name": name, "scope": scope}
    audit.append(
        conn, owner_id, actor=actor, action="token_created", subject=token.id, details=details
    )
    return token


def revoke_token(conn: Connection, owner_id: str, token_id: str, *, actor: str) -> bool:
    """End a token; False when the owner has no such token in force."""
    revoked = conn.execute(
        update(api_tokens)
        .where(
            api_tokens.c.id == token_id,
            api_tokens.c.owner_id == owner_id,
            api_tokens.c.revoked_at.is_(None),
        )
        .values(revoked_at=now_rfc3339())
    ).rowcount
    if revoked:
        audit.append(conn, owner_id, actor=actor, action="token_revoked", subject=token_id)
    return bool(revoked)


def revoked_among(conn: Connection, token_ids: Iterable[str]) -> list[str]:
    """Return which of these tokens were revoked."""
    query = select(api_tokens.c.id).where(
        api_tokens.c.id.in_(list(token_ids)), api_tokens.c.revoked_at.is_not(None)
    )
    return list(conn.execute(query).scalars())


def touch(conn: Connection, used: Iterable[tuple[CredentialKind, str, str]]) -> None:
    """Set `last_used_at` of each (kind, id, time)."""
    for kind, credential_id, at in used:
        table = _TABLES[kind]
        conn.execute(update(table).where(table.c.id == credential_id).values(last_used_at=at))
