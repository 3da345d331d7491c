"""`login`, `accounts` and `logout`: who is signed in at one server."""

import argparse
import asyncio
import contextlib
import sys
import threading
import webbrowser
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

from servers.kit.accounts import Accounts
from servers.kit.accounts.loopback import Loopback
from servers.kit.accounts.models import Account
from servers.kit.accounts.providers import provider_of
from servers.kit.accounts.returning import FAILURES, query_of
from servers.kit.cli.stdin_lines import lines_of
from servers.kit.manifest import Manifest, load_manifest
from servers.kit.settings import DesktopSettings

R = TypeVar("R")

_WHY_IT_ENDS: Final = {
    "google": (
        "Google ends the sign-ins of a consent screen in Testing after 7 days. Sign in again then;"
        " or publish the app, which needs no review for your own use, and sign in once more:"
        " console.cloud.google.com > Google Auth Platform > Audience > Publish app."
    )
}


class NotSignedIn(Exception):
    """Nothing came of a command about accounts; the message says why."""


def add_sign_in_commands(commands: Any) -> None:
    """Adds them to the parser's subcommands."""
    login = commands.add_parser("login", help="sign in to an account that a server works with")
    login.add_argument("name")
    login.add_argument(
        "--capability", action="append", default=[], help="what to permit; may be repeated"
    )
    login.add_argument("--account", help="the account to choose, where there are several")
    login.add_argument("--no-browser", action="store_true", help="only print the address")
    login.set_defaults(command=_login)
    accounts = commands.add_parser("accounts", help="list who is signed in at a server")
    accounts.add_argument("name")
    accounts.set_defaults(command=_accounts)
    logout = commands.add_parser("logout", help="end a sign-in, here and at its provider")
    logout.add_argument("name")
    logout.add_argument("account")
    logout.set_defaults(command=_logout)


def _login(options: argparse.Namespace) -> None:
    manifest = load_manifest(options.name)
    work = _signed_in(manifest, options.capability, options.account, not options.no_browser)
    account = _run(work)
    may = ", ".join(account.capabilities) or "nothing that this server needs"
    print(f"Signed in as {account.account}. {manifest.title} may: {may}.")
    if account.works_until is not None and manifest.sign_in is not None:
        print(f"It works until {_local(account.works_until)}. ", end="")
        print(_WHY_IT_ENDS[manifest.sign_in.provider])


def _accounts(options: argparse.Namespace) -> None:
    manifest = load_manifest(options.name)
    setup, found = _run(_listed(manifest))
    if setup is not None:
        print(setup)
    for account in found:
        mark = "*" if account.is_default else " "
        state = "works" if account.state == "ok" else "has to sign in again"
        if account.state == "ok" and account.works_until is not None:
            state = f"works until {_local(account.works_until)}"
        print(f"{mark} {account.account}  {state}  ({', '.join(account.capabilities) or '-'})")
        if account.problem is not None:
            print(f"    {account.problem}")
    if not found:
        print(f"Nobody has signed in. `python -m servers login {manifest.name}` does.")


def _logout(options: argparse.Namespace) -> None:
    print(_run(_forgotten(load_manifest(options.name), options.account)))


async def _signed_in(
    manifest: Manifest, capabilities: list[str], account: str | None, may_open_browser: bool
) -> Account:
    accounts = _accounts_of(manifest)
    async with accounts.opened():
        loopback = await Loopback.open(accounts, capabilities, account)
        try:
            _show(accounts.provider.title, loopback.begun.url, may_open_browser)
            return await _first(loopback)
        finally:
            await loopback.close()


def _show(provider: str, url: str, may_open_browser: bool) -> None:
    print(f"Sign in to {provider} at this address:\n\n  {url}\n")
    print(
        "If the browser is on another machine, it ends at a page that cannot be reached: paste the"
        " whole address of that page here.",
        flush=True,
    )
    desktop = DesktopSettings()
    has_browser = sys.platform == "darwin" or any(
        (desktop.browser, desktop.display, desktop.wayland_display)
    )
    if may_open_browser and has_browser:
        # Some browsers return only when they are closed.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


async def _first(loopback: Loopback) -> Account:
    """The account, by whichever way the sign-in comes back first."""
    left_s = (loopback.begun.expires_at - datetime.now(UTC)).total_seconds()
    pasting = asyncio.create_task(_pasted(loopback))
    try:
        async with asyncio.timeout(left_s):
            return await loopback.ended()
    except TimeoutError as error:
        raise NotSignedIn("Nobody signed in within 10 minutes: begin again.") from error
    finally:
        pasting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pasting


async def _pasted(loopback: Loopback) -> None:
    """Takes addresses from stdin until one is right."""
    async for line in lines_of(sys.stdin.fileno()):
        if not line.strip():
            continue
        try:
            await loopback.take(query_of(line))
        except FAILURES as error:
            if loopback.is_over:
                return
            print(error, file=sys.stderr)


async def _listed(manifest: Manifest) -> tuple[str | None, list[Account]]:
    accounts = _accounts_of(manifest)
    async with accounts.opened():
        return accounts.setup(), await accounts.listed()


async def _forgotten(manifest: Manifest, account: str) -> str:
    accounts = _accounts_of(manifest)
    async with accounts.opened():
        return (await accounts.forget(account)).message


def _accounts_of(manifest: Manifest) -> Accounts:
    if (sign_in := manifest.sign_in) is None:
        raise NotSignedIn(f"{manifest.name} works without an account: there is nothing to do.")
    return Accounts(manifest.name, sign_in, partial(provider_of, sign_in.provider))


def _run(work: Coroutine[Any, Any, R]) -> R:
    try:
        return asyncio.run(work)
    except FAILURES as error:
        raise NotSignedIn(str(error)) from error
    except KeyboardInterrupt as error:
        raise NotSignedIn("It was stopped.") from error


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
