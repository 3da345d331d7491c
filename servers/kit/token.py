"""The secrets a server shares with those who may use it: in files, 256 bits each, made once."""

import os
import re
import secrets
import stat
from pathlib import Path

from servers.kit.settings import KitSettings, SystemdSettings

SECRET_BYTES = 32
CREDENTIAL_NAME = "server_token"


class TokenError(Exception):
    """A file with a secret cannot be used; the message says which one and what to do."""


def token_file(server: str) -> Path:
    """Where a server's token is kept, relative to the data directory."""
    return Path("tokens", server)


def server_token(server: str, settings: KitSettings, systemd: SystemdSettings) -> str:
    """What a client must show: from the environment, else as `kept_secret` says.

    Raises TokenError.
    """
    if settings.server_token is not None:
        return settings.server_token.get_secret_value()
    return kept_secret(settings.data_dir / token_file(server), CREDENTIAL_NAME, systemd)


def kept_secret(path: Path, credential: str, systemd: SystemdSettings) -> str:
    """The secret in the systemd credential of that name, else in the file at `path`.

    The file is made when it is missing. Raises TokenError when one exists but holds no secret.
    """
    if systemd.credentials_directory is not None:
        given = systemd.credentials_directory / credential
        if given.is_file():
            return _checked(given)
    if not path.exists():
        make_secret(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenError(f"{path} can be read by other users: run `chmod 600 {path}`")
    return _checked(path)


def make_secret(path: Path) -> None:
    """Makes the file, complete from the first moment; whoever comes second keeps the first's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails when the name is taken, as O_EXCL does, but never shows a half-written file.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _checked(path: Path) -> str:
    secret = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{43,}", secret):
        raise TokenError(f"{path} holds no secret (43 or more of A-Za-z0-9_-): delete the file")
    return secret
