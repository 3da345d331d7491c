"""`flotilla connect`, `connections`, `disconnect`: servers of the fleet for other MCP clients."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.frame import loaded_settings
from orchestrator.domain.client_configs import (
    PLACES,
    RIGHTS,
    TITLES,
    ClientName,
    ClientScope,
    HttpServer,
    client_config,
    entry_name,
)

if TYPE_CHECKING:
    from orchestrator.store.client_tokens import ClientTokens, Minted

ServerNames = Annotated[list[str] | None, typer.Option(help="A server; may be given repeatedly.")]
BundleFile = Annotated[
    Path | None, typer.Option(help="Write an extension for Claude Desktop to FILE.mcpb.")
]


def connect(
    client: Annotated[ClientName, typer.Argument(help="Which program.")],
    server: ServerNames = None,
    all_: Annotated[bool, typer.Option("--all", help="All servers that are switched on.")] = False,
    scope: Annotated[ClientScope, typer.Option(help="read: only tools that read.")] = "read",
    stdio: Annotated[bool, typer.Option("--stdio", help="The client starts the servers.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into the client's own file.")
    ] = False,
    bundle: BundleFile = None,
) -> None:
    """Print what another MCP client needs to use servers of the fleet, with fresh tokens."""
    with loaded_settings() as settings:
        from orchestrator.cli.connect_servers import chosen_servers, stdio_server  # noqa: PLC0415
        from orchestrator.cli.connect_tokens import client_tokens  # noqa: PLC0415 - quick --help

        if bundle is not None and (client != "claude-desktop" or write or stdio):
            raise Complaint("--bundle is for claude-desktop, without --write and --stdio.")
        urls = chosen_servers(settings.data_dir, server or [], everything=all_)
        if stdio:
            started = [stdio_server(settings, name, scope) for name in urls]
            _hand_out(client, scope, client_config(client, started), write=write)
            return
        with client_tokens(settings.data_dir) as tokens:
            if bundle is not None:
                _pack(tokens, bundle, urls, scope)
            else:
                _connect(client, scope, urls, tokens, write=write)


def connections() -> None:
    """List the tokens that other MCP clients have."""
    with loaded_settings() as settings:
        from orchestrator.cli.connect_tokens import client_tokens  # noqa: PLC0415
        from orchestrator.cli.table import table  # noqa: PLC0415

        with client_tokens(settings.data_dir) as tokens:
            rows = [
                (token.id, server, token.scope, token.name, token.created_at)
                for server, token in tokens.all()
            ]
        typer.echo(table(("id", "server", "scope", "name", "since"), rows))


def disconnect(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="From `flotilla connections`.")],
) -> None:
    """End the token of a client; its server refuses it within a second."""
    with loaded_settings() as settings:
        from orchestrator.cli.connect_tokens import client_tokens  # noqa: PLC0415

        with client_tokens(settings.data_dir) as tokens:
            server, token = tokens.revoke(token_id)
        typer.echo(f"{token.name} can no longer use {server}.")


def _connect(
    client: ClientName,
    scope: ClientScope,
    urls: dict[str, str],
    tokens: "ClientTokens",
    *,
    write: bool,
) -> None:
    if write:
        from orchestrator.cli.connect_files import read_config  # noqa: PLC0415

        # A file that cannot be changed shall not leave tokens behind.
        read_config(client)
    minted = tokens.mint(urls, name=TITLES[client], scope=scope)
    try:
        servers = [HttpServer(made.server, urls[made.server], made.text) for made in minted]
        _hand_out(client, scope, client_config(client, servers), write=write, tokens=tokens)
    except BaseException:
        for made in minted:
            tokens.revoke(made.token.id)
        raise
    _say_how_to_end(minted)


def _hand_out(
    client: ClientName,
    scope: ClientScope,
    config: dict[str, dict[str, object]],
    *,
    write: bool,
    tokens: "ClientTokens | None" = None,
) -> None:
    if write:
        from orchestrator.cli.connect_files import write_config  # noqa: PLC0415

        written = write_config(client, config)
        typer.echo(f"Written to {written.path}.")
        if written.backup is not None:
            typer.echo(f"What it was before is in {written.backup}.")
        # What it replaced is used by nobody any more.
        if tokens is not None and tokens.revoke_text(written.replaced):
            typer.echo("The tokens of the entries it replaced are revoked.")
    else:
        typer.echo(json.dumps(config, indent=2))
        typer.echo(f"This belongs into {PLACES[client]}.", err=True)
    typer.echo(f"{TITLES[client]} {RIGHTS[scope]} (scope {scope}).", err=True)
    if client in ("claude-code", "vscode") and tokens is not None:
        typer.echo("That file then holds a token: keep it out of version control.", err=True)
    typer.echo(f"Then start {TITLES[client]} again.", err=True)


def _pack(tokens: "ClientTokens", bundle: Path, urls: dict[str, str], scope: ClientScope) -> None:
    from orchestrator.cli.connect_bundle import write_bundle  # noqa: PLC0415

    if len(urls) != 1:
        raise Complaint("An extension is for one server: name it with --server.")
    ((server, url),) = urls.items()
    write_bundle(bundle, server, url)
    minted = tokens.mint([server], name=TITLES["claude-desktop"], scope=scope)
    typer.echo(minted[0].text)
    typer.echo(
        f"Open {bundle} with Claude Desktop and give it the token above; the file holds none.\n"
        f"Claude Desktop {RIGHTS[scope]} (scope {scope}).",
        err=True,
    )
    _say_how_to_end(minted)


def _say_how_to_end(minted: "list[Minted]") -> None:
    for made in minted:
        typer.echo(
            f"{entry_name(made.server)}: `flotilla disconnect {made.token.id}` ends it.", err=True
        )
