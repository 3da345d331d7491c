"""Which place for blobs the settings name."""

from pathlib import Path

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.signing import ContentSigner, OwnAddresses
from orchestrator.environment import secret_variable
from orchestrator.settings import Settings

_KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


def blob_store(settings: Settings, signer: ContentSigner) -> BlobStore:
    """Return the bucket that is set, else the folder in data/.

    Raises BlobStoreRefused when the folder cannot be used; a bucket is not asked yet.
    """
    own = OwnAddresses(signer, settings.address)
    if settings.gcs_bucket_name is None:
        return LocalBlobStore(settings.data_dir / "attachments", own)
    # Google's library costs memory that only those who have a bucket should pay.
    from orchestrator.attachments.gcs_access import Place  # noqa: PLC0415
    from orchestrator.attachments.gcs_blobs import GcsBlobStore  # noqa: PLC0415

    key_file = secret_variable(_KEY_VARIABLE)
    return GcsBlobStore(
        Place(
            bucket=settings.gcs_bucket_name,
            project=settings.gcp_project_id,
            emulator=settings.storage_emulator_host,
            key_file=Path(key_file) if key_file else None,
        ),
        own=own,
    )
