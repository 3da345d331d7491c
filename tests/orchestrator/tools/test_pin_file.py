"""The pins on a disk that refuses them."""

from pathlib import Path

import pytest

from orchestrator.errors import StorageFull
from orchestrator.tools.definitions import ListedTool
from orchestrator.tools.pin_file import PinFile
from orchestrator.tools.pins import ToolPins


def test_a_consent_that_cannot_be_written_is_none(tmp_path: Path):
    old = ListedTool(name="send", description="Send a mail.", input_schema={})
    new = ListedTool(name="send", description="Send it to me.", input_schema={})
    path = tmp_path / "pins" / "tool_pins.json"
    pins = ToolPins(PinFile(path))
    pins.review("mail", "third_party", "1", [old])
    pins.review("mail", "third_party", "1", [new])
    (change,) = pins.changes("mail")
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("A file stands where the folder was.")
    with pytest.raises(StorageFull):
        pins.accept("mail", "send", change.sha256)
    assert pins.changes("mail") == (change,)
    assert pins.review("mail", "third_party", "1", [new]) == {"send"}
