"""A circuit breaker: stops asking a server that fails, and asks again now and then."""

import random
import time
from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 600.0
_JITTER = 0.2


class CircuitBreaker:
    """Closed: calls pass. Open: none passes until the pause is over. Half open: one may try.

    Three failures in a row or one time-out open it, for 30 s at first; every trial that fails
    doubles the pause, up to ten minutes. Each pause is up to a fifth longer or shorter, so that
    servers that failed together are not tried together.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._openings = 0
        self._retry_at: float | None = None
        self._is_trying = False
        self._is_hanging = False

    @property
    def state(self) -> BreakerState:
        if self._retry_at is None:
            return "closed"
        return "open" if self._clock() < self._retry_at else "half_open"

    @property
    def retry_after_s(self) -> float:
        """Seconds until a trial is allowed; 0 when calls may pass."""
        return 0.0 if self._retry_at is None else max(0.0, self._retry_at - self._clock())

    def try_pass(self) -> bool:
        """Tell whether a call may go ahead; a caller told so must report how it ended."""
        state = self.state
        if state == "closed":
            return True
        if state == "open" or self._is_trying:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        self._failures = self._openings = 0
        self._retry_at = None
        self._is_trying = False

    def failed(self, *, timed_out: bool = False) -> None:
        self._failures += 1
        was_trial, self._is_trying = self._is_trying, False
        if self._retry_at is not None and not was_trial:
            return  # A call from before the opening; it says nothing new.
        if was_trial or timed_out or self._failures >= FAILURES_TO_OPEN:
            self._open(timed_out=timed_out)

    def abandoned(self) -> None:
        """Report that the caller went away, so that nothing was learnt."""
        self._is_trying = False

    def revive(self, *, was_away: bool) -> None:
        """Let calls try again, because a new session was opened and listed its tools.

        After the first opening of an outage all may pass: one slow tool must not silence a server
        that lives. Later one may try, if the server `was_away` or broke instead of hanging, for
        then this is a server that came back. One that lists and hangs in its tools is left alone.
        """
        if self._retry_at is None or self._is_trying:
            return
        if self._openings == 1:
            self._retry_at = None
            self._failures = 0
        elif was_away or not self._is_hanging:
            self._retry_at = self._clock()

    def _open(self, *, timed_out: bool) -> None:
        self._is_hanging = timed_out
        pause = min(FIRST_PAUSE_S * 2**self._openings, LONGEST_PAUSE_S)
        pause *= 1 - _JITTER + 2 * _JITTER * self._jitter()
        # Ten doublings are past the longest pause; the bound keeps the power small.
        self._openings = min(self._openings + 1, 10)
        self._retry_at = self._clock() + min(pause, LONGEST_PAUSE_S)
