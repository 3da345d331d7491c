import os
import signal
import socket
import subprocess

import httpx2
import pytest

from tests.orchestrator.cli.conftest import get, wait_until_dead

pytestmark = pytest.mark.usefixtures("idle_fleet")


def orchestrator_pid(running):
    return int(running.read_until(r"^orchestrator .* ready +(\d+)$").group(1))


def test_without_a_key_up_starts_everything_prints_a_link_and_stops_it_all(terminal):
    terminal.extra = {"OPENROUTER_API_KEY": "", "OPENROUTER_BASE_URL": ""}
    running = terminal.start("up")
    orchestrator_pid(running)
    model = running.read_until(r"^practice model \(no key is set\) +(http\S+) +ready").group(1)
    link = running.read_until(r"http://\S+/#sign-in=(\S+)")
    assert link.group(0).startswith(terminal.address)
    with httpx2.Client(base_url=terminal.address, verify=False, trust_env=False) as client:
        answer = client.post("/api/auth/sign-in", json={"code": link.group(1)})
        assert answer.status_code == 204
        assert client.get("/api/auth/me").json()["owner"]["name"] == "owner"
    assert get(f"{model}/models") == 200
    with socket.create_connection(("127.0.0.1", terminal.port)) as half_open:
        half_open.sendall(b"GET /health HTTP/1.1\r\n")
        assert running.stop() < 5
    assert running.process.returncode == 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"--port {model.rpartition(':')[2].partition('/')[0]} --with-parent" not in listed.stdout


def test_tokens_and_links_are_made_and_revoked_from_the_terminal(terminal):
    running = terminal.start("serve")
    running.read_until("orchestrator_ready")
    created = terminal.run("token", "create", "phone", "--scope", "read_history")
    assert created.stdout.startswith("flo_")
    token_id = created.stderr.partition(":")[0]
    assert token_id in terminal.run("token", "list").stdout
    assert terminal.run("token", "revoke", token_id).returncode == 0
    assert terminal.run("token", "revoke", token_id).returncode == 1
    assert f"{terminal.address}/#sign-in=" in terminal.run("sign-in").stdout
    own_id = next(
        line.split()[0]
        for line in terminal.run("token", "list").stdout.splitlines()
        if " cli " in line
    )
    assert terminal.run("token", "revoke", own_id).returncode == 0
    assert "Start it again: it makes a new one." in terminal.run("sign-in").stderr


def test_what_dies_is_started_again(terminal):
    running = terminal.start("up")
    pid = orchestrator_pid(running)
    running.read_until("Ctrl-C")
    os.kill(pid, signal.SIGKILL)
    running.read_until(r"^orchestrator: ended \(signal 9\), starts again in 0.5 s")
    running.read_until(r"^orchestrator: ready$")
    assert get(f"{terminal.address}/health") == 200
    assert running.stop(signal.SIGINT) < 5


def test_children_end_with_a_supervisor_that_is_killed(terminal):
    running = terminal.start("up")
    pid = orchestrator_pid(running)
    running.read_until("Ctrl-C")
    running.process.kill()
    assert wait_until_dead(pid, 6)


def test_an_orchestrator_that_cannot_start_ends_it_with_its_reason(terminal):
    (terminal.folder / "data" / "chat_sessions.db").write_bytes(b"not a database" * 1000)
    shown = terminal.run("up")
    assert shown.returncode == 1
    assert "The orchestrator did not start" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_serve_says_when_it_is_ready_and_stops_cleanly(terminal):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        path = terminal.folder / "notify"
        channel.bind(str(path))
        channel.settimeout(20)
        terminal.extra = {"NOTIFY_SOCKET": str(path)}
        running = terminal.start("serve")
        assert b"READY=1" in channel.recv(1000)
    assert get(f"{terminal.address}/health") == 200
    assert running.stop() < 4
    assert running.process.returncode == 0
    assert list((terminal.folder / "logs" / "app").iterdir())
    written = [path for path in terminal.folder.rglob("*") if path.is_file()]
    assert terminal.folder / "data" / "chat_sessions.db" in written
    private = [path for path in written if path.stat().st_mode & 0o077 == 0]
    assert {path.name for path in private} >= {"chat_sessions.db", "cli", "app.jsonl"}
