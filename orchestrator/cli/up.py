"""`flotilla up`: the fleet, the practice model and the orchestrator, watched by one process."""

import asyncio
import signal
import socket
import sys
from contextlib import closing, suppress
from functools import partial

from pydantic import ValidationError

from orchestrator.cli.bind import listener, refuse_open_bind
from orchestrator.cli.child import Child, ChildPlan
from orchestrator.cli.complaint import Complaint
from orchestrator.cli.fleet import FleetDocument, ServerReport, list_fleet
from orchestrator.cli.lock import data_lock
from orchestrator.cli.notify import ReadinessSocket
from orchestrator.cli.table import table
from orchestrator.settings import Settings
from orchestrator.store.in_force import PRACTICE_MODEL, is_practising

PRACTICE_PORT = 9100
READY_TIMEOUT_S = 60
FLEET_GRACE_S = 2
LOOK_EVERY_S = 1.0
STOP_GRACE_S = 4.3


def bring_up(settings: Settings) -> None:
    """Run everything until Ctrl-C or SIGTERM. Raises Complaint when it cannot start."""
    refuse_open_bind(settings)
    with data_lock(settings.data_dir):
        listener(settings.host, settings.port).close()
    try:
        asyncio.run(_Supervisor(settings).run())
    except ExceptionGroup as group:
        # Not `except*`: what that raises comes wrapped in a group again.
        complaints, others = group.split(Complaint)
        if complaints is None or others is not None:
            raise
        raise Complaint("\n".join(str(complaint) for complaint in complaints.exceptions)) from None


