"""How a server starts, tells systemd about itself, and stops."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from servers.kit.serve import BindRefused, serve
from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.systemd import Notifier
from tests.servers.kit.conftest import StartProbe
from tests.servers.kit.probe import probe_server

STOP_LIMIT_S = 5
PROBE = [sys.executable, "-m", "tests.servers.kit.probe", "{}"]
# systemd hands a socket over as descriptor 3 and names the process it is meant for.
AS_SYSTEMD_DOES = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_runs_the_lifespans_end(
    start_probe: StartProbe, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "lifespan"
    with start_probe(log=str(log)) as server:
        assert log.read_text(encoding="utf-8") == "begun\n"
        server.process.send_signal(number)

        assert server.process.wait(STOP_LIMIT_S) == 0
    assert log.read_text(encoding="utf-8").startswith("begun\nended\n")


async def test_an_open_call_does_not_hold_up_the_stop(
    start_probe: StartProbe, tmp_path: Path
) -> None:
    log = tmp_path / "lifespan"
    with start_probe(log=str(log)) as server:

        async def stop(progress: float, total: float | None, message: str | None) -> None:
            server.process.terminate()

        async with server.client() as client:
            with pytest.raises(MCPError):
                await client.call_tool("wait", {"seconds": 60}, progress_handler=stop)
        assert server.process.wait(STOP_LIMIT_S) == 0
    assert log.read_text(encoding="utf-8").startswith("begun\nended\n")


def test_systemd_is_told_when_the_server_is_ready_alive_and_stopping(
    start_probe: StartProbe, tmp_path: Path
) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(STOP_LIMIT_S)
        environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "150000"}
        with start_probe(environment) as server:
            states = [systemd.recv(100) for _ in range(4)]
            server.process.terminate()
            server.process.wait(STOP_LIMIT_S)
            while states[-1] != b"STOPPING=1":
                states.append(systemd.recv(100))

    assert states[:4] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert set(states[4:-1]) <= {b"WATCHDOG=1"}


def test_a_watchdog_meant_for_another_process_is_not_fed() -> None:
    settings = SystemdSettings(notify_socket="/nowhere", watchdog_usec=1, watchdog_pid=1)

    assert Notifier(settings).watchdog_s is None


def test_the_notification_socket_may_be_abstract() -> None:
    name = f"flotilla-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        systemd.settimeout(STOP_LIMIT_S)
        Notifier(SystemdSettings(notify_socket=f"@{name}")).send("READY=1")

        assert systemd.recv(100) == b"READY=1"


def test_a_socket_from_systemd_is_used(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                AS_SYSTEMD_DOES,
                str(listener.fileno()),
                sys.executable,
                "-m",
                "tests.servers.kit.probe",
                "{}",
            ],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            env={**os.environ, "FLOTILLA_DATA_DIR": str(tmp_path)},
        )
        try:
            # The client waits in the socket's queue until the server has started.
            answer = httpx2.get(f"http://127.0.0.1:{port}/health", timeout=30, verify=False)
        finally:
            process.terminate()
            out, _ = process.communicate(timeout=STOP_LIMIT_S)

    assert answer.json()["name"] == "probe"
    assert f"http://127.0.0.1:{port}/mcp" in out.decode()


def test_an_address_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    settings = KitSettings(data_dir=tmp_path, server_host="0.0.0.0", server_port=0)

    with pytest.raises(BindRefused, match="FLOTILLA_ALLOW_REMOTE_BIND=true"):
        serve(probe_server(), settings)
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_others_can_reach_may_be_allowed(start_probe: StartProbe) -> None:
    environment = {
        "FLOTILLA_SERVER_HOST": "0.0.0.0",
        "FLOTILLA_ALLOW_REMOTE_BIND": "true",
        "FLOTILLA_ALLOWED_HOSTS": "fleet.example, other.example",
    }
    with start_probe(environment) as server:
        port = httpx2.URL(server.url).port
        url = f"http://127.0.0.1:{port}"
        allowed = httpx2.get(f"{url}/health", headers={"Host": "fleet.example"}, verify=False)
        foreign = httpx2.get(f"{url}/health", headers={"Host": "evil.example"}, verify=False)
        bare = httpx2.post(f"{url}/mcp", json={}, verify=False)

    assert (allowed.status_code, foreign.status_code, bare.status_code) == (200, 421, 401)


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = KitSettings(data_dir=tmp_path, server_port=taken.getsockname()[1])
        with pytest.raises(BindRefused, match=f"Port {settings.server_port} is in use"):
            serve(probe_server(), settings)
