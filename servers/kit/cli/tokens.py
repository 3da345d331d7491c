"""`token`, `tokens` and `revoke`: who may come to a server."""

import argparse
import sys
from pathlib import Path
from typing import Any

from servers.kit.client_tokens import (
    add_client_token,
    client_tokens_file,
    read_client_tokens,
    revoke_client_token,
)
from servers.kit.manifest import load_manifest
from servers.kit.settings import KitSettings


def add_token_commands(commands: Any) -> None:
    """Adds them to the parser's subcommands."""
    token = commands.add_parser("token", help="make a token for one client of a server")
    token.add_argument("name")
    token.add_argument("--scope", choices=["read", "full"], default="read", help="default read")
    token.add_argument("--name", dest="what", default="a client", help="what it is for")
    token.set_defaults(command=_token)
    tokens = commands.add_parser("tokens", help="list the tokens of a server's clients")
    tokens.add_argument("name")
    tokens.set_defaults(command=_tokens)
    revoke = commands.add_parser("revoke", help="end the token of a client within a second")
    revoke.add_argument("name")
    revoke.add_argument("token_id", metavar="ID")
    revoke.set_defaults(command=_revoke)


def _token(options: argparse.Namespace) -> None:
    token, text = add_client_token(_client_tokens(options), name=options.what, scope=options.scope)
    print(text)
    print(f"{token.id}, scope {token.scope}: keep it now, it is not shown again.", file=sys.stderr)


def _tokens(options: argparse.Namespace) -> None:
    for token in read_client_tokens(_client_tokens(options)):
        print(f"{token.id}  {token.scope:<4}  {token.created_at}  {token.name}")


def _revoke(options: argparse.Namespace) -> None:
    token = revoke_client_token(_client_tokens(options), options.token_id)
    print(f"{token.id} ({token.name}) is revoked.")


def _client_tokens(options: argparse.Namespace) -> Path:
    return KitSettings().data_dir / client_tokens_file(load_manifest(options.name).name)
