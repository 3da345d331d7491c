"""What an error means for the turn it ended."""

import logging

from orchestrator.chat.closing import Ending
from orchestrator.chat.events import Notice
from orchestrator.chat.limits import TurnLimits
from orchestrator.domain.chat import TurnError
from orchestrator.errors import CostLimitReached, FlotillaError

logger = logging.getLogger(__name__)


def ending_for(error: BaseException, limits: TurnLimits) -> Ending:
    """Return how a turn ends that raised `error`; what nobody foresaw is logged and masked."""
    error = _innermost(error)
    if isinstance(error, TimeoutError):
        return ending_at_limit(f"Stopped: this turn took {limits.max_duration_s:.0f} seconds.")
    if isinstance(error, CostLimitReached):
        return ending_at_limit(str(error))
    if isinstance(error, FlotillaError):
        return Ending(
            "failed",
            error=TurnError(code=error.code, message=str(error), retryable=error.retryable),
            retry_after_s=error.retry_after_s,
        )
    logger.error("turn_broke", exc_info=error)
    return Ending(
        "failed",
        error=TurnError(
            code="internal",
            message="The assistant made a mistake of its own; the log says which. Try again.",
            retryable=True,
        ),
    )


def ending_at_limit(why: str) -> Ending:
    """Return how a turn ends that may not go on, and can be continued."""
    notice = Notice(code="limit_reached", message=why)
    return Ending("finished", finish_reason="limit", notice=notice)


def _innermost(error: BaseException) -> BaseException:
    """Return the first leaf: the tool calls of one round run in a task group."""
    if isinstance(error, BaseExceptionGroup):
        return _innermost(error.exceptions[0])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return error
