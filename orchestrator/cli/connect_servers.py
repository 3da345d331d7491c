"""Which servers a client is connected to, and how it would start them itself."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.door import own_address
from orchestrator.cli.fleet import FleetDocument, list_fleet
from orchestrator.domain.client_configs import ClientScope, StdioServer
from orchestrator.domain.servers import ServerConfig
from orchestrator.settings import Settings
from orchestrator.store.document_folder import DocumentFolder


def chosen_servers(data_dir: Path, names: Sequence[str], *, everything: bool) -> dict[str, str]:
    """Return the addresses of servers of the fleet, by name. Raises Complaint.

    They are those of the owner's document; of a server that is not in it, its own.
    """
    configured = {server.id: server for server in _configured(data_dir)}
    if everything and not names and configured:
        return _ours({name: one for name, one in configured.items() if one.enabled})
    fleet = asyncio.run(list_fleet()) if everything or set(names) - configured.keys() else []
    urls = {server.name: server.url for server in fleet} | _ours(configured)
    if everything:
        names = [*names, *(server.name for server in fleet if server.enabled_by_default)]
    for name in names:
        if name in configured and configured[name].trust != "fleet":
            raise Complaint(f"{name} is not ours to connect: ask those who run it.")
        if name not in urls:
            raise Complaint(f"There is no server {name!r}. There are: {', '.join(sorted(urls))}.")
    if not names:
        raise Complaint("Say which servers: --server NAME, or --all.")
    return {name: urls[name] for name in names}


def stdio_server(settings: Settings, name: str, scope: ClientScope) -> StdioServer:
    """Return the command with which a client starts a server, in whatever folder."""
    read_only = ("--read-only",) if scope == "read" else ()
    return StdioServer(
        name,
        sys.executable,
        ("-m", "servers", "run", name, "--stdio", *read_only),
        {
            "FLOTILLA_DATA_DIR": str(settings.data_dir.absolute()),
            "FLOTILLA_ORCHESTRATOR_URL": own_address(settings),
        },
    )


def _configured(data_dir: Path) -> tuple[ServerConfig, ...]:
    if not FleetDocument(data_dir).exists:
        return ()
    folder = DocumentFolder(data_dir)
    with folder.locked():
        return folder.read().mcp_servers.servers


def _ours(configured: dict[str, ServerConfig]) -> dict[str, str]:
    return {name: server.url for name, server in configured.items() if server.trust == "fleet"}
