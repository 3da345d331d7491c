"""The secret a client must show: one per server, 256 bits, made once."""

import os
import re
import secrets
import stat
from pathlib import Path

from servers.kit.settings import KitSettings, SystemdSettings

TOKEN_BYTES = 32
CREDENTIAL_NAME = "server_token"


class TokenError(Exception):
    """A token file cannot be used; the message says which one and what to do."""


def token_file(server: str) -> Path:
    """Where a server's token is kept, relative to the data directory."""
    return Path("tokens", server)


def server_token(server: str, settings: KitSettings, systemd: SystemdSettings) -> str:
    """The server's token: from the environment, else a systemd credential, else its file.

    The file is made when it is missing. Raises TokenError when one exists but holds no token.
    """
    if settings.server_token is not None:
        return settings.server_token.get_secret_value()
    if systemd.credentials_directory is not None:
        credential = systemd.credentials_directory / CREDENTIAL_NAME
        if credential.is_file():
            return _checked(credential)
    path = settings.data_dir / token_file(server)
    if not path.exists():
        _create(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenError(f"{path} can be read by other users: run `chmod 600 {path}`")
    return _checked(path)


def _create(path: Path) -> None:
    """Makes the file, complete from the first moment; whoever comes second keeps the first's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(TOKEN_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails when the name is taken, as O_EXCL does, but never shows a half-written file.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _checked(path: Path) -> str:
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{43,}", token):
        raise TokenError(f"{path} holds no token (43 or more of A-Za-z0-9_-): delete the file")
    return token
