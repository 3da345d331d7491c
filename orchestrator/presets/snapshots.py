"""What a preset takes from the settings, what it puts back, and what would change.

All of it is pure: documents in, documents out. `Documents.change` makes it durable, so a preset is
in force as a whole or not at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.domain.model_settings import ModelSettings
from orchestrator.domain.presets import Preset, PresetServer
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.values import Value
from orchestrator.errors import Conflict
from orchestrator.store.document_folder import Contents

_CHOSEN = ("model", "fallback_models", "parameters", "provider", "roles", "system_prompt")
"""What a preset holds of the model settings."""


class Difference(Value):
    """One thing that applying a preset changes."""

    field: str
    """E.g. `parameters.temperature` or `servers.gmail.enabled`."""
    now: Any
    preset: Any


def snapshot(now: Contents, name: str, *, created_at: str, updated_at: str) -> Preset:
    """Return what is chosen now as a preset."""
    chosen = {field: getattr(now.model_settings, field) for field in _CHOSEN}
    switches = tuple(_switches(server) for server in now.mcp_servers.servers)
    return Preset(
        name=name, created_at=created_at, updated_at=updated_at, servers=switches, **chosen
    )


def applied(now: Contents, preset: Preset) -> Contents:
    """Return the documents with the preset in force.

    Servers that it does not know are switched off. Raises Conflict when it names servers that are
    not configured any more.
    """
    wanted = {server.id: server for server in preset.servers}
    missing = sorted(wanted.keys() - {server.id for server in now.mcp_servers.servers})
    if missing:
        raise Conflict(
            f"The preset {preset.name!r} needs {', '.join(missing)}, which is not configured any "
            "more. Add it again, or update the preset from the present settings."
        )
    chosen = {field: getattr(preset, field) for field in _CHOSEN}
    servers = tuple(_switched(server, wanted.get(server.id)) for server in now.mcp_servers.servers)
    return replace(
        now,
        model_settings=now.model_settings.model_copy(update=chosen),
        mcp_servers=now.mcp_servers.model_copy(update={"servers": servers}),
    )


def differences(now: Contents, preset: Preset) -> list[Difference]:
    """Return what applying the preset would change, by field."""
    before, after = dict(_facts(now)), dict(_facts_of_preset(now, preset))
    return [
        Difference(field=field, now=before.get(field), preset=after.get(field))
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    ]


def _switches(server: ServerConfig) -> PresetServer:
    return PresetServer(
        id=server.id, enabled=server.enabled, disabled_tools=tuple(sorted(server.disabled_tools))
    )


def _switched(server: ServerConfig, wanted: PresetServer | None) -> ServerConfig:
    if wanted is None:
        return server.model_copy(update={"enabled": False})
    if set(wanted.disabled_tools) == set(server.disabled_tools):
        return server.model_copy(update={"enabled": wanted.enabled})
    return server.model_copy(
        update={"enabled": wanted.enabled, "disabled_tools": wanted.disabled_tools}
    )


def _facts(now: Contents) -> Iterator[tuple[str, Any]]:
    yield from _choices(now.model_settings)
    for server in now.mcp_servers.servers:
        yield from _server_facts(_switches(server))


def _facts_of_preset(now: Contents, preset: Preset) -> Iterator[tuple[str, Any]]:
    yield from _choices(preset)
    known = {server.id for server in preset.servers}
    for server in preset.servers:
        yield from _server_facts(server)
    for server in now.mcp_servers.servers:
        if server.id not in known:
            yield from _server_facts(_switches(server).model_copy(update={"enabled": False}))


def _choices(chosen: ModelSettings | Preset) -> Iterator[tuple[str, Any]]:
    for field in _CHOSEN:
        value = getattr(chosen, field)
        yield from _leaves(
            field, value.model_dump(mode="json") if isinstance(value, Value) else value
        )


def _server_facts(server: PresetServer) -> Iterator[tuple[str, Any]]:
    yield f"servers.{server.id}.enabled", server.enabled
    yield f"servers.{server.id}.disabled_tools", sorted(server.disabled_tools)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and path.count(".") < 2 and path != "parameters.logit_bias":
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from _leaves(f"{path}.{key}", inner)
    elif value is not None:
        yield path, value
