"""What the vendor takes beside messages and tools, as a schema: names, types and ranges."""

from typing import Any

_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_YES_OR_NO = {"type": "boolean"}
_PRICE = {"type": "number", "minimum": 0}


def _number(low: float, high: float | None = None) -> dict[str, Any]:
    return {"type": "number", "minimum": low, **({} if high is None else {"maximum": high})}


def _count(low: int, high: int | None = None) -> dict[str, Any]:
    return {**_number(low, high), "type": "integer"}


def _one_of(*names: str) -> dict[str, Any]:
    return {"enum": list(names)}


def _object(**properties: Any) -> dict[str, Any]:
    # What is not set must not be there: some providers refuse null.
    return {"type": "object", "properties": properties, "additionalProperties": False}


FIELDS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "temperature": _number(0, 2),
        "top_p": _number(0, 1),
        "top_k": _count(0),
        "min_p": _number(0, 1),
        "top_a": _number(0, 1),
        "max_tokens": _count(1),
        "frequency_penalty": _number(-2, 2),
        "presence_penalty": _number(-2, 2),
        "repetition_penalty": _number(0, 2),
        "seed": {"type": "integer"},
        "stop": {**_TEXTS, "maxItems": 4},
        "logit_bias": {"type": "object", "additionalProperties": _number(-100, 100)},
        "logprobs": _YES_OR_NO,
        "top_logprobs": _count(0, 20),
        "parallel_tool_calls": _YES_OR_NO,
        "tool_choice": _one_of("none", "auto", "required"),
        "response_format": {"type": "object", "required": ["type"]},
        "structured_outputs": _YES_OR_NO,
        "verbosity": _one_of("low", "medium", "high", "xhigh", "max"),
        "reasoning": _object(
            effort=_one_of("max", "xhigh", "high", "medium", "low", "minimal", "none"),
            max_tokens=_count(1),
            exclude=_YES_OR_NO,
            enabled=_YES_OR_NO,
            summary=_one_of("auto", "concise", "detailed"),
        ),
        "provider": _object(
            order=_TEXTS,
            only=_TEXTS,
            ignore=_TEXTS,
            allow_fallbacks=_YES_OR_NO,
            require_parameters=_YES_OR_NO,
            data_collection=_one_of("allow", "deny"),
            zdr=_YES_OR_NO,
            quantizations=_TEXTS,
            sort=_one_of("price", "throughput", "latency"),
            max_price=_object(
                prompt=_PRICE, completion=_PRICE, image=_PRICE, audio=_PRICE, request=_PRICE
            ),
        ),
    },
}
