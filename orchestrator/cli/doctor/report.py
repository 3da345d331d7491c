"""The findings as a table for people and as JSON for programs."""

import json
from dataclasses import asdict

from orchestrator.cli.doctor.examination import Examination
from orchestrator.cli.doctor.finding import Finding
from orchestrator.cli.readable import plain
from orchestrator.cli.table import table
from orchestrator.logs import redact


def as_table(examination: Examination) -> str:
    """Return one line for each finding, with its remedy below, and a sum at the end."""
    rows: list[tuple[str, str, str]] = []
    for finding in map(_shown, examination.findings):
        rows.append((finding.level, finding.subject, finding.sentence))
        if finding.remedy:
            rows.append(("", "", f"-> {finding.remedy}"))
    return f"{table(('', 'check', 'finding'), rows)}\n\n{_sum(examination.findings)}"


def as_json(examination: Examination) -> str:
    """Return `{"is_well": bool, "findings": [{"subject", "level", "sentence", "remedy"}]}`."""
    findings = [asdict(_shown(finding)) for finding in examination.findings]
    return json.dumps({"is_well": examination.is_well, "findings": findings}, indent=2)


def _shown(finding: Finding) -> Finding:
    """Return it without anything that could deceive the reader or give a secret away."""
    sentence, remedy = redact(plain(finding.sentence)), redact(plain(finding.remedy))
    return Finding(plain(finding.subject), finding.level, sentence, remedy)


def _sum(findings: list[Finding]) -> str:
    problems = sum(finding.level == "problem" for finding in findings)
    warnings = sum(finding.level == "warn" for finding in findings)
    if not problems and not warnings:
        return "All is well."
    return f"{problems} {_word(problems, 'problem')}, {warnings} {_word(warnings, 'warning')}."


def _word(count: int, one: str) -> str:
    return one if count == 1 else f"{one}s"
