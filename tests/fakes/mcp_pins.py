"""A pin store without a disk."""

from orchestrator.tools.pins import PinsDocument


class PinsInMemory:
    """Pins that last as long as the process."""

    def __init__(self) -> None:
        self.document = PinsDocument()

    def read(self) -> PinsDocument:
        return self.document

    def write(self, document: PinsDocument) -> None:
        self.document = document
