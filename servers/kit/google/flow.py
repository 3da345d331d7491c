"""The address of a sign-in and the exchange of its code, by google-auth-oauthlib.

Imports `requests` (8 MB), so it is imported when somebody signs in.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

import requests
from google_auth_oauthlib.flow import (  # pyright: ignore[reportMissingTypeStubs]  # it has none
    Flow,
)
from oauthlib.oauth2 import OAuth2Error  # pyright: ignore[reportMissingTypeStubs]

from servers.kit.accounts.provider import NotConfigured, SignInRefused
from servers.kit.errors import Unavailable
from servers.kit.google.settings import SETUP, GoogleSettings

TIMEOUT_S = (5.0, 30.0)
"""To connect, and between two pieces of the answer."""
# At DEBUG they write codes and tokens.
_TALKATIVE = ("oauthlib", "requests_oauthlib", "urllib3")


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    code_verifier: str = field(repr=False)


def address(
    settings: GoogleSettings,
    *,
    scopes: Collection[str],
    redirect_uri: str,
    state: str,
    account: str | None,
) -> Address:
    """Where the person signs in, with PKCE. Raises NotConfigured."""
    flow = _flow(settings, scopes, redirect_uri)
    hint = {} if account is None else {"login_hint": account}
    url, _ = flow.authorization_url(
        access_type="offline",
        # Without it Google gives a refresh token the first time only.
        prompt="consent",
        state=state,
        **hint,
    )
    return Address(url, str(flow.code_verifier))


def exchanged(
    settings: GoogleSettings,
    *,
    code: str,
    redirect_uri: str,
    scopes: Collection[str],
    code_verifier: str,
) -> dict[str, Any]:
    """What Google answers to a code: access_token, refresh_token, expires_in, scope and more.

    Blocks. Raises SignInRefused, NotConfigured and Unavailable.
    """
    flow = _flow(settings, scopes, redirect_uri)
    flow.code_verifier = code_verifier
    session = flow.oauth2session
    session.trust_env = False  # a proxy or .netrc must not see the code
    session.max_redirects = 0
    session.register_compliance_hook("access_token_response", _check_it_answered)
    try:
        # With its default, Basic, the secret is sent the way that fewer stand-ins know.
        flow.fetch_token(code=code, include_client_id=True, timeout=TIMEOUT_S)
    except Warning as changed:
        # oauthlib raises when other scopes were granted than asked for: a person may untick some.
        return _plain(cast("Any", changed).token)
    except OAuth2Error as error:
        raise _refused(error) from error
    except (requests.RequestException, ValueError) as error:
        raise Unavailable("Google could not complete the sign-in: try again.") from error
    return _plain(session.token)


def _flow(settings: GoogleSettings, scopes: Collection[str], redirect_uri: str) -> Any:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)
    client = settings.client
    config = {
        client.kind: {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "auth_uri": settings.oauth_auth_uri,
            "token_uri": settings.oauth_token_uri,
        }
    }
    # Any: the library has no types.
    flow = cast("Any", Flow)
    return flow.from_client_config(config, scopes=sorted(scopes), redirect_uri=redirect_uri)


def _check_it_answered(response: requests.Response) -> requests.Response:
    if response.status_code >= 500 or response.status_code == 429:
        raise Unavailable(f"Google cannot complete the sign-in now ({response.status_code}).")
    return response


def _refused(error: OAuth2Error) -> Exception:
    said = str(error.description or error.error)
    match error.error:
        case "invalid_client" | "unauthorized_client":
            return NotConfigured(f"Google does not take the client id or its secret: {said}")
        case "redirect_uri_mismatch":
            return SignInRefused(
                f"Google does not know the address it shall send you back to: {said}. {SETUP}."
            )
        case "invalid_grant":
            return SignInRefused(
                f"The code of this sign-in is used up or too old ({said}): begin again."
            )
        case _:
            return SignInRefused(f"Google refused the sign-in: {said}")


def _plain(token: Any) -> dict[str, Any]:
    return dict(token)
