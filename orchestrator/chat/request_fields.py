"""The model settings in the terms of a request."""

from decimal import Decimal
from typing import Any

from orchestrator.store.in_force import InForce


def request_fields(settings: InForce) -> dict[str, Any]:
    """Return the parameters as top-level fields, and `provider`; what is not set is left out."""
    fields = settings.parameters.model_dump(exclude_none=True)
    if provider := settings.provider.model_dump(exclude_none=True):
        if prices := provider.get("max_price"):
            provider["max_price"] = {name: _number(price) for name, price in prices.items()}
        fields["provider"] = provider
    return fields


def _number(price: Decimal) -> int | float:
    """Return a price as JSON's numbers go: text would not be understood everywhere."""
    return int(price) if price == price.to_integral_value() else float(price)
