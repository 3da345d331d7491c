"""The text of `.env.example`."""

from pathlib import Path

from pydantic.fields import FieldInfo

from orchestrator.cli.explain import text_of
from orchestrator.settings import CHECKOUT, Settings, variable_of


def example_env() -> str:
    """Return the text of `.env.example`."""
    head = "# Copy to .env and remove the # of the lines you change. Environment variables win.\n"
    return head + "".join(
        _example_entry(variable_of(name), field)
        for name, field in Settings.model_fields.items()
        if name != "notify_socket"
    )


def _example_entry(variable: str, field: FieldInfo) -> str:
    default = "" if field.default_factory else text_of(field.default)
    if isinstance(field.default, Path) and field.default.is_absolute():
        default = field.default.relative_to(CHECKOUT).as_posix()
    return f"\n# {field.description}\n# {variable}={default}\n"
