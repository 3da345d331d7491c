"""Which value a setting has, and which layer gives it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.table import table
from orchestrator.settings import (
    ENV_FILE,
    Layer,
    Settings,
    layer_of,
    load_settings,
    variable_of,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one setting has its value from."""

    variable: str
    value: str
    layer: Layer
    description: str


def explain(key: str, env_file: Path = ENV_FILE) -> Explanation:
    """Return the winning layer of one setting; secrets are masked. Raises KeyError."""
    fields = {variable_of(field): field for field in Settings.model_fields}
    variable = key.upper() if key.upper() in fields else variable_of(key)
    field = fields[variable]
    value = getattr(load_settings(env_file), field)
    return Explanation(
        variable=variable,
        value=text_of(value),
        layer=layer_of(variable, env_file),
        description=Settings.model_fields[field].description or "",
    )


def explanation(key: str) -> str:
    """Return the value, the winning layer and the meaning of one setting."""
    try:
        found = explain(key)
    except KeyError:
        raise Complaint(f"{key!r} is not a setting. `flotilla explain` lists them all.") from None
    return f"{found.variable}={found.value}\nfrom: {found.layer}\n{found.description}"


def overview() -> str:
    """Return a table of all settings."""
    all_found = [explain(variable_of(field)) for field in Settings.model_fields]
    rows = [(found.variable, found.value, found.layer) for found in all_found]
    return table(("setting", "value", "from"), rows)


def text_of(value: Any) -> str:
    """Return a value as it is written in the environment."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - tuple of str
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
