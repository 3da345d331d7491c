"""`flotilla attachments`: whether the files are where their rows say."""

from typing import Annotated

import typer

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.frame import loaded_settings

app = typer.Typer(help="Files in chats.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `verify` a command of its own, also while there is no other."""


@app.command()
def verify(
    delete_orphans: Annotated[
        bool, typer.Option(help="Delete what is stored but belongs to no file.")
    ] = False,
) -> None:
    """Compare rows and stored bytes both ways; exit with 1 when they differ."""
    with loaded_settings() as settings:
        import asyncio  # noqa: PLC0415 - quick --help

        from orchestrator.cli.verify_attachments import checked  # noqa: PLC0415

        path = settings.data_dir / "chat_sessions.db"
        if not path.exists():
            raise Complaint(
                f"There is no {path}: call this in the folder where Flotilla was started."
            )
        report = asyncio.run(checked(settings, path, delete_orphans=delete_orphans))
        for line in report.lines:
            typer.echo(line)
        if not report.is_whole:
            raise typer.Exit(1)
