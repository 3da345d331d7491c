"""Checks the audit trails where they are kept: our own file, and each server of the fleet."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.approvals.chains import Chain
from orchestrator.cli.complaint import Complaint
from orchestrator.domain.servers import ServerConfig, ServersDocument
from orchestrator.errors import FlotillaError
from orchestrator.settings import Settings
from orchestrator.store import audit
from orchestrator.store.database import opened_read_only
from orchestrator.store.json_file import read_json_document
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.records import ServerRecords
from orchestrator.tools.side_requests import SideRequests
from orchestrator.tools.tokens import ServerTokens

ROWS_AT_ONCE = 500
Seen = Mapping[str, Mapping[int, str]]
"""Hashes of rows that servers showed before, by server and position."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one trail."""

    source: str
    sentence: str
    is_whole: bool


def verdicts(settings: Settings) -> list[Verdict]:
    """Return one for the orchestrator and one for each server of the fleet.

    Nothing of ours has to run for the first. Raises Complaint when there is no database.
    """
    path = settings.data_dir / "mcp_servers.json"
    document = read_json_document(path, ServersDocument, ServersDocument())
    fleet = [server for server in document.servers if server.trust == "fleet"]
    requests = SideRequests(ServerTokens(settings.data_dir), ssl.create_default_context())
    records = ServerRecords(requests)
    own, seen = _own(settings)
    return [own, *asyncio.run(_of_servers(records, fleet, seen))]


def _own(settings: Settings) -> tuple[Verdict, Seen]:
    """Return what is known of our own trail, and what it holds of the others."""
    path = settings.data_dir / "chat_sessions.db"
    if not path.exists():
        raise Complaint(f"There is no {path}: call this in the folder where Flotilla was started.")
    with opened_read_only(path) as conn:
        count, broken = audit.check(conn)
        seen = audit.heads_seen(conn)
    return _verdict("orchestrator", count, broken), seen


async def _of_servers(
    records: ServerRecords, fleet: list[ServerConfig], seen: Seen
) -> list[Verdict]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_of_server(records, server, seen.get(server.id, {})))
            for server in fleet
        ]
    return [task.result() for task in tasks]


async def _of_server(
    records: ServerRecords, server: ServerConfig, seen: Mapping[int, str]
) -> Verdict:
    if not server.enabled:
        return Verdict(server.id, "is switched off; not checked.", is_whole=True)
    chain = Chain()
    try:
        while True:
            page = await records.audit_rows(server, after=chain.position, limit=ROWS_AT_ONCE)
            for row in page.items:
                position = chain.position + 1
                if not chain.take(row) or row["hash"] != seen.get(position, row["hash"]):
                    return _verdict(server.id, chain.position, position)
            if not page.items:
                is_whole = chain.ends_with(page.head.position, page.head.hash)
                if max(seen, default=0) > chain.position:
                    return _cut(server.id, chain.position, max(seen))
                broken = None if is_whole else chain.position + 1
                return _verdict(server.id, chain.position, broken)
    except (ExchangeFailed, FlotillaError) as error:
        return Verdict(server.id, f"cannot be checked: {error}.", is_whole=False)


def _cut(source: str, count: int, seen: int) -> Verdict:
    sentence = f"it ends with row {count}, but row {seen} was seen before: the end was cut off."
    return Verdict(source, sentence, is_whole=False)


def _verdict(source: str, count: int, broken: int | None) -> Verdict:
    if broken is None:
        rows = "1 row" if count == 1 else f"{count:,} rows"
        return Verdict(source, f"{rows}, nothing changed.", is_whole=True)
    sentence = f"row {broken} was changed, or follows one that was removed."
    return Verdict(source, sentence, is_whole=False)
