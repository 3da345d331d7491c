"""Starts the server that works with accounts, and signs in to it as a person does."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.effects import EffectsServer
from tests.fakes.google import FakeGoogle

ANNA = "anna@example.org"


@dataclass
class SignInServer(EffectsServer):
    """The running server; its orchestrator is one that is not there."""

    def _command(self) -> list[str]:
        module = ["-m", "tests.fakes.sign_in_server"]
        return [sys.executable, *module, "--effects", str(self.effects_file)]

    def ask(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> httpx2.Response:
        """The answer to a request with the server's own token, unless another is given."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with httpx2.Client(timeout=20, trust_env=False) as http:
            return http.request(method, f"{self.origin}{path}", json=body, headers=headers)

    def sign_in(self, *capabilities: str, account: str = ANNA) -> dict[str, Any]:
        """Signs in as the orchestrator does it, which only passes on what comes back."""
        begun = self.ask(
            "POST",
            "/accounts/sign-ins",
            {
                "capabilities": capabilities,
                "account": account,
                "redirect_uri": "http://127.0.0.1:8000/oauth/effects/callback",
            },
        )
        assert begun.status_code == 201, begun.text
        back = consented(begun.json()["url"])
        answer = {name: back[name] for name in ("state", "code", "error") if name in back}
        ended = self.ask("POST", "/accounts/sign-ins/complete", answer)
        assert ended.status_code == 200, ended.text
        return ended.json()


def consented(url: str) -> dict[str, str]:
    """The query of the address that the provider sends a person back to."""
    with httpx2.Client(timeout=20, trust_env=False) as http:
        answer = http.get(url)
    assert answer.status_code == 302, answer.text
    return dict(httpx2.URL(answer.headers["location"]).params)


def clicked(url: str) -> httpx2.Response:
    """The page at which a person ends who goes to an address and consents."""
    with httpx2.Client(timeout=20, trust_env=False, follow_redirects=True) as http:
        return http.get(url)


@contextmanager
def running_sign_in(
    data_dir: Path, google: FakeGoogle, **environment: str
) -> Generator[SignInServer]:
    """The server until the block ends, with its state in `data_dir`."""
    variables = {
        **google.environment,
        "FLOTILLA_VAULT_KEY_FILE": str(data_dir / "vault.key"),
        "FLOTILLA_ORCHESTRATOR_URL": "http://127.0.0.1:9",
        **environment,
    }
    server = SignInServer(data_dir, variables)
    server.start()
    try:
        yield server
    finally:
        server.stop()
