"""Compares the files' rows with what is stored, and says it in sentences."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.signing import ContentSigner, signing_key
from orchestrator.attachments.stores import blob_store
from orchestrator.attachments.verify import Comparison, compare
from orchestrator.cli.complaint import Complaint
from orchestrator.errors import FlotillaError
from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    lines: list[str]
    is_whole: bool


async def checked(settings: Settings, database: Path, *, delete_orphans: bool) -> Report:
    """Compare, and delete orphans if asked to. Raises Complaint when the bytes cannot be listed."""
    try:
        blobs = blob_store(settings, ContentSigner(signing_key(settings.data_dir)))
        try:
            found = await compare(database, blobs)
            if delete_orphans:
                await _delete(blobs, found.orphans)
            unsigned_because = await blobs.unsigned_because()
        finally:
            await blobs.aclose()
    except FlotillaError as error:
        raise Complaint(str(error)) from error
    is_whole = not (found.without_blob or found.of_other_size)
    lines = _lines(found, are_deleted=delete_orphans)
    if unsigned_because is not None:
        lines.append(
            f"Files are delivered by Flotilla itself, not by the bucket. {unsigned_because}"
        )
    return Report(
        lines,
        is_whole=is_whole and (delete_orphans or not found.orphans),
    )


async def _delete(blobs: BlobStore, orphans: list[str]) -> None:
    for name in orphans:
        await blobs.delete(name)


def _lines(found: Comparison, *, are_deleted: bool) -> list[str]:
    files = "1 file" if found.files == 1 else f"{found.files:,} files"
    lines = [f"{files}, {found.size_bytes:,} bytes."]
    if found.left_to_reaper:
        lines.append(f"{found.left_to_reaper:,} more are coming in or being deleted.")
    lines += [f"{name}: its bytes are gone." for name in found.without_blob]
    lines += [f"{name}: its bytes are of another length." for name in found.of_other_size]
    fate = "deleted" if are_deleted else "delete it with --delete-orphans"
    lines += [f"{name}: stored, but of no file: {fate}." for name in found.orphans]
    return lines
