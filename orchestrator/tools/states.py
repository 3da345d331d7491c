"""The states of a server: which let its tools be called, and how changes are logged."""

import logging

from orchestrator.domain.tools import ServerState
from orchestrator.tools.failures import ExchangeFailed

logger = logging.getLogger(__name__)

USABLE: tuple[ServerState, ...] = ("ready", "degraded", "changed")
_DOWN: tuple[ServerState, ...] = ("unavailable", "needs_sign_in")


def log_change(
    server: str, before: ServerState, now: ServerState, why: ExchangeFailed | None, tools: int
) -> None:
    """Log once that a server went away, and once that it is back."""
    if now in _DOWN:
        logger.warning("server_down server=%s state=%s error=%s", server, now, why)
    elif before in (*_DOWN, "connecting"):
        logger.info("server_up server=%s state=%s tools=%d", server, now, tools)
