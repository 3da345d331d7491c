"""`flotilla login`: sign in to an account that a server of the fleet works with."""

import os
import sys
from typing import Annotated

import typer

from orchestrator.cli.frame import loaded_settings

Capabilities = Annotated[
    list[str] | None,
    typer.Option("--capability", help="What to permit, e.g. read; may be given repeatedly."),
]


def login(
    server: Annotated[str, typer.Argument(help="A server of the fleet, e.g. gmail.")],
    capability: Capabilities = None,
    account: Annotated[str, typer.Option(help="Which account it shall be.")] = "",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, open nothing.")
    ] = False,
) -> None:
    """Sign in to an account at its provider; nothing has to run for it."""
    with loaded_settings() as settings:
        from orchestrator.environment import child_environment  # noqa: PLC0415 - quick --help

        asked = [part for name in capability or [] for part in ("--capability", name)]
        asked += ["--account", account] if account else []
        asked += ["--no-browser"] if no_browser else []
        command = [sys.executable, "-m", "servers", "login", *asked, "--", server]
        environment = child_environment({"FLOTILLA_DATA_DIR": str(settings.data_dir.absolute())})
        # In our place: it talks to the person at this terminal, whose Ctrl-C is for it.
        os.execve(command[0], command, environment)  # noqa: S606 - our own program, no shell
