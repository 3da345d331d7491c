"""`approvals`, `approve` and `deny`: what waits for the owner at one server."""

import argparse
from typing import Any

from servers.kit.gate.terminal import decide_in_terminal, waiting_approvals
from servers.kit.manifest import load_manifest
from servers.kit.settings import KitSettings


def add_approval_commands(commands: Any) -> None:
    """Adds them to the parser's subcommands."""
    waiting = commands.add_parser("approvals", help="list what waits for the owner at one server")
    waiting.add_argument("name")
    waiting.set_defaults(command=_approvals)
    approve = commands.add_parser("approve", help="approve one of those, in a terminal")
    approve.add_argument("name")
    approve.add_argument("ticket", metavar="ID")
    approve.set_defaults(command=_decide, approve=True, reason=None)
    deny = commands.add_parser("deny", help="deny one of those, in a terminal")
    deny.add_argument("name")
    deny.add_argument("ticket", metavar="ID")
    deny.add_argument("--reason", help="what the model is told")
    deny.set_defaults(command=_decide, approve=False)


def _approvals(options: argparse.Namespace) -> None:
    print(waiting_approvals(load_manifest(options.name), KitSettings()))


def _decide(options: argparse.Namespace) -> None:
    manifest, settings = load_manifest(options.name), KitSettings()
    said = decide_in_terminal(
        manifest, settings, options.ticket, approve=options.approve, reason=options.reason
    )
    print(said)
