"""`flotilla doctor` against real trouble: each check's failure is made, and its remedy read."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import pytest
from cryptography.fernet import Fernet

from orchestrator.cli.doctor.examination import Examination, examine
from orchestrator.cli.doctor.finding import ok, problem
from orchestrator.cli.doctor.report import as_json, as_table
from orchestrator.store.migrate import migrate
from tests.fakes.gcs import BUCKET, emulator, serving
from tests.fakes.gcs_signatures import Account
from tests.fakes.openrouter import running_fake
from tests.faults.test_gate_disk import OWN_MOUNTS
from tests.installation import Installation, running
from tests.servers.kit.process import running_server

SECRET = "sk-or-v1-never-show-this-to-anybody"


@dataclass
class Diagnosis:
    code: int
    text: str
    findings: list[dict]

    def of(self, subject, level=None):
        """The findings of a subject, as sentence and remedy in one text."""
        return "\n".join(
            f"{finding['sentence']} -> {finding['remedy']}"
            for finding in self.findings
            if finding["subject"] == subject and level in (None, finding["level"])
        )

    def levels(self):
        return {finding["subject"]: finding["level"] for finding in self.findings}


def diagnose(terminal):
    shown = terminal.run("doctor", "--json")
    assert shown.stdout, shown.stderr
    return Diagnosis(shown.returncode, shown.stdout, json.loads(shown.stdout)["findings"])


def private(path, text):
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def servers_document(data_dir, *servers):
    private(data_dir / "mcp_servers.json", json.dumps({"version": 1, "servers": servers}))


def fleet_server(name, url, **more):
    token = {"token_file": f"tokens/{name}"}
    return {"id": name, "url": url, "trust": "fleet", **token, **more}


@pytest.fixture
def data_dir(terminal):
    folder = terminal.folder / "data"
    folder.mkdir(mode=0o700)
    return folder


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(terminal):
    terminal.extra = {"OPENROUTER_API_KEY": "", "OPENROUTER_BASE_URL": ""}
    shown = terminal.run("doctor")
    assert shown.returncode == 0, shown.stdout
    assert "It does not run." in shown.stdout
    assert "-> flotilla up" in shown.stdout
    assert "the practice model answers" in shown.stdout
    assert shown.stdout.endswith("0 problems, 2 warnings.\n")
    assert list(terminal.folder.iterdir()) == []


def test_wrong_settings_are_problems_and_do_not_keep_it_from_the_rest(terminal):
    env_file = terminal.folder / ".env"
    env_file.write_text(f"FLOTILLA_PROT=1\nOPENROUTER_API_KEY={SECRET}\nTURN_MAX_ROUNDS=many\n")
    env_file.chmod(0o644)
    terminal.extra = {"FLOTILLA_TIMEZONE": "Atlantis", "FLOTILLA_HOST": "0.0.0.0"}
    found = diagnose(terminal)
    assert found.code == 1
    problems = found.of("settings", "problem")
    assert "TURN_MAX_ROUNDS has a wrong value" in problems
    assert "-> flotilla explain TURN_MAX_ROUNDS" in problems
    assert "FLOTILLA_TIMEZONE has a wrong value" in problems
    assert "can be reached from other machines" in problems
    warnings = found.of("settings", "warn")
    assert "FLOTILLA_PROT in .env is not a setting." in warnings
    assert f"-> chmod 600 {env_file}" in warnings
    assert found.levels()["database"] == "ok"
    assert SECRET not in found.text


def test_a_file_of_settings_that_is_no_text_is_said_and_left_out(terminal):
    (terminal.folder / ".env").write_bytes(b"FLOTILLA_PORT=\xff\xfe")
    found = diagnose(terminal)
    assert "is not UTF-8 text" in found.of("settings", "problem")
    assert found.levels()["clock"] == "ok"


def test_what_is_broken_on_the_disk_is_found(terminal, data_dir):
    private(data_dir / "chat_sessions.db", "not a database" * 1000)
    private(data_dir / "presets.json", '{"version": 1, "presets": 5}')
    private(data_dir / "mcp_servers.json.corrupt-20261120T120000", "{")
    private(data_dir / "tool_pins.json", "[]")
    private(data_dir / "turn_events-0.spill", "text")
    private(data_dir / "grant_keys" / "calculator", "short")
    (data_dir / "attachments").mkdir(mode=0o700)
    private(data_dir / "attachments" / "ab" / "att_ab", "x" * 1_500_000)
    open_file = private(data_dir / "tokens" / "calculator", "x" * 43)
    open_file.chmod(0o644)
    open_file.parent.chmod(0o755)
    tomorrow_s = time.time() + 86_400
    os.utime(data_dir / "tool_pins.json", (tomorrow_s, tomorrow_s))
    found = diagnose(terminal)
    assert found.code == 1
    assert "cannot be opened: file is not a database" in found.of("database", "problem")
    assert "presets.json cannot be used: presets" in found.of("documents", "problem")
    assert "tool_pins.json cannot be read" in found.of("documents", "problem")
    assert "mcp_servers.json.corrupt-20261120T120000 was set" in found.of("documents", "warn")
    assert "the next start takes it in" in found.of("answers", "warn")
    assert "holds no key" in found.of("keys", "problem")
    assert "1.5 MB; `flotilla attachments verify`" in found.of("files", "ok")
    assert "the clock is slow" in found.of("clock", "warn")
    exposed = found.of("data", "problem")
    assert str(open_file.parent) in exposed
    assert f"-> chmod -R go= {data_dir}" in exposed
    assert (data_dir / "presets.json").exists()
    assert open_file.stat().st_mode & stat.S_IROTH


def test_the_remedy_for_open_files_works_as_typed(terminal, data_dir):
    private(data_dir / "tokens" / "calculator", "x" * 43).chmod(0o666)
    data_dir.chmod(0o777)
    found = diagnose(terminal)
    assert f"Other users can write in {data_dir}." in found.of("data", "problem")
    remedy = next(f["remedy"] for f in found.findings if f["subject"] == "data")
    assert os.system(remedy) == 0
    assert diagnose(terminal).levels()["data"] == "ok"


def test_damage_inside_the_database_is_found(terminal, data_dir):
    path = data_dir / "chat_sessions.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE filler (text)")
        connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 2000,)] * 100)
        connection.execute("CREATE INDEX by_text ON filler (text)")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'filler'"
        ).fetchone()[0]
        page = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(os.urandom(page))
    found = diagnose(terminal)
    assert "chat_sessions.db" in found.of("database", "problem")


def test_a_database_of_a_newer_flotilla_is_named(terminal, data_dir):
    migrate(data_dir / "chat_sessions.db")
    with closing(sqlite3.connect(data_dir / "chat_sessions.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert "newer Flotilla (schema 9999)" in diagnose(terminal).of("database", "problem")


def test_a_program_on_our_port_is_told_from_flotilla_and_gets_no_token(terminal, data_dir):
    private(data_dir / "tokens" / "cli", SECRET)
    with socket.create_server(("127.0.0.1", terminal.port)) as foreign:
        found = diagnose(terminal)
        foreign.settimeout(5)
        with foreign.accept()[0] as connection:
            heard = connection.recv(65_536)
    assert found.code == 1
    sentence = found.of("orchestrator", "problem")
    assert f"Another program has port {terminal.port}." in sentence
    assert f"ss -ltnp 'sport = :{terminal.port}'" in sentence
    assert heard.startswith(b"GET /health")
    assert SECRET.encode() not in heard


def test_a_missing_page_is_a_problem(terminal):
    terminal.extra = {"FLOTILLA_FRONTEND_DIR": str(terminal.folder / "nowhere")}
    assert "It is not built" in diagnose(terminal).of("page", "problem")


def test_a_model_that_is_away_or_refuses_the_key_is_said_without_the_key(terminal, data_dir):
    with running_fake(api_key="sk-or-right") as fake:
        named = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "NOBODYS_KEY"}
        document = {"version": 1, "endpoints": {"mine": named}}
        private(data_dir / "model_settings.json", json.dumps(document))
        terminal.extra = {
            "OPENROUTER_BASE_URL": fake.base_url,
            "OPENROUTER_API_KEY": SECRET,
            "NOBODYS_KEY": "sk-nobody",
        }
        found = diagnose(terminal)
        assert "OPENROUTER_API_KEY" in found.of("model openrouter", "problem")
        assert "127.0.0.1:9" in found.of("model mine", "problem")
        assert "model_settings.json" in found.of("model mine", "problem")
        assert SECRET not in found.text
        terminal.extra["OPENROUTER_API_KEY"] = "sk-or-right"
        fake.key = {"label": "mine", "limit": 20, "limit_remaining": 12.5}
        good = diagnose(terminal)
        assert "$12.50 of $20.00 left" in good.of("model openrouter", "ok")


def test_a_check_that_hangs_or_breaks_holds_up_nobody():
    hanging = threading.Event()

    def hang():
        hanging.wait()
        return []

    def break_down():
        raise RuntimeError(SECRET)

    checks = {"slow": hang, "broken": break_down, "quick": lambda: [ok("quick", "Fine.")]}
    began_s = time.monotonic()
    found = examine(checks, budget_s=0.3)
    assert time.monotonic() - began_s < 5
    hanging.set()
    assert [finding.subject for finding in found.findings] == ["slow", "broken", "quick"]
    assert [finding.level for finding in found.findings] == ["problem", "problem", "ok"]
    assert not found.is_over
    assert not found.is_well
    assert SECRET not in as_table(found)


def test_what_others_wrote_cannot_deceive_the_reader():
    said = problem("server x", f"It said: \x1b[2J\u202e {SECRET} Authorization: Bearer abcdef", "")
    for text in (as_table(Examination([said], True)), as_json(Examination([said], True))):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert SECRET not in text
        assert "abcdef" not in text


@pytest.fixture
def house(terminal):
    """The real orchestrator with the real calculator and a model that takes the key."""
    with ExitStack() as stack:
        umask = os.umask(0o077)
        stack.callback(os.umask, umask)
        data_dir = terminal.folder / "data"
        data_dir.mkdir()
        calculator = stack.enter_context(running_server("calculator", data_dir))
        fake = stack.enter_context(running_fake(api_key=SECRET))
        foreign = {"id": "foreign", "url": "https://mcp.invalid/mcp", "token_env": "NO_TOKEN"}
        config = [fleet_server("calculator", calculator.url), {**foreign, "enabled": False}]
        more = {"OPENROUTER_API_KEY": SECRET}
        installation = Installation(
            terminal.folder, fake.base_url, servers=config, port=terminal.port, more=more
        )
        stack.enter_context(running(installation))
        terminal.extra = {"OPENROUTER_BASE_URL": fake.base_url, "OPENROUTER_API_KEY": SECRET}
        yield installation, calculator


@contextmanager
def frozen_process(process):
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def wait_for(terminal, subject, words):
    """Diagnose until the orchestrator has noticed; the test's own limit bounds it."""
    while words not in (found := diagnose(terminal)).of(subject):
        pass
    return found


