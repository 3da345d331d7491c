"""Which place for blobs the settings name."""

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.signing import ContentSigner
from orchestrator.settings import Settings


def blob_store(settings: Settings, signer: ContentSigner) -> BlobStore:
    """Return the folder in data/. Raises BlobStoreRefused when it cannot be used."""
    return LocalBlobStore(settings.data_dir / "attachments", signer, settings.address)
