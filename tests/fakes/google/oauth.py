"""The sign-in of the fake Google: for now only the tokens that a test hands out."""

import secrets
from collections.abc import Iterable

from starlette.routing import Route

CLIENT_ID = "flotilla-tests.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-flotilla-tests"


class OAuth:
    """Who has which token, and what it permits."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self._tokens: dict[str, tuple[str, frozenset[str]]] = {}

    def environment(self, url: str) -> dict[str, str]:
        """Return the settings with which a server signs in here, `url` being the fake's."""
        return {
            "GOOGLE_OAUTH_CLIENT_ID": CLIENT_ID,
            "GOOGLE_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
            "GOOGLE_OAUTH_AUTH_URI": f"{url}/o/oauth2/v2/auth",
            "GOOGLE_OAUTH_TOKEN_URI": f"{url}/token",
            "GOOGLE_OAUTH_REVOKE_URI": f"{url}/revoke",
            "GOOGLE_USERINFO_URI": f"{url}/oauth2/v3/userinfo",
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
        }

    def token_for(self, email: str, scopes: Iterable[str]) -> str:
        """Return a new access token of an account."""
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._tokens[token] = (email, frozenset(scopes))
        return token

    def identity(self, bearer_token: str) -> tuple[str, frozenset[str]] | None:
        """Return whose token this is and its scopes; None for one that is not valid."""
        return self._tokens.get(bearer_token)

    def revoke(self, email: str) -> None:
        """Make every token of an account invalid."""
        self._tokens = {key: who for key, who in self._tokens.items() if who[0] != email}