class _Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logs = settings.logs_dir / "processes"
        self._document = FleetDocument(settings.data_dir)
        self._children: list[Child] = []
        self._group = asyncio.TaskGroup()
        self._servers: dict[str, ServerReport] = {}
        self._expected: set[str] = set()
        self._reported = asyncio.Event()
        self._is_announced = False
        self._practice_port: int | None = None
        self._is_practice_ready = True

    async def run(self) -> None:
        main = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _once(main))
        try:
            with closing(ReadinessSocket()) as readiness:
                async with self._group:
                    fleet = await self._start_and_announce(readiness)
                    await self._adopt_new_servers()
                    self._group.create_task(self._follow_document(fleet))
                    while True:
                        await readiness.wait()
                        _say("orchestrator: ready")
        except asyncio.CancelledError:
            _say("Stopping.")
        finally:
            async with asyncio.TaskGroup() as stopping:
                for child in self._children:
                    stopping.create_task(child.stop(STOP_GRACE_S))

    async def _start_and_announce(self, readiness: ReadinessSocket) -> Child:
        if not self._document.exists:
            self._document.adopt(await list_fleet())
        practice = self._start_practice()
        orchestrator = self._start_orchestrator(readiness.address)
        self._document.has_changed()
        self._expected = set(self._document.enabled_servers())
        fleet = self._start_fleet()
        await _ready_or_dead(readiness, orchestrator)
        await self._settle()
        _say(self._table(orchestrator, practice, fleet))
        if any(report.state == "down" for report in self._servers.values()):
            _say(f"\n{self._logs / 'fleet.log'} says why a server is down.")
        await self._print_link()
        self._is_announced = True
        return fleet

    def _start(self, plan: ChildPlan) -> Child:
        child = Child(plan, self._logs, _say)
        self._children.append(child)
        self._group.create_task(child.keep_running())
        return child

    def _start_orchestrator(self, notify_socket: str) -> Child:
        environment = {"NOTIFY_SOCKET": notify_socket}
        if self._practice_port is not None:
            environment |= {
                "OPENROUTER_BASE_URL": _practice_url(self._practice_port),
                "OPENROUTER_API_KEY": "practice",
                "OPENROUTER_DEFAULT_MODEL": PRACTICE_MODEL,
            }
        command = _own_command("serve", "--with-parent")
        return self._start(ChildPlan("orchestrator", lambda: command, environment))

    def _start_practice(self) -> Child | None:
        if not is_practising(self._settings):
            return None
        port = self._practice_port = _free_port()
        self._is_practice_ready = False
        command = _own_command("practice", "--port", str(port), "--with-parent")
        return self._start(ChildPlan("practice", lambda: command, on_line=self._on_practice_line))

    def _start_fleet(self) -> Child:
        def command() -> list[str]:
            servers = ["-m", "servers", "up", *self._document.enabled_servers()]
            return [sys.executable, *servers, "--json", "--orders"]

        plan = ChildPlan("fleet", command, on_line=self._on_fleet_line, takes_orders=True)
        return self._start(plan)

    async def _follow_document(self, fleet: Child) -> None:
        """Run the servers that are switched on from now on, and end the others."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._document.has_changed():
                fleet.tell(" ".join(self._document.enabled_servers()))

    def _on_practice_line(self, _line: bytes) -> None:
        self._is_practice_ready = True
        self._reported.set()

    def _on_fleet_line(self, line: bytes) -> None:
        try:
            report = ServerReport.model_validate_json(line)
        except ValidationError:
            return
        before = self._servers.get(report.server)
        self._servers[report.server] = report
        self._reported.set()
        if self._is_announced and (before is None or before.state != report.state):
            _say(f"{report.server}: {report.state}")

    async def _settle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FLEET_GRACE_S):
                while self._expected - self._servers.keys() or not self._is_practice_ready:
                    self._reported.clear()
                    await self._reported.wait()

    def _table(self, orchestrator: Child, practice: Child | None, fleet: Child) -> str:
        own = f"http://{self._settings.host}:{self._settings.port}"
        rows = [("orchestrator", own, "ready", _pid(orchestrator))]
        if practice is None:
            rows.append(("model", self._settings.openrouter_base_url, "configured", ""))
        else:
            address = _practice_url(self._practice_port)
            state = "ready" if self._is_practice_ready else "starting"
            rows.append(("practice model (no key is set)", address, state, _pid(practice)))
        for name in sorted(self._expected):
            report = self._servers.get(name)
            if report is None:
                rows.append((name, "", "starting", _pid(fleet)))
            else:
                rows.append((name, report.url, report.state, str(report.pid)))
        return "\n" + table(("what", "where", "state", "process"), rows)

    async def _print_link(self) -> None:
        # Imported while the children start: it would delay their start.
        from orchestrator.cli.door import Door, sign_in_address  # noqa: PLC0415

        door = Door(self._settings)
        link = await asyncio.to_thread(partial(door.ask, "POST", "/api/auth/links"))
        address = sign_in_address(self._settings, link["code"])
        _say(f"\nSign in (once, within 15 minutes):\n\n  {address}\n\nCtrl-C stops everything.")

    async def _adopt_new_servers(self) -> None:
        """Servers that came with an update run from now on; done last, because it is slow."""
        try:
            fleet = await list_fleet()
        except Complaint as complaint:
            _say(str(complaint))
            return
        if new := self._document.adopt(fleet):
            _say(f"New in the fleet: {', '.join(new)}")


async def _ready_or_dead(readiness: ReadinessSocket, child: Child) -> None:
    """Return when the child is ready. Raises Complaint with its last words when it dies."""
    ready = asyncio.ensure_future(readiness.wait())
    dead = asyncio.ensure_future(child.died.wait())
    try:
        await asyncio.wait(
            (ready, dead), timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not ready.done():
            why = child.last_words() or "It said nothing."
            raise Complaint(f"The {child.name} did not start:\n{why}")
    finally:
        ready.cancel()
        dead.cancel()


def _free_port() -> int:
    try:
        listener("127.0.0.1", PRACTICE_PORT).close()
    except Complaint:
        with socket.create_server(("127.0.0.1", 0)) as found:
            return found.getsockname()[1]
    return PRACTICE_PORT


def _practice_url(port: int | None) -> str:
    return f"http://127.0.0.1:{port}/api/v1"


def _own_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", *arguments]


def _once(task: "asyncio.Task[None] | None") -> "partial[None]":
    """Return a signal handler that cancels `task` at the first signal only."""
    asked: list[bool] = []

    def handle() -> None:
        if task is not None and not asked:
            asked.append(True)
            task.cancel()

    return partial(handle)


def _pid(child: Child | None) -> str:
    return str(child.pid or "") if child else ""


def _say(text: str) -> None:
    print(text, flush=True)
