"""How a server reaches the orchestrator it belongs to, where there is one."""

import ssl
from pathlib import Path

import httpx2

from servers.kit.settings import KitSettings


def api_token_file(server: str) -> Path:
    """Where the orchestrator puts the token a server shows it, relative to the data directory."""
    return Path("tokens", f"{server}.api")


class Orchestrator:
    """Its address, and the token it gave this server."""

    def __init__(self, server: str, settings: KitSettings) -> None:
        self.url = settings.orchestrator_url.rstrip("/")
        self.token_path = settings.data_dir / api_token_file(server)

    @property
    def token(self) -> str | None:
        """None without an orchestrator.

        It is read anew each time: the orchestrator makes it, perhaps after we started.
        """
        try:
            return self.token_path.read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def client(self, token: str, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
        """A client that shows the token to this orchestrator and to nobody else."""
        return httpx2.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
            verify=self._tls(),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,  # a proxy or .netrc must not see what is the owner's
        )

    def _tls(self) -> ssl.SSLContext:
        # Loading the system's certificates takes 20 ms and 1 MB; the usual loopback has no TLS.
        if self.url.startswith("https:"):
            return ssl.create_default_context()
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
