"""The text of `.env.example`."""

from pathlib import Path

from pydantic.fields import FieldInfo

from orchestrator.cli.explain import text_of
from orchestrator.settings import CHECKOUT, Settings, variable_of

_OF_SERVERS = {
    "GOOGLE_OAUTH_CLIENT_ID": "Client id with which Gmail, Google Calendar and Google Tasks sign "
    "in; servers/kit/google/README.md shows how to make one.",
    "GOOGLE_OAUTH_CLIENT_SECRET": "Secret of that client.",
    "GOOGLE_OAUTH_CLIENT_FILE": "Instead of both: the JSON file of the client from Google's "
    "console.",
}
"""What servers of the fleet read from the same file; the rest of theirs is in their READMEs."""


def example_env() -> str:
    """Return the text of `.env.example`."""
    head = "# Copy to .env and remove the # of the lines you change. Environment variables win.\n"
    own = [
        _example_entry(variable_of(name), field)
        for name, field in Settings.model_fields.items()
        if name != "notify_socket"
    ]
    of_servers = [f"\n# {meaning}\n# {name}=\n" for name, meaning in _OF_SERVERS.items()]
    return "".join([head, *own, *of_servers])


def _example_entry(variable: str, field: FieldInfo) -> str:
    default = "" if field.default_factory else text_of(field.default)
    if isinstance(field.default, Path) and field.default.is_absolute():
        default = field.default.relative_to(CHECKOUT).as_posix()
    return f"\n# {field.description}\n# {variable}={default}\n"
