"""The clients' tokens as the command line uses them: in the files, also while nothing runs."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli.complaint import Complaint
from orchestrator.errors import FlotillaError
from orchestrator.store.client_tokens import ClientTokens


@contextmanager
def client_tokens(data_dir: Path) -> Generator[ClientTokens]:
    """Give the tokens; what they raise in the block becomes a Complaint."""
    try:
        yield ClientTokens(data_dir)
    except FlotillaError as error:
        raise Complaint(str(error)) from error
