"""Which value a setting has, and which layer gives it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.table import table
from orchestrator.domain.model_settings import ModelSettings
from orchestrator.settings import ENV_FILE, Settings, layer_of, load_settings, variable_of
from orchestrator.store.in_force import (
    DOCUMENT,
    FIELDS_OF_VARIABLES,
    KEYS,
    PRACTICE_MODEL,
    InForce,
    environment_layers,
    in_force,
    is_practising,
    lasting_layers,
)
from orchestrator.store.json_file import why

PRACTISING = "flotilla up, which starts the practice model while no OPENROUTER_API_KEY is set"
_SHOWN_CHARS = 60
_KEYS_OF_FIELDS = {field: key for key, field in FIELDS_OF_VARIABLES.items()}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one setting has its value from."""

    name: str
    """Its variable, or its place in the document of model settings, in dots."""
    value: str
    layer: str
    description: str


def explain(key: str, env_file: Path = ENV_FILE) -> Explanation:
    """Return the winning layer of one setting; secrets are masked.

    Raises KeyError, InvalidSettings, and Complaint when the document cannot be read.
    """
    fields = {variable_of(field): field for field in Settings.model_fields}
    reading = _Reading(env_file)
    if key.lower() in KEYS:
        return reading.of_key(key.lower())
    variable = key.upper() if key.upper() in fields else variable_of(key)
    return reading.of_field(fields[variable])


def explanation(key: str) -> str:
    """Return the value, the winning layer and the meaning of one setting."""
    try:
        found = explain(key)
    except KeyError:
        raise Complaint(f"{key!r} is not a setting. `flotilla explain` lists them all.") from None
    return f"{found.name}={found.value}\nfrom: {found.layer}\n{found.description}"


def overview() -> str:
    """Return a table of all settings."""
    rows = [
        (found.name, _in_a_line(found.value), found.layer) for found in _Reading(ENV_FILE).all()
    ]
    return table(("setting", "value", "from"), rows)


class _Reading:
    """What all layers say, read once."""

    def __init__(self, env_file: Path) -> None:
        self._env_file = env_file
        self._settings = load_settings(env_file)
        self._in_force = _model_settings(self._settings, env_file)

    def all(self) -> Iterator[Explanation]:
        for field in Settings.model_fields:
            yield self.of_field(field)
        for key in KEYS:
            if key not in FIELDS_OF_VARIABLES:
                yield self.of_key(key)

    def of_field(self, field: str) -> Explanation:
        variable, description = variable_of(field), Settings.model_fields[field].description or ""
        if field in _KEYS_OF_FIELDS:
            value, layer = self._found(_KEYS_OF_FIELDS[field])
        else:
            value = getattr(self._settings, field)
            layer = layer_of(variable, self._env_file)
        return Explanation(variable, text_of(value), layer, description)

    def of_key(self, key: str) -> Explanation:
        value, layer = self._found(key)
        if key in FIELDS_OF_VARIABLES:
            variable = variable_of(FIELDS_OF_VARIABLES[key])
            description = f"Set it in {DOCUMENT}; {variable} beats it."
        else:
            description = f"Set it in {DOCUMENT}, or with PATCH /api/settings/model."
        return Explanation(key, text_of(value), layer, description)

    def _found(self, key: str) -> tuple[Any, str]:
        if key == "model" and is_practising(self._settings):
            return PRACTICE_MODEL, PRACTISING
        value: Any = self._in_force
        for part in key.split("."):
            value = getattr(value, part)
        return value, self._in_force.layers.get(key, "default")


def _model_settings(settings: Settings, env_file: Path) -> InForce:
    path = settings.data_dir / "model_settings.json"
    try:
        document = ModelSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        document = ModelSettings()
    except ValidationError as error:
        raise Complaint(
            f"{path} cannot be used ({why(error)}). A running assistant keeps what it read last."
        ) from None
    layers = environment_layers(settings, lambda variable: layer_of(variable, env_file))
    return in_force(lasting_layers(layers, document))


def text_of(value: Any) -> str:
    """Return a value as it is written in the environment."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - tuple of str
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        return value.model_dump_json(exclude_none=True)
    if isinstance(value, dict):
        return json.dumps(value)
    return "" if value is None else str(value)


def _in_a_line(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