def test_all_is_well_while_all_runs_and_what_freezes_is_named(terminal, house):
    installation, calculator = house
    found = wait_for(terminal, "server calculator", "Ready, ")
    assert found.code == 0, found.text
    bad = {subject for subject, level in found.levels().items() if level != "ok"}
    assert bad <= {"page"}  # other tests build it, or nobody has yet
    assert "Switched off." in found.of("server foreign", "ok")
    assert f"(process {installation.program.pid})" in found.of("orchestrator")
    assert SECRET not in found.text
    assert installation.token not in found.text

    with frozen_process(calculator.process):
        frozen = diagnose(terminal)
    assert "does not answer within" in frozen.of("server calculator", "problem")
    assert frozen.levels()["orchestrator"] == "ok"

    with frozen_process(installation.program.process):
        silent = diagnose(terminal)
    assert silent.code == 1
    pid = installation.program.pid
    assert f"-> kill -9 {pid}  # `flotilla up`" in silent.of("orchestrator", "problem")
    assert "It answers." in silent.of("server calculator", "ok")


def test_servers_that_are_gone_or_others_are_problems(terminal, house):
    installation, calculator = house
    calculator.process.kill()
    calculator.process.wait()
    gone = diagnose(terminal)
    assert gone.code == 1
    assert "Nothing answers at" in gone.of("server calculator", "problem")
    assert "fleet.log" in gone.of("server calculator", "problem")
    wrong_url = f"{installation.url}/mcp"
    lacking = {"id": "lacking", "url": "https://mcp.invalid/mcp", "token_env": "NO_TOKEN"}
    servers_document(installation.data_dir, fleet_server("calculator", wrong_url), lacking)
    other = diagnose(terminal)
    assert "Another program answers at" in other.of("server calculator", "problem")
    assert "NO_TOKEN is not set" in other.of("server lacking", "problem")


