"""JSON Schemas without references: several MCP clients cannot follow `$ref`."""

from typing import Any, cast

_DEFINITIONS = "#/$defs/"


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with each definition in the place of its references.

    Raises TypeError for a schema that contains itself. (fastmcp's own function for this loads
    jsonref and requests: 8 MB more in every server.)
    """
    definitions: dict[str, Any] = schema.get("$defs", {})
    rest = {key: value for key, value in schema.items() if key != "$defs"}
    return _inlined(rest, definitions, ())


def _inlined(node: Any, definitions: dict[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inlined(part, definitions, within) for part in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    entries = cast("dict[str, Any]", node)
    parts = {key: _inlined(value, definitions, within) for key, value in entries.items()}
    # A discriminator names definitions that are gone now; the variants' `const`s say the same.
    if "propertyName" in (entries.get("discriminator") or ()):
        del parts["discriminator"]
    reference = parts.pop("$ref", None)
    if not isinstance(reference, str):
        return parts
    if reference in within:
        raise TypeError(f"{reference} contains itself: a tool's schema must be a finite tree")
    target = definitions[reference.removeprefix(_DEFINITIONS)]
    return {**_inlined(target, definitions, (*within, reference)), **parts}
