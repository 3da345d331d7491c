"""One request to an API, taken apart, and what handles each method."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.google.people import Person
    from tests.fakes.google.server import FakeGoogle


@dataclass
class ApiCall:
    """A request that is well-formed and allowed, on its way to its handler."""

    method: str
    google: "FakeGoogle"
    person: "Person"
    scopes: frozenset[str]
    parameters: dict[str, Any]
    body: dict[str, Any] = field(default_factory=dict)
    media: bytes | None = None
    """What was uploaded beside the body."""
    if_match: str | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a parameter; None when it was not given."""
        return self.parameters.get(name)


@dataclass(frozen=True)
class Seen:
    """A request that has been answered, for tests to look at. `status` is 0 without an answer."""

    method: str
    account: str | None
    parameters: dict[str, Any]
    body: dict[str, Any]
    status: int


Handler = Callable[[ApiCall], dict[str, Any] | None]
HANDLERS: dict[str, Handler] = {}


def handles(*methods: str) -> Callable[[Handler], Handler]:
    """Make a function the handler of some methods: gives the answer, None for an empty one."""

    def keep(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(methods, handler))
        return handler

    return keep
