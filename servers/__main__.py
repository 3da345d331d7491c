"""The fleet's command line: run one server, list them, start a new one, keep them all up."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from servers.kit.cli.approvals import add_approval_commands
from servers.kit.cli.sign_ins import NotSignedIn, add_sign_in_commands
from servers.kit.cli.tokens import add_token_commands
from servers.kit.gate.ledger import LedgerUnavailable
from servers.kit.gate.terminal import NotDecided
from servers.kit.manifest import Manifest, ManifestError, all_manifests, load_manifest
from servers.kit.parent_death import die_with_parent
from servers.kit.preload import preload
from servers.kit.scaffold import ScaffoldError, write_server
from servers.kit.serve import BindRefused, serve, serve_stdio
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings
from servers.kit.supervisor import OnReady, ServerEvent, Supervisor
from servers.kit.token import TokenError, token_file

ERRORS = (
    ManifestError, TokenError, BindRefused, ScaffoldError, LedgerUnavailable, NotDecided,
    NotSignedIn, OSError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 with one line on stderr that says what to do."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m servers", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run one server in this process")
    run.add_argument("name")
    run.add_argument("--stdio", action="store_true", help="speak MCP on stdin and stdout")
    run.add_argument(
        "--read-only", action="store_true", help="with --stdio: only the tools that read"
    )
    run.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    run.add_argument("--port", type=_port, help="port to listen on; 0 takes any free one")
    run.add_argument("--json", action="store_true", help="print the ready line as JSON")
    run.set_defaults(command=_run)
    listing = commands.add_parser("list", help="list all servers")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_list)
    new = commands.add_parser("new", help="write a small new server and its tests")
    new.add_argument("name")
    new.set_defaults(command=_new)
    add_token_commands(commands)
    add_approval_commands(commands)
    add_sign_in_commands(commands)
    up = commands.add_parser("up", help="run several servers and keep them running")
    up.add_argument("names", nargs="*", metavar="NAME", help="default: those enabled by default")
    up.add_argument("--port", type=int, choices=[0], help="0: any free ports, not the manifests'")
    up.add_argument("--json", action="store_true", help="print one JSON object per state change")
    up.add_argument(
        "--orders",
        action="store_true",
        help="read lines with the names that shall run from now on from stdin",
    )
    up.set_defaults(command=_up)
    return parser


def _run(options: argparse.Namespace) -> None:
    settings = _settings(options)
    manifest = load_manifest(options.name)
    if options.stdio:
        serve_stdio(_server(manifest.name), settings, is_read_only=options.read_only)
        return
    if options.read_only:
        raise BindRefused("--read-only is for --stdio; over HTTP, the token of a client says it.")

    def announce(url: str) -> None:
        _print_event(options.json, ServerEvent(manifest.name, os.getpid(), url, "ready"))

    serve(_server(manifest.name), settings, on_ready=announce)


def _list(options: argparse.Namespace) -> None:
    settings = KitSettings()
    manifests = all_manifests()
    if options.json:
        print(json.dumps([_description(manifest, settings) for manifest in manifests], indent=2))
        return
    for manifest in manifests:
        mark = "*" if manifest.enabled_by_default else " "
        print(f"{mark} {manifest.name:<20} {manifest.port}  {manifest.description}")


def _description(manifest: Manifest, settings: KitSettings) -> dict[str, object]:
    return {
        "name": manifest.name,
        "title": manifest.title,
        "description": manifest.description,
        "port": manifest.port,
        "url": f"http://{settings.server_host}:{manifest.port}/mcp",
        "token_file": str(token_file(manifest.name)),
        "enabled_by_default": manifest.enabled_by_default,
        "tier": manifest.tier,
        "tools": {
            name: {"labels": sorted(tool.labels), "level": tool.level}
            for name, tool in manifest.tools.items()
        },
    }


def _new(options: argparse.Namespace) -> None:
    for path in write_server(options.name):
        print(path)


def _up(options: argparse.Namespace) -> None:
    parent_pid = os.getppid()
    die_with_parent(signal.SIGTERM, parent_pid)
    chosen = [manifest.name for manifest in _chosen(options.names, may_be_none=options.orders)]
    # One token for all would let each server act as any other.
    settings = KitSettings().model_copy(update={"server_token": None, "server_port": options.port})

    def serve_named(name: str, on_ready: OnReady) -> None:
        serve(_server(name), settings, on_ready=on_ready)

    names = [manifest.name for manifest in all_manifests()] if options.orders else chosen
    servers = {name: partial(serve_named, name) for name in names}
    orders = sys.stdin.fileno() if options.orders else None
    preload()
    Supervisor(servers, partial(_print_event, options.json), wanted=chosen, orders=orders).run()


def _chosen(names: Sequence[str], *, may_be_none: bool) -> list[Manifest]:
    """The named servers; one that is gone must not keep the others from starting."""
    if may_be_none and not names:
        return []
    if not names:
        return [manifest for manifest in all_manifests() if manifest.enabled_by_default]
    chosen: list[Manifest] = []
    for name in dict.fromkeys(names):
        try:
            chosen.append(load_manifest(name))
        except ManifestError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    if not chosen and not may_be_none:
        raise ManifestError(f"none of these servers exists: {', '.join(names)}")
    return chosen


def _settings(options: argparse.Namespace) -> KitSettings:
    given = {"server_port": options.port, "server_host": options.host}
    return KitSettings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not a port: use 0 to 65535")
    return port


def _server(name: str) -> FleetServer[object]:
    return import_module(f"servers.{name}.server").mcp


def _print_event(as_json: bool, event: ServerEvent) -> None:
    if as_json:
        line = json.dumps(
            {"server": event.server, "pid": event.pid, "url": event.url, "state": event.state}
        )
    else:
        line = f"{event.server}: {event.state} {event.url}".rstrip()
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
