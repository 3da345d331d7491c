"""What `flotilla explain` prints."""

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.table import table
from orchestrator.settings import Settings, explain, variable_of


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
