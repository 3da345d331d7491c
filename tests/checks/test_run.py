"""The runner of the checks: what it calls a success."""

import sys
from pathlib import Path

import pytest

from tests.checks.run import Failed, run_static, run_tests
from tests.checks.steps import LIGHT, PYTEST, Step


def saying(text: str, code: int = 0) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r}); raise SystemExit({code})")


def file_with(folder: Path, text: str) -> Step:
    (folder / "test_it.py").write_text(text)
    return Step("tests", (*PYTEST, *LIGHT, f"--rootdir={folder}", str(folder)))


def test_a_step_with_its_proof_passes():
    output, _ = run_static(Step("size", saying("12 files ok"), r"[1-9]\d* files ok"))
    assert output == "12 files ok\n"


def test_a_failing_step_shows_its_output_and_the_command_to_repeat():
    with pytest.raises(Failed, match=r"(?s)too long.*repeat with: \.venv/bin/python -c"):
        run_static(Step("size", saying("too long", 1)))


def test_a_step_that_checked_nothing_fails():
    with pytest.raises(Failed, match="CHECKED NOTHING"):
        run_static(Step("size", saying("0 files ok"), r"[1-9]\d* files ok"))


def test_tests_are_counted(tmp_path: Path):
    step = file_with(tmp_path, "def test_a(): pass\ndef test_b(): assert False\n")
    assert run_tests(step) == (1, 1)


def test_a_run_without_tests_fails(tmp_path: Path):
    assert run_tests(file_with(tmp_path, "")) == (0, 1)


def test_a_skipped_test_fails_the_run(tmp_path: Path):
    text = "import pytest\ndef test_a(): pytest.skip('later')\ndef test_b(): pass\n"
    with pytest.raises(Failed, match="SKIPPED 1"):
        run_tests(file_with(tmp_path, text))
