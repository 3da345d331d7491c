import json
import logging
from datetime import UTC, datetime

import pytest

from orchestrator.logs import DailyFiles, log_conversation, logging_to_files, redact

logger = logging.getLogger("orchestrator.test")


def lines(folder, pattern):
    [file] = folder.glob(pattern)
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(autouse=True)
def levels_as_before():
    named = [logging.getLogger(name) for name in ("", "orchestrator", "orchestrator.conversations")]
    before = [entry.level for entry in named]
    yield
    for entry, level in zip(named, before, strict=True):
        entry.setLevel(level)


def test_records_become_json_lines_of_the_day(tmp_path):
    with logging_to_files(tmp_path, "INFO"):
        logger.info("server_up server=%s", "calculator")
        logger.debug("nobody_sees_this")
    [line] = lines(tmp_path, f"app/{datetime.now(UTC):%Y-%m-%d}/app.jsonl")
    assert line["message"] == "server_up server=calculator"
    assert (line["level"], line["logger"]) == ("INFO", "orchestrator.test")
    assert line["at"].endswith("Z")


def test_each_day_has_its_own_file(tmp_path):
    files = DailyFiles(tmp_path)
    for created in (1_700_000_000, 1_700_086_400):
        record = logging.makeLogRecord({"msg": "x", "created": created})
        files.emit(record)
    files.close()
    assert sorted(path.name for path in (tmp_path / "app").iterdir()) == [
        "2023-11-14",
        "2023-11-15",
    ]


def test_conversations_have_a_file_of_their_own_that_names_the_session(tmp_path, capsys):
    with logging_to_files(tmp_path, "WARNING"):
        log_conversation("ses_1", "model_answered", round=2, model="m", duration_ms=12)
        log_conversation("ses_2", "turn_started")
    first, second = lines(tmp_path, "conversations/*/conversations.jsonl")
    assert (first["session"], first["message"], first["round"]) == ("ses_1", "model_answered", 2)
    assert second["session"] == "ses_2"
    assert "model_answered" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary-canary",
        "authorization=Basic canary-canary",
        '{"authorization": "Bearer canary-canary"}',
        "failed with bearer canary-canary.x",
        "key sk-or-v1-canary-canary",
        "flo_canary-canary",
        "Cookie: a=canary-canary",
        "flotilla_session=canary-canary; other=1",
        "__Host-flotilla_session=canary-canary",
        "OPENROUTER_API_KEY=canary-canary",
        "{'api_key': 'canary-canary'}",
        "x-api-key: canary-canary",
        '{\\"refresh_token\\": \\"canary-canary\\"}',
        "password=canary-canary",
        "GET /oauth/gmail/callback?state=canary-canary&code=4/canary-canary&scope=openid HTTP/1.1",
        "Location: http://127.0.0.1:8000/oauth/gmail/callback?code=canary%2Fcanary",
        "flotilla_oauth_0123456789abcdef=canary-canary",
        "got ya29.canary-canary and 1//canary-canary",
    ],
)
def test_secrets_never_reach_a_line(text):
    assert "canary" not in redact(text)


def test_secrets_in_arguments_and_tracebacks_are_hidden_everywhere(tmp_path, capsys):
    with logging_to_files(tmp_path, "INFO"):
        try:
            raise ValueError("flo_canary-canary")
        except ValueError:
            logger.exception("call_failed header=%s", "Bearer canary-canary")
    [line] = lines(tmp_path, "app/*/app.jsonl")
    assert "ValueError" in line["exception"]
    assert "canary" not in json.dumps(line) + capsys.readouterr().err


def test_libraries_are_heard_from_warnings_on(tmp_path):
    with logging_to_files(tmp_path, "INFO"):
        logging.getLogger("some.library").info("chatter")
        logging.getLogger("some.library").warning("trouble")
    assert [line["message"] for line in lines(tmp_path, "app/*/app.jsonl")] == ["trouble"]


def test_a_disk_that_fails_does_not_stop_the_program(tmp_path, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    (tmp_path / "app").write_text("a file where the folder should be")
    with logging_to_files(tmp_path, "INFO"):
        logger.info("still_alive")
