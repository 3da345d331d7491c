"""Google as a provider of accounts: authorization code with PKCE, and its refresh tokens."""

import asyncio
import ssl
import time
from collections.abc import Collection, Mapping
from functools import cached_property

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servers.kit.accounts.provider import Begun, SignedIn, SignInRefused, Tokens
from servers.kit.errors import Unavailable
from servers.kit.google.sending import bounded
from servers.kit.google.settings import GoogleSettings

IDENTITY_SCOPES = ("openid", "https://www.googleapis.com/auth/userinfo.email")
"""Asked for with every sign-in: they tell whose it is."""
TIMEOUT = httpx2.Timeout(connect=5, read=30, write=5, pool=5)
MAX_ANSWER_BYTES = 64 * 1024


class _TokenAnswer(BaseModel):
    """RFC 6749 (5.1), and Google's own field for refresh tokens that end."""

    # Its errors must not show tokens.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: str = Field(min_length=1, repr=False)
    expires_in: float = Field(ge=0)
    refresh_token: str | None = Field(default=None, min_length=1, repr=False)
    refresh_token_expires_in: float | None = Field(default=None, ge=0)
    """Seconds; there while the consent screen is in Testing (7 days)."""
    scope: str | list[str] | None = None

    def as_tokens(self, before: Tokens | None, asked: Collection[str]) -> Tokens:
        now_s = time.time()
        ends_in_s = self.refresh_token_expires_in
        kept_end = before.works_until if before is not None else None
        scopes = self.scope.split() if isinstance(self.scope, str) else self.scope
        return Tokens(
            access_token=self.access_token,
            expires_at=now_s + self.expires_in,
            refresh_token=self.refresh_token or (before.refresh_token if before else None),
            scopes=frozenset(asked if scopes is None else scopes),
            works_until=kept_end if ends_in_s is None else now_s + ends_in_s,
        )


class _Person(BaseModel):
    """OpenID Connect Core (5.1)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    email: str = Field(min_length=3, max_length=254, pattern="^[^@\\s]+@[^@\\s]+$")


class GoogleProvider:
    """Implements `Provider`; `settings` are those of the environment unless given."""

    name = "google"
    title = "Google"

    def __init__(self, settings: GoogleSettings | None = None) -> None:
        self._settings = settings or GoogleSettings()

    def check_configured(self) -> None:
        """Raises NotConfigured."""
        _ = self._settings.client

    async def begin(
        self, *, scopes: Collection[str], redirect_uri: str, state: str, account: str | None
    ) -> Begun:
        """Raises NotConfigured."""
        # Here and below: not with the server, which may never need them.
        from servers.kit.google import flow  # noqa: PLC0415

        begun = flow.address(
            self._settings,
            scopes={*IDENTITY_SCOPES, *scopes},
            redirect_uri=redirect_uri,
            state=state,
            account=account,
        )
        return Begun(begun.url, {"code_verifier": begun.code_verifier})

    async def complete(
        self, *, code: str, redirect_uri: str, scopes: Collection[str], secret: Mapping[str, str]
    ) -> SignedIn:
        """Raises SignInRefused, NotConfigured and Unavailable."""
        from servers.kit.google import flow  # noqa: PLC0415

        asked = {*IDENTITY_SCOPES, *scopes}
        answer = await asyncio.to_thread(
            flow.exchanged,
            self._settings,
            code=code,
            redirect_uri=redirect_uri,
            scopes=asked,
            code_verifier=secret["code_verifier"],
        )
        tokens = _understood(answer).as_tokens(None, asked)
        if tokens.refresh_token is None:
            raise SignInRefused(
                "Google gave access for an hour only. Remove Flotilla at"
                " https://myaccount.google.com/connections and sign in again."
            )
        return SignedIn(await self._address_of(tokens), tokens)

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Raises SignInEnded, NotConfigured and Unavailable."""
        from servers.kit.google.renewal import renewed  # noqa: PLC0415

        if tokens.refresh_token is None:
            raise ValueError("there is no refresh token")
        answer = await asyncio.to_thread(renewed, self._settings, tokens.refresh_token, self._tls)
        return _understood(answer).as_tokens(tokens, tokens.scopes)

    async def revoke(self, tokens: Tokens) -> None:
        """Raises Unavailable."""
        token = tokens.refresh_token or tokens.access_token
        status, content = await self._ask(
            "POST", self._settings.oauth_revoke_uri, data={"token": token}
        )
        # 400 `invalid_token`: it had ended already.
        if status != 200 and not (status == 400 and b"invalid_token" in content):
            raise Unavailable(f"Google could not be told to end the sign-in ({status}).")

    async def _address_of(self, tokens: Tokens) -> str:
        status, content = await self._ask(
            "GET",
            self._settings.userinfo_uri,
            headers={"Authorization": f"Bearer {tokens.access_token}"},
        )
        if status in (401, 403):
            raise SignInRefused(
                "Google does not say whose account it is: leave the e-mail address ticked."
            )
        try:
            if status != 200:
                raise Unavailable(f"Google does not say whose account it is ({status}).")
            return _Person.model_validate_json(content).email.lower()
        except ValidationError as error:
            raise Unavailable("Google does not say whose account it is.") from error

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        try:
            async with httpx2.AsyncClient(
                verify=self._tls,
                timeout=TIMEOUT,
                follow_redirects=False,
                trust_env=False,  # a proxy or .netrc must not see the owner's tokens
                headers={"Accept-Encoding": "identity"},
            ) as http:
                request = http.build_request(method, url, headers=headers, data=data)
                response = await http.send(request, stream=True)
                return response.status_code, await bounded(response, MAX_ANSWER_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable("Google does not answer.") from error

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def _understood(answer: Mapping[str, object]) -> _TokenAnswer:
    try:
        return _TokenAnswer.model_validate(answer)
    except ValidationError as error:
        raise Unavailable("Google's answer to the sign-in could not be understood.") from error
