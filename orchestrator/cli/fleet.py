"""The fleet as the supervisor sees it: its list, its document, and what its servers report."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator.cli.complaint import Complaint
from orchestrator.domain.servers import ServerConfig
from orchestrator.store.document_folder import Contents, DocumentFolder, Stamp

LIST_TIMEOUT_S = 30
DOCUMENT = "mcp_servers"


class FleetServer(BaseModel):
    """One entry of `python -m servers list --json`."""

    name: str
    title: str
    url: str
    token_file: str
    enabled_by_default: bool


class ServerReport(BaseModel):
    """One line of `python -m servers up --json`."""

    server: str
    pid: int
    url: str
    state: Literal["ready", "down"]


_SERVERS = TypeAdapter(list[FleetServer])


class FleetDocument:
    """The part of `data/mcp_servers.json` that says which servers of the fleet shall run."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = DocumentFolder(data_dir)
        self._stamp: Stamp | None = None
        self._known: Contents | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one already."""
        return self._folder.path(DOCUMENT).exists()

    def has_changed(self) -> bool:
        """Tell whether it was written since the last look."""
        before, self._stamp = self._stamp, self._folder.stamp()
        return self._stamp != before

    def enabled_servers(self) -> list[str]:
        """Return the servers of the fleet that shall run.

        After the first time this only looks: to set aside an edit that cannot be used is for the
        orchestrator, which knows what was in force. Until then that stays.
        """
        with self._folder.locked():
            self._known, _ = self._look()
        servers = self._known.mcp_servers.servers
        return [server.id for server in servers if server.enabled and server.trust == "fleet"]

    def _look(self) -> tuple[Contents, dict[str, str]]:
        if self._known is None:
            return self._folder.read(), {}
        return self._folder.glance(self._known)

    def adopt(self, fleet: list[FleetServer]) -> list[str]:
        """Add what is new in the fleet; return the new servers that shall run.

        One that the owner removed is not new. While the document cannot be used, nothing is added
        until the next start.
        """
        with self._folder.locked():
            now, problems = self._look()
            if problems:
                return []
            document = now.mcp_servers
            known = {*document.known_fleet, *(server.id for server in document.servers)}
            added = tuple(_config(server) for server in fleet if server.name not in known)
            changed = document.model_copy(
                update={
                    "servers": (*document.servers, *added),
                    "known_fleet": tuple(sorted({*known, *(server.name for server in fleet)})),
                }
            )
            self._known = replace(now, mcp_servers=changed)
            self._folder.replace(now, self._known)
        return [server.id for server in added if server.enabled]


async def list_fleet() -> list[FleetServer]:
    """Return all servers of this checkout. Raises Complaint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servers", "list", "--json", stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(LIST_TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError as error:
        raise Complaint(f"The fleet cannot be listed within {LIST_TIMEOUT_S} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return _SERVERS.validate_json(output)
    except ValidationError as error:
        words = errors.decode(errors="replace").strip().splitlines()
        raise Complaint(f"The fleet cannot be listed: {(words or ['no answer'])[-1]}") from error


def _config(server: FleetServer) -> ServerConfig:
    return ServerConfig(
        id=server.name,
        title=server.title,
        url=server.url,
        enabled=server.enabled_by_default,
        trust="fleet",
        token_file=server.token_file,
    )
