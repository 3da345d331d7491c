"""Runs the checks of `steps.py`: `python -m tests.checks.run [static]`.

Static checks run two at a time and are reported in the order of the table; tests follow and show
their progress. The first failure ends the run and names the command that repeats it.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

from frontend.build import environment
from tests.checks.steps import BUILT, INSTALL, ROOT, STATIC, TESTS, Step

AT_ONCE = 2
NOTHING_COLLECTED = 5


class Failed(Exception):
    """A step did not pass; the message is what to print."""


def main(arguments: list[str]) -> int:
    """Run all steps, or the static ones; returns an exit code."""
    started = time.monotonic()
    only_static = arguments == ["static"]
    passed, failed = 0, 0
    try:
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for steps in (INSTALL, BUILT, STATIC):
                report(steps, pool)
        for step in () if only_static else TESTS:
            passed_here, failed = run_tests(step)
            passed += passed_here
            if failed:
                break
    except Failed as failure:
        print(failure, flush=True)
        failed = 1
    if not only_static:
        print(f"==== {passed} passed, {failed} failed in {time.monotonic() - started:.1f} s ====")
    return int(failed > 0)


def report(steps: Iterable[Step], pool: ThreadPoolExecutor) -> None:
    """Run `steps` side by side and print one line for each, in their order."""
    futures: list[tuple[Step, Future[tuple[str, float]]]] = []
    futures.extend((step, pool.submit(run_static, step)) for step in steps)
    try:
        for step, future in futures:
            output, seconds = future.result()
            print(f"{heading(step)} ok {seconds:6.1f} s", flush=True)
            print("".join(notes(output)), end="", flush=True)
    finally:
        for _, future in futures:
            future.cancel()


def run_static(step: Step) -> tuple[str, float]:
    """Run a step with its output held back; returns the output and the seconds it took."""
    started = time.monotonic()
    run = subprocess.run(
        step.command,
        cwd=ROOT,
        env={**environment(), **step.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise Failed(f"{heading(step)} FAILED\n{run.stdout}\n{repeat(step)}")
    if not re.search(step.proof, plain(run.stdout), re.MULTILINE):
        raise Failed(f"{heading(step)} CHECKED NOTHING\n{run.stdout}\n{repeat(step)}")
    return run.stdout, time.monotonic() - started


def run_tests(step: Step) -> tuple[int, int]:
    """Run pytest in the open; returns how many tests passed and failed."""
    print(f"\n{step.name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.xml"
        command = [*step.command, f"--junitxml={result}"]
        code = subprocess.call(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL)
        passed, failed, skipped = counts(result)
    if code != 0 or failed:
        reason = "COLLECTED NOTHING" if code == NOTHING_COLLECTED else "FAILED"
        print(f"{heading(step)} {reason}\n{repeat(step)}", flush=True)
        return passed, max(failed, 1)
    if skipped:
        raise Failed(f"{heading(step)} SKIPPED {skipped} tests\n{repeat(step)}")
    return passed, 0


def counts(result: Path) -> tuple[int, int, int]:
    """Tests that passed, failed and were skipped, from a file in JUnit's form."""
    if not result.exists():
        return 0, 0, 0
    suites = list(ElementTree.parse(result).iter("testsuite"))
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return max(total - failed - skipped, 0), failed, skipped


def notes(output: str) -> Iterator[str]:
    """The lines of a quiet step that a reader should still see."""
    return (f"   {line}\n" for line in output.splitlines() if line.startswith("-- "))


def plain(output: str) -> str:
    """`output` without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", output)


def heading(step: Step) -> str:
    """The name of a step, padded."""
    return f"{step.name:26}"


def repeat(step: Step) -> str:
    """How to run this one step again."""
    return f"repeat with: {step.shown}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
