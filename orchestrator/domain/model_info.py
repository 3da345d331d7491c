"""What is known of a model: the entry of a catalog, the same whichever endpoint offers it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field, PlainSerializer

from orchestrator.domain.values import Value


def plain_decimal(number: Decimal) -> str:
    """Return a decimal in digits, without exponent or needless zeros: `0.15`, `10`."""
    return format(number.normalize(), "f")


Dollars = Annotated[Decimal, PlainSerializer(plain_decimal, return_type=str, when_used="json")]
"""US dollars, exact; text in JSON."""


class ModelPricing(Value):
    """What a model costs; null where nobody says.

    Per million tokens, except `request` and `image`, which are for one each.
    """

    prompt: Dollars | None = None
    completion: Dollars | None = None
    input_cache_read: Dollars | None = None
    input_cache_write: Dollars | None = None
    internal_reasoning: Dollars | None = None
    request: Dollars | None = None
    image: Dollars | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged, as far as the endpoint says."""
        charged = (self.completion, self.internal_reasoning, self.request, self.image)
        return self.prompt == 0 and self.completion is not None and not any(charged)


class ModelInfo(Value):
    """One model of a catalog. Compatible endpoints often tell no more than the id."""

    id: Annotated[str, Field(min_length=1, max_length=300)]
    """As settings name it: with `endpoint:` in front unless the model is OpenRouter's."""
    endpoint: str
    name: str
    description: str = ""
    """Cut after 2,000 characters."""
    context_length: int | None = None
    max_completion_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    """`text`, `image`, `file`, `audio`, `video`; empty when the endpoint does not say."""
    output_modalities: tuple[str, ...] = ()
    pricing: ModelPricing = ModelPricing()
    supported_parameters: tuple[str, ...] = ()
    """Names of request fields; empty when the endpoint does not say."""
    tools: bool | None = None
    """Whether it calls tools; null when the endpoint does not say."""
    reasoning_efforts: tuple[str, ...] = ()
    created: datetime | None = None
    expiration: str | None = None
    """Day after which the endpoint no longer offers it."""
