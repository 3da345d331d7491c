"""Refuses models of endpoints that nobody configured, before anything is stored."""

from collections.abc import Collection, Iterator

from fastapi.exceptions import RequestValidationError

from orchestrator.domain.model_settings import (
    OPENROUTER,
    ModelChoice,
    ModelId,
    ModelSettings,
)


def refuse_unknown_endpoints(choice: ModelChoice, endpoints: Collection[str], *place: str) -> None:
    """Raise RequestValidationError (422) for each model whose endpoint is not configured.

    `place` is where `choice` stands in the request.
    """
    known = {OPENROUTER, *endpoints}
    errors = [
        {
            "type": "value_error",
            "loc": ("body", *place, *field),
            "msg": f"names the endpoint {prefix!r}, which is not configured; there are "
            f"{', '.join(sorted(known))}",
        }
        for field, model in _models(choice)
        if (prefix := prefix_of(model)) is not None and prefix not in known
    ]
    if errors:
        raise RequestValidationError(errors)


def prefix_of(model: ModelId) -> str | None:
    """Return what names an endpoint in `endpoint:model`; in `author/model:free` nothing does."""
    prefix, colon, _ = model.partition(":")
    return prefix if colon and "/" not in prefix else None


def _models(choice: ModelChoice) -> Iterator[tuple[tuple[str | int, ...], ModelId]]:
    if choice.model is not None:
        yield ("model",), choice.model
    for number, model in enumerate(choice.fallback_models or ()):
        yield ("fallback_models", number), model
    if isinstance(choice, ModelSettings):
        for role, model in choice.roles:
            if model is not None:
                yield ("roles", role), model
