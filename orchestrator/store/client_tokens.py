"""The tokens of the servers' clients: files beside those of the servers, which read them.

The files hold digests only. Whoever changes one holds a lock, here and at the servers, so that no
token is lost and none that was revoked comes back.
"""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from orchestrator.domain.client_configs import ClientScope
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.values import Value
from orchestrator.errors import Conflict, NotFound, StorageFull

TOKEN_TEXT = re.compile(r"flc_[A-Za-z0-9_-]{43}")
_LOCK = ".clients.lock"
_SUFFIX = ".clients.json"


class ClientToken(Value):
    """What is known of one client's token; its text is known to the client only."""

    id: str = Field(pattern=r"^ctok_[0-9a-f]{26}$")
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    scope: ClientScope
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_at: str


class _Tokens(Value):
    version: Literal[1] = 1
    tokens: tuple[ClientToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token, with its text; nobody can see it again."""

    server: str
    token: ClientToken
    text: str


class ClientTokens:
    """All client tokens below one data folder. Each method may wait for a lock and for the disk.

    Raises Conflict when a file cannot be used, StorageFull when it cannot be written.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "tokens"

    def all(self) -> list[tuple[str, ClientToken]]:
        """Return the tokens in force, each with its server."""
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        return [(path.name.removesuffix(_SUFFIX), token) for path in paths for token in _read(path)]

    def mint(self, servers: Iterable[str], *, name: str, scope: ClientScope) -> list[Minted]:
        """Make a token for each of the servers, or for none."""
        minted: list[Minted] = []
        with self._locked():
            try:
                for server in servers:
                    minted.append(self._mint(server, name, scope))  # noqa: PERF401 - see except
            except BaseException:
                for made in minted:
                    self._remove(made.server, made.token)
                raise
        return minted

    def revoke(self, token_id: str) -> tuple[str, ClientToken]:
        """End a token; return it with its server. Raises NotFound."""
        with self._locked():
            for server, token in self.all():
                if token.id == token_id:
                    self._remove(server, token)
                    return server, token
        raise NotFound(f"No client has the token {token_id!r}. `flotilla connections` lists them.")

    def revoke_text(self, text: str) -> bool:
        """End every token whose text is within `text`; tell whether there was one."""
        digests = {hashlib.sha256(one.encode()).hexdigest() for one in TOKEN_TEXT.findall(text)}
        with self._locked():
            found = [(server, token) for server, token in self.all() if token.sha256 in digests]
            for server, token in found:
                self._remove(server, token)
        return bool(found)

    def _mint(self, server: str, name: str, scope: ClientScope) -> Minted:
        text = f"flc_{secrets.token_urlsafe(32)}"
        token = ClientToken(
            id=new_id("ctok"),
            name=name,
            scope=scope,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            created_at=now_rfc3339(),
        )
        path = self._path(server)
        _replace(path, (*_read(path), token))
        return Minted(server, token, text)

    def _remove(self, server: str, token: ClientToken) -> None:
        path = self._path(server)
        _replace(path, tuple(other for other in _read(path) if other != token))

    def _path(self, server: str) -> Path:
        return self._folder / f"{server}{_SUFFIX}"

    @contextmanager
    def _locked(self) -> Generator[None]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _not_written(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _read(path: Path) -> tuple[ClientToken, ...]:
    try:
        return _Tokens.model_validate_json(path.read_bytes()).tokens
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise Conflict(f"{path} is no list of tokens: mend or delete it.") from error
    except OSError as error:
        raise Conflict(f"{path} cannot be read: {error.strerror}.") from error


def _replace(path: Path, tokens: tuple[ClientToken, ...]) -> None:
    """Keep no earlier text: a copy would hold tokens that were revoked."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_Tokens(tokens=tokens).model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _not_written(error) from error


def _not_written(error: OSError) -> StorageFull:
    return StorageFull(f"The tokens cannot be written ({error.strerror}); nothing has changed.")
