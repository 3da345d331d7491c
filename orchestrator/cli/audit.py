"""`flotilla audit`: what was done and decided, and whether the trails are whole."""

from typing import Annotated

import typer

from orchestrator.cli.frame import loaded_settings

app = typer.Typer(
    help="What was done and decided.",
    invoke_without_command=True,
)


@app.callback()
def newest(
    context: typer.Context,
    server: Annotated[str, typer.Option(help="Only this server, or `orchestrator`.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many rows.")] = 20,
) -> None:
    """List the newest rows of the orchestrator and of all servers."""
    if context.invoked_subcommand is not None:
        return
    with loaded_settings() as settings:
        from urllib.parse import urlencode  # noqa: PLC0415 - quick --help

        from orchestrator.cli.door import Door  # noqa: PLC0415
        from orchestrator.cli.readable import plain  # noqa: PLC0415
        from orchestrator.cli.table import table  # noqa: PLC0415

        query = {"limit": limit} | ({"server": server} if server else {})
        page = Door(settings).ask("GET", f"/api/audit?{urlencode(query)}")
        names = ("at", "source", "actor", "action", "tool", "subject")
        rows = [[plain(entry[name] or "") for name in names] for entry in page["items"]]
        typer.echo(table(names, rows))
        if page["unavailable"]:
            names = ", ".join(page["unavailable"])
            typer.echo(f"Away or switched off, so rows may be missing: {names}.", err=True)


@app.command()
def verify() -> None:
    """Check that nobody changed a row; else exit with 1."""
    with loaded_settings() as settings:
        from orchestrator.cli.verify import verdicts  # noqa: PLC0415 - quick --help

        is_whole = True
        for verdict in verdicts(settings):
            typer.echo(f"{verdict.source}: {verdict.sentence}")
            is_whole = is_whole and verdict.is_whole
        if not is_whole:
            raise typer.Exit(1)
