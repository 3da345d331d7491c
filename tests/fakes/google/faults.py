"""What goes wrong, ordered by a test: for the next requests of one method, in order."""

import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to one request.

    `status` answers with that error. `is_cut` ends the connection without an answer, `is_short`
    in the middle of one. `is_held` waits for `release()`, and answers properly then. With `acted`
    the request is carried out all the same, and only its answer is lost.
    """

    status: int = 0
    reason: str = ""
    retry_after: str | None = None
    acted: bool = False
    is_cut: bool = False
    is_short: bool = False
    is_held: bool = False
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let a held request go on."""
        self._released.set()

    def wait(self) -> None:
        """Return once it is released, or the fake ends."""
        self._released.wait(60)


class Faults:
    """The faults that are still to happen, by method id, as `gmail.users.messages.get`."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Fault]] = {}
        self._all: list[Fault] = []
        self._lock = threading.Lock()

    def next(
        self,
        method: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after: str | int | None = None,
        acted: bool = False,
        cut: bool = False,
        short: bool = False,
        hang: bool = False,
        times: int = 1,
    ) -> Fault:
        """Order what happens to the next `times` requests of a method; `*` is any method.

        Returns the last of them, which can be released when it hangs.
        """
        assert status or cut or short or hang, "a fault is something"
        after = None if retry_after is None else str(retry_after)
        with self._lock:
            for _ in range(times):
                fault = Fault(status, reason, after, acted, cut, short, hang)
                self._queues.setdefault(method, []).append(fault)
                self._all.append(fault)
        return fault

    def take(self, method: str) -> Fault | None:
        """Return the fault of the request that has just come."""
        with self._lock:
            for name in (method, "*"):
                if self._queues.get(name):
                    return self._queues[name].pop(0)
        return None

    @property
    def left(self) -> dict[str, int]:
        """How many faults have not happened, by method."""
        with self._lock:
            return {name: len(queue) for name, queue in self._queues.items() if queue}

    def clear(self) -> None:
        """Forget what has not happened, and let go of what hangs."""
        with self._lock:
            self._queues.clear()
        for fault in self._all:
            fault.release()
