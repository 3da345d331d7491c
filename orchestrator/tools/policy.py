"""What a server says of a tool's effects, and how much of that is believed."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.servers import Trust
from orchestrator.domain.tools import ALL_EFFECTS, Effect, Label

POLICY_KEY = "flotilla/policy"
"""Where in `_meta` a server of the fleet lists the policy of a tool."""
_MAX_DESTINATIONS = 16
_MAX_NAME_LENGTH = 256
_ASKS = 2


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    labels: list[Label] = Field(min_length=1, max_length=8)
    level: Literal[0, 1, 2, 3]
    effect: Effect | None = None
    destinations: list[str] = Field(default_factory=list[str], max_length=_MAX_DESTINATIONS)
    account: str | None = Field(default=None, max_length=_MAX_NAME_LENGTH)
    undoable: bool = False
    preview: bool = False
    capability: str | None = Field(default=None, max_length=_MAX_NAME_LENGTH)


@dataclass(frozen=True, slots=True)
class ToolEffects:
    """What is assumed of a tool; the fields are those of `ToolDefinition`."""

    read_only: bool
    idempotent: bool
    labels: frozenset[Label]
    level: int
    effect: Effect | None
    destinations: tuple[str, ...] = ()
    account_argument: str | None = None
    undoable: bool = False
    is_journalled: bool = False
    has_preview: bool = False
    capability: str | None = None


ANYTHING = ToolEffects(
    read_only=False, idempotent=False, labels=ALL_EFFECTS, level=2, effect="change"
)
"""What is assumed of a tool about which nothing is believed."""


def effects_of(policy: Any, hints: dict[str, Any], trust: Trust) -> ToolEffects:
    """Return what to assume of a tool that lists this policy, or None, and these annotations.

    Only our own fleet is believed, and there only a policy that is understood as a whole and
    agrees with the annotations. Without a policy the annotations alone tell who only reads.
    """
    if trust != "fleet":
        return ANYTHING
    read_only = hints.get("readOnlyHint") is True
    idempotent = read_only or hints.get("idempotentHint") is True
    if policy is None:
        labels: frozenset[Label] = frozenset({"read" if read_only else "write"})
        level, effect = (0, None) if read_only else (2, "change")
        return ToolEffects(read_only, idempotent, labels, level, effect)
    try:
        said = _Policy.model_validate(policy)
    except ValidationError:
        return ANYTHING
    if read_only != ("write" not in said.labels) or read_only != (said.effect is None):
        return ANYTHING
    labels = frozenset(said.labels)
    return ToolEffects(
        read_only=read_only,
        idempotent=idempotent,
        labels=labels,
        level=said.level,
        effect=said.effect,
        destinations=tuple(said.destinations),
        account_argument=said.account,
        undoable=said.undoable,
        is_journalled=said.level >= _ASKS or bool(labels & {"write", "egress"}),
        has_preview=said.preview,
        capability=said.capability,
    )
