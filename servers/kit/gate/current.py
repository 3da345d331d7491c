"""Which call a tool runs for: what upstreams call an idempotency key can be made from its id."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class CurrentCall:
    """A gated call that runs; shared by all tasks and threads that it starts."""

    call_id: str
    has_acted: bool = False
    """Whether it changed something by now that would be changed twice if it ran again."""


_current: ContextVar[CurrentCall] = ContextVar("current_call")
_account: ContextVar[str | None] = ContextVar("account", default=None)


def begin_call(call_id: str) -> CurrentCall:
    """From now on, in this task and the threads it starts, this call runs."""
    call = CurrentCall(call_id)
    _current.set(call)
    return call


@contextmanager
def acting_for(account: str | None) -> Generator[None]:
    """Meanwhile, in this task and those it starts, the default account is this one.

    What was approved for an account runs for it, whatever becomes the default meanwhile.
    """
    token = _account.set(account)
    try:
        yield
    finally:
        _account.reset(token)


def approved_account() -> str | None:
    """The account that what runs here was approved for; None: whichever is the default."""
    return _account.get()


def current_call_id() -> str:
    """The id of the gated call that runs here.

    The same again when a call that had to wait for a sign-in runs again. Raises RuntimeError
    outside a gated call.
    """
    try:
        return _current.get().call_id
    except LookupError as error:
        raise RuntimeError("only a tool that writes has a call id, while it runs") from error


def note_acted() -> None:
    """Notes that the call that runs here, if any, must not simply run again from its beginning."""
    call = _current.get(None)
    if call is not None:
        call.has_acted = True
