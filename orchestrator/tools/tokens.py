"""The bearer tokens of the servers, read anew for each connect so that a changed one is used."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.servers import ServerConfig
from orchestrator.environment import secret_variable


class ServerTokens:
    """Finds a server's token where its configuration says; `secret` opens the vault."""

    def __init__(
        self, data_dir: Path, secret: Callable[[str], str | None] = lambda _name: None
    ) -> None:
        self._data_dir = data_dir
        self._secret = secret

    def __call__(self, config: ServerConfig) -> str | None:
        """Return the token, or None when there is none (yet)."""
        if config.token_env is not None:
            return secret_variable(config.token_env)
        if config.token_secret is not None:
            return self._secret(config.token_secret)
        if config.token_file is None:
            return None
        try:
            text = (self._data_dir / config.token_file).read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return text.strip() or None
