"""Which endpoint a model id means."""

from collections.abc import Collection

from orchestrator.domain.model_settings import OPENROUTER
from orchestrator.errors import UnknownEndpoint


def split_model_id(model: str, named: Collection[str]) -> tuple[str, str]:
    """Return the endpoint of a model and what that endpoint calls it.

    `together:meta/llama` is at `together`; `author/model` and `author/model:free` are OpenRouter's,
    as is an id without colon. `named` are the endpoints beside OpenRouter. Raises UnknownEndpoint.
    """
    prefix, colon, rest = model.partition(":")
    if not colon or "/" in prefix:
        return OPENROUTER, model
    if rest and (prefix == OPENROUTER or prefix in named):
        return prefix, rest
    known = ", ".join([OPENROUTER, *sorted(named)])
    raise UnknownEndpoint(
        f"{model!r} names no endpoint that is configured. There are: {known}. "
        "Models of OpenRouter are written author/model."
    )
