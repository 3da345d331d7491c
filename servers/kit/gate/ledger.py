"""The one SQLite file in which a server keeps what it did: journal, tickets and audit."""

from pathlib import Path
from typing import Self

from servers.kit.database import Database, DatabaseUnavailable
from servers.kit.gate import schema
from servers.kit.gate.liveness import ProcessId, this_process

_IF_DAMAGED = (
    "put a backup in its place. Without it this server does not know what it did; only if there is"
    " none, move it away, and look before you have it repeat a call."
)


class LedgerUnavailable(DatabaseUnavailable):
    """The ledger cannot be used; the message says why, and what the owner can do."""


def ledger_file(server: str) -> Path:
    """Where a server's ledger is kept, relative to the data directory."""
    return Path("servers", server, "gate.db")


class Ledger(Database):
    """The open file; raises LedgerUnavailable when it cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, schema.prepare, if_damaged=_IF_DAMAGED, unavailable=LedgerUnavailable
        )
        self.process: ProcessId
        """Who writes, as the journal notes it. Set while the ledger is open."""

    async def __aenter__(self) -> Self:
        self.process = this_process()
        return await super().__aenter__()