def test_a_vault_without_its_key_is_a_problem(terminal, data_dir):
    migrate(data_dir / "chat_sessions.db")
    key_file = terminal.folder / "vault.key"
    terminal.extra = {"FLOTILLA_VAULT_KEY_FILE": str(key_file)}
    key = Fernet.generate_key()
    with closing(sqlite3.connect(data_dir / "chat_sessions.db")) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        row = ("usr_1", "weather", Fernet(key).encrypt(SECRET.encode()), "2026-11-20T12:00:00Z")
        connection.execute("INSERT INTO secrets VALUES (?, ?, ?, ?)", row)
        connection.commit()
    assert f"{key_file} cannot be used: No such file" in diagnose(terminal).of("vault", "problem")
    assert not key_file.exists()
    private(key_file, Fernet.generate_key().decode())
    assert f"{key_file} does not open: weather." in diagnose(terminal).of("vault", "problem")
    private(key_file, key.decode())
    assert "1 stored, all can be read." in diagnose(terminal).of("vault", "ok")
    key_file.chmod(0o644)
    assert f"chmod 600 {key_file}" in diagnose(terminal).of("vault", "problem")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"', "cannot be written."),
        ('mount -t tmpfs -o size=64k,mode=700 tmpfs "$1"', "is full: 0.1 MB are free."),
        ('mount -t tmpfs -o size=200m,mode=700 tmpfs "$1"', "is nearly full: 0.2 GB are free."),
    ],
)
@pytest.mark.fault
def test_a_disk_that_takes_no_more_is_found(terminal, data_dir, script, words):
    mounted = [*OWN_MOUNTS, "sh", "-c", f'{script} && shift && exec "$@"', "sh", str(data_dir)]
    command = [*mounted, sys.executable, "-m", "orchestrator", "doctor", "--json"]
    output = subprocess.run(
        command, cwd=terminal.folder, env=terminal.environment, stdout=subprocess.PIPE, check=False
    ).stdout
    findings = json.loads(output)["findings"]
    (sentence,) = [finding["sentence"] for finding in findings if finding["subject"] == "data"]
    assert words in sentence


def test_a_bucket_that_answers_and_one_that_does_not(terminal, data_dir):
    with emulator() as port, serving(port, Account.new()) as gcs:
        terminal.extra = {"STORAGE_EMULATOR_HOST": gcs.url, "GCS_BUCKET_NAME": BUCKET}
        found = diagnose(terminal)
    assert f"bucket {BUCKET}" in found.of("files")
    assert found.levels()["files"] != "problem"
    # It is tried again for a minute, which nobody waits for here.
    gone = diagnose(terminal)
    assert gone.code == 1
    assert "There was no answer within 8 s." in gone.of("files", "problem")
    assert gone.levels()["python"] == "ok"
