"""Check of the accounts that servers of the fleet work with: who has to sign in, and when."""

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.cli.doctor.running import Running
from orchestrator.cli.door import Door
from orchestrator.domain.accounts import Account
from orchestrator.domain.times import utc_now
from orchestrator.settings import Settings

TIMEOUT_S = 5.0
NEAR = timedelta(days=2)
"""So long before a sign-in ends it is time to renew it."""


class _Seen(BaseModel):
    """A part of `GET /api/accounts`."""

    server: str
    provider_title: str | None
    setup: str | None
    state: Literal["ok", "needs_sign_in", "not_configured", "unavailable"]
    accounts: tuple[Account, ...]


_SEEN = TypeAdapter(list[_Seen])


def accounts(settings: Settings, running: Running) -> list[Finding]:
    """Ask the orchestrator, which asks the servers; those that are away have a check of their own.

    Nothing is said while it does not run.
    """
    if not running.is_up:
        return []
    try:
        answer = Door(settings, timeout_s=TIMEOUT_S).ask("GET", "/api/accounts")
        seen = _SEEN.validate_python(answer["items"])
    except Complaint as complaint:
        return [problem("accounts", str(complaint), "flotilla up")]
    except (ValidationError, KeyError, TypeError):
        sentence = "They are listed in a way that this version does not know."
        return [problem("accounts", sentence, "flotilla up")]
    return [finding for one in seen for finding in _of_server(one)]


def _of_server(seen: _Seen) -> Iterator[Finding]:
    subject = f"accounts {seen.server}"
    login = f"flotilla login {shlex.quote(seen.server)}"
    if seen.setup is not None:
        yield warn(subject, seen.setup, "$EDITOR .env")
    elif seen.state == "needs_sign_in" and not seen.accounts:
        yield warn(subject, f"Nobody is signed in to {seen.provider_title}.", login)
    for account in seen.accounts:
        again = f"{login} --account {shlex.quote(account.account)}"
        if account.state != "ok":
            why = account.problem or "It needs a new sign-in."
            yield problem(subject, f"{account.account}: {why}", again)
        elif account.works_until is not None and _is_near(account.works_until):
            ends = f"{account.account}: this sign-in ends at {account.works_until}."
            yield warn(subject, ends, again)
        else:
            yield ok(subject, f"{account.account} is signed in.")


def _is_near(moment: str) -> bool:
    return datetime.fromisoformat(moment) - utc_now() < NEAR
