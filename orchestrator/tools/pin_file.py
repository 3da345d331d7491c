"""The pins on disk."""

from pathlib import Path

from orchestrator.errors import StorageFull
from orchestrator.store.json_file import read_json_document, write_json_document
from orchestrator.tools.pins import PinsDocument


class PinFile:
    """Keeps the pins in one JSON document."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> PinsDocument:
        """Return the pins, none before the first write."""
        return read_json_document(self._path, PinsDocument, PinsDocument())

    def write(self, document: PinsDocument) -> None:
        """Replace the pins on disk. Raises StorageFull."""
        try:
            write_json_document(self._path, document)
        except OSError as error:
            raise StorageFull(
                f"The accepted tools could not be written ({error.strerror}); nothing has changed."
            ) from error
