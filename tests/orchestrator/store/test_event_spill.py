"""The spill, on real files."""

import resource
from pathlib import Path

import pytest

from orchestrator.store.event_spill import EventSpill, left_in
from orchestrator.store.turns import StoredEvent


def event(seq: int, size: int = 10) -> StoredEvent:
    return StoredEvent(seq, "text_delta", b"x" * size)


def test_a_write_that_failed_in_the_middle_hides_none_after_it(tmp_path: Path) -> None:
    spill = EventSpill(tmp_path)
    spill.write([("turn_a", event(2))])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            spill.write([("turn_b", event(2, 5_000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    spill.write([("turn_c", event(2))])
    assert set(left_in(tmp_path)) == {"turn_a", "turn_c"}
    spill.close()
