"""Encrypts what a server keeps of its accounts, with a key that is outside the data."""

import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from servers.kit.errors import NotAllowed
from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.token import make_secret

CREDENTIAL_NAME = "vault_key"


class VaultUnusable(NotAllowed):
    """The key cannot be used; the message says why and what the owner can do."""


class SecretUnreadable(Exception):
    """A secret was encrypted with another key, or for something else, or changed since."""


class Vault:
    """Seals and opens the secrets of one server.

    The file holds one key a line: the first encrypts, all of them decrypt, so a key is replaced by
    putting a new one above it. It is read each time, so that a change of it is noticed at once.
    """

    def __init__(self, server: str, settings: KitSettings, systemd: SystemdSettings) -> None:
        self._server = server
        given = systemd.credentials_directory
        home = settings.config_home or Path.home() / ".config"
        self.key_file = settings.vault_key_file or home / "flotilla" / "vault.key"
        # systemd lets the unit read its credentials by an access list, which looks like the group.
        self._forbidden_mode = stat.S_IRWXG | stat.S_IRWXO
        if given is not None and (given / CREDENTIAL_NAME).is_file():
            self.key_file = given / CREDENTIAL_NAME
            self._forbidden_mode = stat.S_IRWXO

    def seal(self, kind: str, name: str, values: Mapping[str, object]) -> bytes:
        """The values, encrypted, to be opened as the same kind and name only.

        Makes the key when there is none. Raises VaultUnusable.
        """
        try:
            if not self.key_file.exists():
                make_secret(self.key_file)
        except OSError as error:
            raise self._unusable(error) from error
        plain = json.dumps({"of": [self._server, kind, name], "values": dict(values)})
        return self._fernet().encrypt(plain.encode())

    def open(self, kind: str, name: str, sealed: bytes) -> dict[str, object]:
        """What was sealed. Raises SecretUnreadable, and VaultUnusable."""
        try:
            opened = json.loads(self._fernet().decrypt(sealed))
        except InvalidToken as error:
            raise SecretUnreadable(f"{self.key_file} does not open it") from error
        # Fernet has no associated data: what is copied from another row is told by this.
        if opened["of"] != [self._server, kind, name]:
            raise SecretUnreadable("it belongs to something else")
        return opened["values"]

    def _fernet(self) -> MultiFernet:
        path = self.key_file
        try:
            if path.stat().st_mode & self._forbidden_mode:
                raise VaultUnusable(f"{path} can be read by other users: run `chmod 600 {path}`.")
            lines = path.read_text(encoding="ascii").split()
            if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=?", line) for line in lines):
                raise ValueError("not 256 bits in base64")
            # The files hold them without the padding that Fernet wants.
            return MultiFernet([Fernet(line.rstrip("=") + "=") for line in lines])
        except FileNotFoundError as error:
            raise SecretUnreadable(f"{path} is missing") from error
        except OSError as error:
            raise self._unusable(error) from error
        except ValueError as error:
            raise VaultUnusable(
                f"{path} holds no key of the vault. Put the right one back; without it, delete the"
                " file and sign in again."
            ) from error

    def _unusable(self, error: OSError) -> VaultUnusable:
        return VaultUnusable(
            f"The key that accounts are encrypted with, {self.key_file}, cannot be used:"
            f" {error.strerror}. Put it back; if it is lost, sign in again."
        )
