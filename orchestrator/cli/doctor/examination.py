"""Runs all checks at once, and waits for none of them longer than it may take."""

import logging
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Thread

from orchestrator.cli.doctor.finding import Check, Finding, problem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """What came out."""

    findings: list[Finding]
    is_over: bool
    """False when a check still waits for something; its thread does not end by itself."""

    @property
    def is_well(self) -> bool:
        return all(finding.level != "problem" for finding in self.findings)


def examine(checks: Mapping[str, Check], *, budget_s: float) -> Examination:
    """Return the findings of all checks, in their order, after `budget_s` seconds at most."""
    deadline_s = time.monotonic() + budget_s
    answers: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for name, check in checks.items():
        # A daemon: nothing can end a thread that waits for a disk or a name server.
        Thread(target=_run, args=(name, check, answers), daemon=True).start()
    found: dict[str, list[Finding]] = {}
    while len(found) < len(checks):
        try:
            name, findings = answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        found[name] = findings
    ordered = [finding for name in checks for finding in found.get(name, [_late(name, budget_s)])]
    return Examination(ordered, is_over=len(found) == len(checks))


def _run(name: str, check: Check, answers: "queue.SimpleQueue[tuple[str, list[Finding]]]") -> None:
    try:
        answers.put((name, check()))
    except Exception as error:  # one check that breaks must not hide what the others found
        logger.exception("check_failed check=%s", name)
        answers.put((name, [_broken(name, error)]))


def _late(name: str, budget_s: float) -> Finding:
    return problem(name, f"There was no answer within {budget_s:.0f} s.", "flotilla explain")


def _broken(name: str, error: Exception) -> Finding:
    sentence = f"This could not be checked: {type(error).__name__}. The cause is above."
    return problem(name, sentence, "flotilla doctor --json")
