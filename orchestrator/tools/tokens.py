"""The bearer tokens of the servers, read anew for each connect so that a changed one is used."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.servers import ServerConfig
from orchestrator.environment import secret_variable
from orchestrator.settings import is_own_variable
from orchestrator.tools.failures import ExchangeFailed


class ServerTokens:
    """Finds a server's token where its configuration says; `secret` opens the vault."""

    def __init__(
        self, data_dir: Path, secret: Callable[[str], str | None] = lambda _name: None
    ) -> None:
        self._data_dir = data_dir
        self._secret = secret

    def __call__(self, config: ServerConfig) -> str | None:
        """Return the token, or None when there is none (yet).

        Raises ExchangeFailed when a document that was edited by hand names a secret of our own.
        """
        if config.token_env is not None:
            if is_own_variable(config.token_env):
                raise ExchangeFailed(
                    "auth",
                    f"{config.token_env} is Flotilla's own and is shown to no server; "
                    "give token_env another name",
                )
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
