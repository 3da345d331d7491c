"""What comes back from a provider, by whichever way, and what is told of it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import Account, SignInDenied, SignInUnknown
from servers.kit.accounts.provider import NotConfigured, SignInRefused
from servers.kit.errors import InvalidInput, NotAllowed, NotFound, Unavailable, UpstreamError

FAILURES = (SignInUnknown, SignInDenied, SignInRefused, NotConfigured, UpstreamError)
"""Why a sign-in, or a question about accounts, came to nothing; `str(error)` says it."""

_TOLD = (
    (SignInUnknown, 404, "sign_in_unknown"),
    (SignInDenied, 400, "sign_in_denied"),
    (SignInRefused, 400, "sign_in_refused"),
    (NotConfigured, 409, "not_configured"),
    (NotAllowed, 409, "not_configured"),
    (NotFound, 404, "not_found"),
    (InvalidInput, 422, "invalid_request"),
    (Unavailable, 502, "unavailable"),
)


def told(error: Exception) -> tuple[int, str]:
    """The HTTP status and the code of one of the FAILURES."""
    for kind, status, code in _TOLD:
        if isinstance(error, kind):
            return status, code
    raise TypeError(f"{type(error).__name__} is no way for a sign-in to fail")


async def completed(accounts: Accounts, answer: Mapping[str, str]) -> Account:
    """Ends a sign-in with the query of the address it came back to.

    Raises what `Accounts.complete` and `Accounts.deny` raise, and InvalidInput.
    """
    state, code, error = (answer.get(name) for name in ("state", "code", "error"))
    if not state or not (code or error):
        raise InvalidInput("This is not the address a sign-in comes back to: state or code lack.")
    if error:
        await accounts.deny(state=state, error=error, description=answer.get("error_description"))
    return await accounts.complete(state=state, code=code or "")


def query_of(address: str) -> dict[str, str]:
    """The query of an address, as a person may paste it, as names and values."""
    try:
        return dict(parse_qsl(urlsplit(address.strip().strip("'\"<>")).query))
    except ValueError:
        return {}
