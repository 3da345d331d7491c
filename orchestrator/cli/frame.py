"""What surrounds every command: settings come in, complaints go out, a person answers."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.complaint import Complaint

if TYPE_CHECKING:
    from orchestrator.settings import Settings


@contextmanager
def complaints() -> Generator[None]:
    """Print what the person can mend as a sentence, and exit with 1."""
    from orchestrator.settings import InvalidSettings  # noqa: PLC0415 - quick --help

    try:
        yield
    except (Complaint, InvalidSettings) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@contextmanager
def loaded_settings() -> Generator["Settings"]:
    """Give the settings in force; name the variables in `.env` that mean nothing."""
    with complaints():
        from orchestrator.settings import load_settings, unknown_variables  # noqa: PLC0415

        for name in unknown_variables():
            typer.echo(f"{name} in .env is not a setting; see .env.example.", err=True)
        yield load_settings()


def need_a_person(instead: str) -> None:
    """Raise Complaint unless somebody sees what is printed here and can answer."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Complaint(f"This needs a person at a terminal. {instead}")
