"""Compares rows and blobs both ways, also while Flotilla runs."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from orchestrator.attachments.blobs import BlobInfo, BlobStore
from orchestrator.domain.times import utc_now
from orchestrator.store import attachments
from orchestrator.store.attachments import RowState
from orchestrator.store.database import opened_read_only

ORPHAN_AGE = timedelta(hours=1)
"""A younger blob without a row may be one whose row we read too early to see."""


@dataclass(slots=True)
class Comparison:
    """What fits and what does not; lists of ids."""

    files: int = 0
    size_bytes: int = 0
    left_to_reaper: int = 0
    """Files that are being deleted, or that are coming in."""
    without_blob: list[str] = field(default_factory=list[str])
    of_other_size: list[str] = field(default_factory=list[str])
    orphans: list[str] = field(default_factory=list[str])
    """Blobs without a row."""


async def compare(database: Path, blobs: BlobStore) -> Comparison:
    """Compare the rows in the file `database` with `blobs`.

    Raises BlobStoreUnavailable, BlobStoreRefused.
    """
    before = _rows(database)
    found = {info.name: info async for info in blobs.names()}
    after = _rows(database)
    result = Comparison()
    for attachment_id, row in after.items():
        if row.state != "ready":
            result.left_to_reaper += 1
            continue
        result.files += 1
        result.size_bytes += row.size_bytes
        # What became ready while we were listing may be missing from the list.
        if before.get(attachment_id) == row:
            _compare_one(result, attachment_id, row, found.get(attachment_id))
    oldest = utc_now() - ORPHAN_AGE
    result.orphans = sorted(
        info.name
        for info in found.values()
        if info.name not in before and info.name not in after and info.created_at < oldest
    )
    return result


def _compare_one(
    result: Comparison, attachment_id: str, row: RowState, blob: BlobInfo | None
) -> None:
    if blob is None:
        result.without_blob.append(attachment_id)
    elif blob.size_bytes != row.size_bytes:
        result.of_other_size.append(attachment_id)


def _rows(database: Path) -> dict[str, RowState]:
    with opened_read_only(database) as conn:
        return attachments.states(conn)
