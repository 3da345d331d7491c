"""How a server of the fleet runs: over guarded streamable HTTP, or over stdio."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Generator
from typing import Any

import uvicorn
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from starlette.types import ASGIApp

from servers.kit.client_tokens import client_tokens_file
from servers.kit.clients import Clients
from servers.kit.deadline import RECEIVE_DEADLINE_S, deadline_protocol
from servers.kit.guard import MCP_PATH, Guard
from servers.kit.logs import configure_logging
from servers.kit.manifest import Manifest
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.systemd import Notifier, activation_socket
from servers.kit.token import server_token

logger = logging.getLogger(__name__)

# Together under 5 s: open calls may end in the first, the lifespan's teardown has the rest.
DRAIN_S = 2
# Longer than clients keep idle connections, so that it is never we who close one under a request.
KEEP_ALIVE_S = 75
TICK_S = 1.0


class BindRefused(Exception):
    """The server may not, or cannot, listen at this address; the message says why."""


def serve(
    mcp: FleetServer[Any],
    settings: KitSettings,
    *,
    on_ready: Callable[[str], None] = lambda url: None,
    receive_deadline_s: float = RECEIVE_DEADLINE_S,
) -> None:
    """Serves `mcp` over HTTP until SIGTERM or SIGINT; `on_ready` gets the URL once it listens.

    Raises BindRefused, TokenError, or OSError for other faults of the socket.
    """
    configure_logging(settings.log_level)
    systemd = SystemdSettings()
    listener = activation_socket(systemd) or _listen(mcp.manifest, settings)
    _check_reach(listener, settings)
    token = server_token(mcp.name, settings, systemd)
    mcp.use_settings(settings, systemd)
    config = uvicorn.Config(
        guarded_app(mcp, token, settings),
        http=deadline_protocol(receive_deadline_s),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    url = _url(listener)
    logger.info("server_starting server=%s url=%s", mcp.name, url)
    _Server(config, Notifier(systemd), lambda: on_ready(url)).run(sockets=[listener])
    logger.info("server_stopped server=%s", mcp.name)


def serve_stdio(
    mcp: FleetServer[Any], settings: KitSettings, *, is_read_only: bool = False
) -> None:
    """Serves `mcp` on stdin and stdout until stdin ends; the parent process needs no token.

    With `is_read_only`, the parent can do what a client with a token of scope `read` can. Raises
    TokenError when the key of the grants cannot be used.
    """
    configure_logging(settings.log_level)
    mcp.is_read_only = is_read_only
    mcp.use_settings(settings, SystemdSettings())
    asyncio.run(mcp.run_stdio_async(show_banner=False))


def guarded_app(mcp: FleetServer[Any], token: str, settings: KitSettings) -> ASGIApp:
    """The ASGI app of a server, as `serve` runs it."""
    # Without `json_response`: it would drop progress and, before 2026-07-28, elicitation. On
    # 2026-07-28 an answer is plain JSON anyway unless the tool reports progress.
    inner = mcp.http_app(path=MCP_PATH)
    return Guard(
        # With the caller in its context the SDK binds what a client has to send back to its token.
        AuthContextMiddleware(inner),
        health={"name": mcp.name, "version": mcp.version or "", "status": "ok"},
        token=token,
        clients=Clients(settings.data_dir / client_tokens_file(mcp.name)),
        is_signed=mcp.files.admits,
        allowed_hosts=settings.allowed_hosts,
    )


class _Server(uvicorn.Server):
    """uvicorn that tells systemd how it is and ends with exit code 0 when asked to stop."""

    def __init__(
        self, config: uvicorn.Config, notifier: Notifier, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._notifier = notifier
        self._on_ready = on_ready
        self._stop_asked = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal again after it has stopped; for us stopping is a success.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_stop, number)
        yield

    async def main_loop(self) -> None:
        self._notifier.send("READY=1")
        self._on_ready()
        # The pings come from the event loop: a thread would call a stuck loop healthy.
        watchdog_s = self._notifier.watchdog_s
        tick_s = TICK_S if watchdog_s is None else min(TICK_S, watchdog_s / 3)
        while not await self.on_tick(0):
            if watchdog_s is not None:
                self._notifier.send("WATCHDOG=1")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(tick_s):
                    await self._stop_asked.wait()
        self._notifier.send("STOPPING=1")

    def _ask_stop(self, number: int) -> None:
        self.handle_exit(number, None)
        self._stop_asked.set()


def _listen(manifest: Manifest, settings: KitSettings) -> socket.socket:
    port = manifest.port if settings.server_port is None else settings.server_port
    family = socket.AF_INET6 if ":" in settings.server_host else socket.AF_INET
    # SO_REUSEADDR, which create_server sets, lets a restarted server have its port at once.
    try:
        return socket.create_server((settings.server_host, port), family=family, backlog=512)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise BindRefused(
            f"Port {port} is in use, perhaps by this server in a Flotilla that runs already."
            " Take another with --port, or any free one with --port 0."
        ) from error


def _check_reach(listener: socket.socket, settings: KitSettings) -> None:
    if listener.family == socket.AF_UNIX or settings.allow_remote_bind:
        return
    host = listener.getsockname()[0]
    if not ipaddress.ip_address(host).is_loopback:
        listener.close()
        raise BindRefused(
            f"{host} is reachable from other machines. Keep the default 127.0.0.1, or set"
            " FLOTILLA_ALLOW_REMOTE_BIND=true and put a TLS proxy in front."
        )


def _url(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return f"http+unix:{listener.getsockname()}:{MCP_PATH}"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}{MCP_PATH}" if ":" in host else f"http://{host}:{port}{MCP_PATH}"
