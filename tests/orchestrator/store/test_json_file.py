"""JSON documents: atomic, validated, never lost."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from orchestrator.store.json_file import read_json_document, write_json_document


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    count: int = 0


DEFAULT = Note(text="default")


def test_a_document_is_read_back_and_private(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "note.json"
    assert read_json_document(path, Note, DEFAULT) == DEFAULT
    write_json_document(path, Note(text="größer", count=2))
    assert read_json_document(path, Note, DEFAULT) == Note(text="größer", count=2)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "größer" in path.read_text()


def test_a_corrupt_document_is_set_aside_and_the_last_good_copy_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "note.json"
    write_json_document(path, Note(text="first"))
    write_json_document(path, Note(text="second"))
    path.write_text('{"text": 3}')
    with caplog.at_level(logging.ERROR):
        assert read_json_document(path, Note, DEFAULT) == Note(text="first")
    assert "text: Input should be a valid string" in caplog.text
    assert [file.read_text() for file in tmp_path.glob("note.json.corrupt-*")] == ['{"text": 3}']


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=200))
def test_no_garbage_stops_a_start(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "note.json"
    path.write_bytes(garbage)
    assert isinstance(read_json_document(path, Note, DEFAULT), Note)


def test_a_failed_write_leaves_the_old_text_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    write_json_document(path, Note(text="old"))
    path.with_name("note.json.bak").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_json_document(path, Note(text="new"))
    assert read_json_document(path, Note, DEFAULT) == Note(text="old")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["note.json", "note.json.bak"]
