"""Checks of `.env` and of the settings."""

import stat
from pathlib import Path

from orchestrator.cli.bind import refuse_open_bind
from orchestrator.cli.complaint import Complaint
from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.settings import Settings, mended_settings, unknown_variables

SUBJECT = "settings"


def configured(env_file: Path) -> tuple[Settings, list[Finding]]:
    """Return settings to go on with, and what is wrong with those that are set."""
    found = _file_problems(env_file)
    readable = None if any(finding.level == "problem" for finding in found) else env_file
    settings, sentences = mended_settings(readable)
    found += [
        problem(SUBJECT, sentence, f"flotilla explain {sentence.partition(' ')[0]}")
        for sentence in sentences
    ]
    if readable is not None:
        found += [
            warn(SUBJECT, f"{name} in .env is not a setting.", "flotilla explain")
            for name in unknown_variables(env_file)
        ]
    found += _open_bind(settings)
    return settings, found or [ok(SUBJECT, _source(env_file))]


def _source(env_file: Path) -> str:
    if env_file.exists():
        return f"{env_file.absolute()} and the environment are understood."
    return f"There is no {env_file.absolute()}; the environment is understood."


def _file_problems(env_file: Path) -> list[Finding]:
    try:
        text = env_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except OSError as error:
        sentence = f"{env_file.absolute()} cannot be read: {error.strerror}."
        return [problem(SUBJECT, sentence, f"ls -l {env_file.absolute()}")]
    except UnicodeDecodeError:
        sentence = f"{env_file.absolute()} is not UTF-8 text."
        return [problem(SUBJECT, sentence, f"iconv -t utf-8 {env_file.absolute()}")]
    mode = env_file.stat().st_mode
    if text.strip() and mode & (stat.S_IRWXG | stat.S_IRWXO):
        sentence = f"{env_file.absolute()} may hold a key, and other users can reach it."
        return [warn(SUBJECT, sentence, f"chmod 600 {env_file.absolute()}")]
    return []


def _open_bind(settings: Settings) -> list[Finding]:
    try:
        refuse_open_bind(settings)
    except Complaint as complaint:
        return [problem(SUBJECT, str(complaint), "flotilla explain FLOTILLA_HOST")]
    return []
