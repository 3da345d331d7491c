"""Tokens of single clients: in a file beside the server's own, which the orchestrator writes too.

The file holds digests only. Whoever changes it holds a lock, so that no token is lost and none that
was revoked comes back.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from servers.kit.token import SECRET_BYTES, TokenError

Scope = Literal["read", "full"]
"""`read`: sees and calls only tools that read. `full`: all of them, by the rules of the gate."""
TokenName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^\P{C}+$")
]
LOCK = ".clients.lock"
TEXT_PREFIX = "flc_"


class ClientToken(BaseModel):
    """What is known of one client's token; its text is known to the client only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^ctok_[0-9a-f]{26}$")
    name: TokenName
    scope: Scope
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_at: str
    """RFC 3339, UTC."""


class ClientTokens(BaseModel):
    """The content of `tokens/NAME.clients.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    tokens: tuple[ClientToken, ...] = ()


def client_tokens_file(server: str) -> Path:
    """Where the tokens of a server's clients are kept, relative to the data directory."""
    return Path("tokens", f"{server}.clients.json")


def digest_of(text: bytes) -> str:
    """What is kept of a token: it is random enough that no salt is needed."""
    return hashlib.sha256(text).hexdigest()


def read_client_tokens(path: Path) -> tuple[ClientToken, ...]:
    """The tokens in a file; none when it is missing. Raises TokenError, or OSError."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise TokenError(f"{path} can be read by other users: run `chmod 600 {path}`")
            return ClientTokens.model_validate_json(file.read()).tokens
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise TokenError(f"{path} is no list of tokens: mend or delete it") from error


def add_client_token(path: Path, *, name: str, scope: Scope) -> tuple[ClientToken, str]:
    """Makes a token: what is kept of it, and its text. Raises TokenError, or OSError."""
    text = f"{TEXT_PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    milliseconds = time.time_ns() // 1_000_000
    try:
        token = ClientToken(
            id=f"ctok_{milliseconds:012x}{secrets.token_hex(7)}",
            name=name,
            scope=scope,
            sha256=digest_of(text.encode()),
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
    except ValidationError as error:
        raise TokenError("the name of a token is 1 to 100 printable characters") from error
    with _locked(path):
        _replace(path, (*read_client_tokens(path), token))
    return token, text


def revoke_client_token(path: Path, token_id: str) -> ClientToken:
    """Ends a token and returns what it was. Raises TokenError when there is none, or OSError."""
    with _locked(path):
        tokens = read_client_tokens(path)
        for token in tokens:
            if token.id == token_id:
                _replace(path, tuple(other for other in tokens if other != token))
                return token
    raise TokenError(f"there is no token {token_id!r} in {path}")


@contextmanager
def _locked(path: Path) -> Generator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, tokens: tuple[ClientToken, ...]) -> None:
    """No earlier text is kept: a copy would hold tokens that were revoked."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(ClientTokens(tokens=tokens).model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
