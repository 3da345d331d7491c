"""Which call a tool runs for: what upstreams call an idempotency key can be made from its id."""

from contextvars import ContextVar

_call_id: ContextVar[str] = ContextVar("current_call_id")


def begin_call(call_id: str) -> None:
    """From now on, in this task and the threads it starts, this call runs."""
    _call_id.set(call_id)


def current_call_id() -> str:
    """The id of the gated call that runs here.

    The same again when a call that had to wait for a sign-in runs again. Raises RuntimeError
    outside a gated call.
    """
    try:
        return _call_id.get()
    except LookupError as error:
        raise RuntimeError("only a tool that writes has a call id, while it runs") from error
