"""Runs the orchestrator under uvicorn."""

import ctypes
import gc
import logging
import signal
import socket
import sys

import uvicorn

from orchestrator.api.deadline import DeadlineProtocol
from orchestrator.cli.bind import listener, refuse_open_bind
from orchestrator.cli.lock import data_lock
from orchestrator.cli.notify import notify_ready
from orchestrator.logs import logging_to_files
from orchestrator.settings import Settings

logger = logging.getLogger(__name__)

APPLICATION = "orchestrator.app:create_app"
GRACE_S = 2
KEEP_ALIVE_S = 30
_M_MMAP_THRESHOLD = -3  # malloc.h


def serve_orchestrator(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Complaint when it may not or cannot start."""
    refuse_open_bind(settings)
    with (
        data_lock(settings.data_dir),
        listener(settings.host, settings.port) as own_socket,
        logging_to_files(settings.logs_dir, settings.log_level),
    ):
        # uvicorn raises the signal again when it is done; by then we are ending anyway.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ignore)
        _Server(_config(), settings.notify_socket).run([own_socket])


def _ignore(_number: int, _frame: object) -> None:
    """Not SIG_IGN: that would be inherited by processes we start."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, notify_socket: str | None) -> None:
        super().__init__(config)
        self._notify_socket = notify_socket

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _settle_garbage()
        _give_memory_back()
        if not self.started:
            return
        logger.info("orchestrator_ready sockets=%s", [own.getsockname() for own in sockets or []])
        if self._notify_socket:
            notify_ready(self._notify_socket)


def _settle_garbage() -> None:
    """Keep what was built at the start out of every later collection, and collect more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def _give_memory_back() -> None:
    """Let every block from 128 KiB on return to the system when it is freed.

    By default the C library of Linux keeps them the longer the larger they were: 20 uploads at a
    time made the process grow by 16 MiB more (2026-11-20).
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, 128 * 1024)


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        APPLICATION,
        factory=True,
        loop="uvloop",
        http=DeadlineProtocol,
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
