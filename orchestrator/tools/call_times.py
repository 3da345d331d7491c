"""How long the calls of one server took."""

from collections import deque

from orchestrator.domain.tools import Latency

KEPT_CALLS = 200


class CallTimes:
    """The durations of the last calls that were answered or waited for in vain."""

    def __init__(self) -> None:
        self._times_ms: deque[float] = deque(maxlen=KEPT_CALLS)

    def note(self, duration_s: float) -> None:
        """Add one call."""
        self._times_ms.append(duration_s * 1000)

    @property
    def latency(self) -> Latency:
        """The percentiles by nearest rank, so that each is a time that was measured."""
        times = sorted(self._times_ms)
        if not times:
            return Latency()
        half, most = (times[-(-len(times) * percent // 100) - 1] for percent in (50, 95))
        return Latency(p50=round(half, 1), p95=round(most, 1), calls=len(times))
