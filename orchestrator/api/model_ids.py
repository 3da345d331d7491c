"""Refuses models of endpoints that nobody configured, before anything is stored."""

from collections.abc import Collection, Iterator

from fastapi.exceptions import RequestValidationError

from orchestrator.domain.model_settings import ModelId
from orchestrator.domain.values import Value
from orchestrator.errors import UnknownEndpoint
from orchestrator.llm.model_ids import split_model_id

Place = tuple[str | int, ...]


def refuse_unknown_endpoints(choice: Value, endpoints: Collection[str], *place: str) -> None:
    """Raise RequestValidationError (422) for each model whose endpoint is not configured.

    `place` is where `choice` stands in the body.
    """
    errors: list[dict[str, object]] = []
    for field, model in models_in(choice):
        try:
            split_model_id(model, endpoints)
        except UnknownEndpoint as error:
            location = ("body", *place, *field)
            errors.append({"type": "value_error", "loc": location, "msg": str(error)})
    if errors:
        raise RequestValidationError(errors)


def models_in(choice: Value) -> Iterator[tuple[Place, ModelId]]:
    """Return the models that a choice names, and where."""
    if model := getattr(choice, "model", None):
        yield ("model",), model
    for number, model in enumerate(getattr(choice, "fallback_models", None) or ()):
        yield ("fallback_models", number), model
    for role, model in getattr(choice, "roles", None) or ():
        if model is not None:
            yield ("roles", role), model
