"""Check of the place where files of chats are kept."""

import asyncio
import secrets
from pathlib import Path

from orchestrator.attachments.signing import ContentSigner
from orchestrator.attachments.stores import blob_store
from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.errors import FlotillaError
from orchestrator.settings import Settings

_VERIFY = "`flotilla attachments verify` compares them with the database"
_NOBODY = "doctor_probe"
"""The name of a blob that nobody writes."""


def stored_files(settings: Settings) -> list[Finding]:
    """Say how large the folder is, or ask the bucket for a file that it does not have."""
    if settings.gcs_bucket_name is None:
        size_bytes = _size_bytes(settings.data_dir / "attachments")
        return [ok("files", f"{size_bytes / 10**6:,.1f} MB; {_VERIFY}.")]
    return asyncio.run(_bucket(settings, settings.gcs_bucket_name))


async def _bucket(settings: Settings, name: str) -> list[Finding]:
    # A key of its own: ours is not needed, and must not be made here.
    signer = ContentSigner(secrets.token_bytes(32))
    remedy = "$EDITOR .env  # GCS_BUCKET_NAME, GOOGLE_APPLICATION_CREDENTIALS"
    try:
        blobs = blob_store(settings, signer)
        try:
            await blobs.stat(_NOBODY)
            unsigned_because = await blobs.unsigned_because()
        finally:
            await blobs.aclose()
    except FlotillaError as error:
        return [problem("files", str(error), remedy)]
    if unsigned_because is not None:
        sentence = f"Flotilla delivers the files of bucket {name} itself. {unsigned_because}"
        return [warn("files", sentence, remedy)]
    return [ok("files", f"The bucket {name} answers; {_VERIFY}.")]


def _size_bytes(folder: Path) -> int:
    """Return the size of all files below a folder, 0 when there is none."""
    return sum(
        path.lstat().st_size
        for path in folder.rglob("*")
        if path.is_file()  # else gone meanwhile, or a folder
    )
