"""The model settings in the terms of a request."""

from typing import Any

from orchestrator.llm import request
from orchestrator.store.in_force import InForce


def request_fields(settings: InForce) -> dict[str, Any]:
    """Return the parameters as top-level fields, and `provider`; what is not set is left out."""
    return request.request_fields(settings.parameters, settings.provider)
