"""The tools of one request, and how a wish becomes a call of one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.practice.intents.wish import OneOf, Wish
from orchestrator.practice.json_objects import as_object

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "expression": ("expr", "formula"),
    "value": ("amount", "quantity", "number"),
    "from_unit": ("from", "source_unit", "source", "unit"),
    "to_unit": ("to", "target_unit", "target"),
    "operation": ("op", "kind"),
    "day": ("date", "start", "start_date", "from_date"),
    "end": ("end_date", "until", "other", "to_date", "second_date"),
    "zone": ("timezone", "time_zone", "tz", "zones", "place"),
    "time": ("at", "moment", "local_time"),
    "from_zone": ("from", "source_zone", "from_timezone", "zone"),
    "to_zone": ("to", "target_zone", "to_timezone", "to_zones"),
    "query": ("q", "text", "words"),
}
"""What servers may call the same argument; the schema in the request decides."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A tool call to ask for."""

    name: str
    arguments: dict[str, Any]


class Toolbox:
    """The `tools` of a request by name."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        functions = [as_object(tool.get("function")) for tool in tools]
        self._schemas = {
            str(function.get("name")): as_object(function.get("parameters"))
            for function in functions
        }

    @property
    def names(self) -> list[str]:
        return list(self._schemas)

    def find(self, name: str) -> str | None:
        """Return the offered tool of this name, else one whose last part is the same."""
        if name in self._schemas:
            return name
        return next((offered for offered in self._schemas if is_same_tool(name, offered)), None)

    def plan(self, wish: Wish) -> PlannedCall | None:
        """Return the call for a wish in the tool's own argument names; None without the tool."""
        name = self.find(wish.tool)
        if name is None:
            return None
        properties = as_object(self._schemas[name].get("properties"))
        arguments: dict[str, Any] = {}
        for slot, value in wish.values.items():
            names = [slot, *_OTHER_NAMES.get(slot, ())]
            taken = next((n for n in names if n in properties and n not in arguments), None)
            if taken is not None:
                arguments[taken] = _shaped(value, as_object(properties[taken]))
        return PlannedCall(name, arguments)


def is_same_tool(wanted: str, offered: str) -> bool:
    """Whether the last parts agree: another server may offer the same tool."""
    return wanted.rpartition("__")[2] == offered.rpartition("__")[2]


def _shaped(value: Any, schema: dict[str, Any]) -> Any:
    """Return the value as the schema wants it: a known spelling, text, a number or a list."""
    if isinstance(value, OneOf):
        known = _enum(schema)
        return next((word for word in value.spellings if word in known), value.spellings[0])
    types = _types(schema)
    if isinstance(value, int | float) and "string" in types and not types & {"number", "integer"}:
        return str(value)
    if isinstance(value, str) and types and "array" in types and "string" not in types:
        return [value]
    return value


def _variants(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *(as_object(variant) for variant in schema.get("anyOf") or ())]


def _enum(schema: dict[str, Any]) -> set[Any]:
    return {word for variant in _variants(schema) for word in variant.get("enum") or ()}


def _types(schema: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for variant in _variants(schema):
        kind = variant.get("type")
        found |= {kind} if isinstance(kind, str) else set(kind or ())
    return found
