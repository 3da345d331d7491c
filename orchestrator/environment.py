"""The variables of the process beside the settings: what a child inherits, and named secrets."""

import os
from collections.abc import Mapping


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return our environment with `changes`, for a process we start."""
    inherited = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    return inherited | dict(changes)


def secret_variable(name: str) -> str | None:
    """Return a secret from the environment variable that a server's configuration names."""
    return os.environ.get(name) or None
