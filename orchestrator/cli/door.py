"""The HTTP API as the command line uses it: over loopback, with the token of this machine."""

import ssl
from http import HTTPStatus
from typing import Any

import httpx2

from orchestrator.cli.complaint import Complaint
from orchestrator.settings import Settings

TIMEOUT_S = 10


class Door:
    """Asks the running orchestrator."""

    def __init__(self, settings: Settings, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._address = own_address(settings)
        self._host = f"127.0.0.1:{settings.port}"
        self._token_file = settings.data_dir / "tokens" / "cli"
        # Loopback speaks plain HTTP; a bare context spares loading the authorities' certificates.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of the answer. Raises Complaint."""
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise Complaint(
                f"There is no token in {self._token_file.absolute()}: start Flotilla with "
                "`flotilla up`, or call this in the folder where it was started."
            ) from error
        answer = self._send(method, path, token, body)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return None
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise Complaint(
                f"Flotilla does not accept the token in {self._token_file}. "
                "Start it again: it makes a new one."
            )
        if answer.is_error:
            raise Complaint(_detail(answer))
        return answer.json()

    def _send(self, method: str, path: str, token: str, body: object) -> httpx2.Response:
        try:
            with httpx2.Client(
                base_url=self._address, verify=self._tls, trust_env=False, timeout=self._timeout_s
            ) as client:
                headers = {"Authorization": f"Bearer {token}", "Host": self._host}
                return client.request(method, path, headers=headers, json=body)
        except httpx2.TransportError as error:
            raise Complaint(
                f"Nothing answers at {self._address}. Start Flotilla with `flotilla up`."
            ) from error


def own_address(settings: Settings) -> str:
    """Return where this machine reaches the orchestrator."""
    return f"http://{_reachable(settings.host)}:{settings.port}"


def sign_in_address(settings: Settings, code: str) -> str:
    """Return the sign-in link. The code is in the fragment, which browsers never send."""
    return f"{settings.address}/#sign-in={code}"


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to leave it
    return f"[{host}]" if ":" in host else host


def _detail(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The orchestrator answered {answer.status_code}."
