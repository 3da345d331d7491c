"""The `flotilla` command. Each command imports what it needs, so that --help is quick."""

import os
import sys
from typing import Annotated, Literal

import typer

from orchestrator.cli import attachments, audit, connect, inbox, login
from orchestrator.cli.frame import complaints, loaded_settings

TokenScope = Literal["owner", "read_history"]

app = typer.Typer(
    help="Flotilla: a personal assistant on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
token_app = typer.Typer(help="API tokens for programs.", no_args_is_help=True)
app.add_typer(token_app, name="token")
app.add_typer(audit.app, name="audit")
app.add_typer(attachments.app, name="attachments")

WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True)]


@app.callback()
def keep_private() -> None:
    """Whatever a command writes (messages, tokens, logs) is for its owner only."""
    os.umask(0o077)


@app.command()
def up() -> None:
    """Start the fleet and the orchestrator, and print a sign-in link."""
    with loaded_settings() as settings:
        from orchestrator.cli.up import bring_up  # noqa: PLC0415 - see the module docstring

        bring_up(settings)


@app.command()
def serve(with_parent: WithParent = False) -> None:
    """Run the orchestrator alone."""
    with loaded_settings() as settings:
        from orchestrator.cli.parent_death import die_with_parent  # noqa: PLC0415
        from orchestrator.cli.serve import serve_orchestrator  # noqa: PLC0415

        if with_parent:
            die_with_parent()
        serve_orchestrator(settings)


@app.command()
def practice(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9100,
    with_parent: WithParent = False,
) -> None:
    """Run the practice model, which answers without a key and without internet."""
    import runpy  # noqa: PLC0415

    from orchestrator.cli.parent_death import die_with_parent  # noqa: PLC0415

    if with_parent:
        die_with_parent()
    sys.argv = ["orchestrator.practice", "--port", str(port)]
    runpy.run_module("orchestrator.practice", run_name="__main__", alter_sys=True)


@app.command("sign-in")
def sign_in() -> None:
    """Print a new one-time sign-in link."""
    with loaded_settings() as settings:
        from orchestrator.cli.door import Door, sign_in_address  # noqa: PLC0415

        link = Door(settings).ask("POST", "/api/auth/links")
        typer.echo(sign_in_address(settings, link["code"]))
        typer.echo(f"Good once, until {link['expires_at']}.", err=True)


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="A setting, e.g. FLOTILLA_PORT.")] = "",
    example: Annotated[bool, typer.Option(help="Print the text of .env.example.")] = False,
) -> None:
    """Say which value a setting has and where it comes from; all of them without KEY."""
    with complaints():
        from orchestrator.cli.env_example import example_env  # noqa: PLC0415
        from orchestrator.cli.explain import explanation, overview  # noqa: PLC0415

        if example:
            typer.echo(example_env(), nl=False)
        else:
            typer.echo(explanation(key) if key else overview())


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check what is configured, reachable, signed in and writable; exit with 1 on a problem."""
    from orchestrator.cli.doctor.checks import diagnosis  # noqa: PLC0415
    from orchestrator.cli.doctor.report import as_json as json_report  # noqa: PLC0415
    from orchestrator.cli.doctor.report import as_table  # noqa: PLC0415

    examination = diagnosis()
    typer.echo(json_report(examination) if as_json else as_table(examination))
    code = 0 if examination.is_well else 1
    if examination.is_over:
        raise typer.Exit(code)
    sys.stdout.flush()
    # What still waits for a disk or a name server would keep the process.
    os._exit(code)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    scope: Annotated[TokenScope, typer.Option(help="What it may do.")] = "owner",
) -> None:
    """Make an API token. Its text is shown this once, on standard output."""
    with loaded_settings() as settings:
        from orchestrator.cli.door import Door  # noqa: PLC0415

        body = {"name": name, "scope": scope}
        token = Door(settings).ask("POST", "/api/auth/tokens", body)
        typer.echo(token["token"])
        typer.echo(f"{token['id']}: keep it now, it is not shown again.", err=True)


@token_app.command("list")
def token_list() -> None:
    """List the API tokens in force."""
    with loaded_settings() as settings:
        from orchestrator.cli.door import Door  # noqa: PLC0415
        from orchestrator.cli.table import table  # noqa: PLC0415

        tokens = Door(settings).ask("GET", "/api/auth/tokens")["items"]
        rows = [
            (token["id"], token["name"], token["scope"], token["last_used_at"] or "never")
            for token in tokens
        ]
        typer.echo(table(("id", "name", "scope", "last used"), rows))


@token_app.command("revoke")
def token_revoke(token_id: Annotated[str, typer.Argument(help="Its id, from the list.")]) -> None:
    """End an API token at once."""
    with loaded_settings() as settings:
        from orchestrator.cli.door import Door  # noqa: PLC0415

        Door(settings).ask("DELETE", f"/api/auth/tokens/{token_id}")
        typer.echo(f"{token_id} is revoked.")


for command in (
    *(inbox.approvals, inbox.approve, inbox.deny),
    *(connect.connect, connect.connections, connect.disconnect, login.login),
):
    app.command()(command)
