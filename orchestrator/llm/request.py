"""The body of a request: what each endpoint takes of what the settings ask for.

OpenRouter passes on what a model knows. Others refuse whole requests for one unknown field, so
they get what OpenAI documents for `/chat/completions` and nothing else (checked 2026-11-20:
OpenAI, the compatible endpoints of Anthropic, Together, Ollama and vLLM).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orchestrator.domain.model_info import ModelInfo
from orchestrator.domain.model_settings import Parameters, ProviderRouting
from orchestrator.llm.chunks import is_object
from orchestrator.llm.deltas import CompletionRequest
from orchestrator.llm.endpoint import Endpoint

OPENAI_FIELDS = frozenset(
    {
        *("temperature", "top_p", "max_tokens", "stop", "seed", "logit_bias"),
        *("frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"),
        *("tool_choice", "parallel_tool_calls", "response_format"),
        *("verbosity", "reasoning_effort"),
    }
)
"""What an endpoint that is not OpenRouter may be sent beside model, messages, tools and stream."""
_OPENAI_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
_OPENAI_VERBOSITIES = ("low", "medium", "high")
_MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})
_ALWAYS = frozenset({"max_tokens", "provider"})
"""Not a matter of the model: a limit of cost must be sent, and routing is OpenRouter's."""
_NEEDS_TOOLS = ("tool_choice", "parallel_tool_calls")
_OPENAI_HOST = "api.openai.com"


def left_out(
    parameters: Parameters,
    provider: ProviderRouting,
    info: ModelInfo | None,
    endpoint: Endpoint,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the request fields that a model takes, and in dots the settings it does not take.

    `info` is what the catalog says of the model; without it, or without its
    `supported_parameters`, the model is trusted to take everything its endpoint takes.
    """
    return fitted(request_fields(parameters, provider), info, endpoint)


def request_fields(parameters: Parameters, provider: ProviderRouting) -> dict[str, Any]:
    """Return the settings as OpenRouter's request has them; what is null is not there."""
    fields = parameters.model_dump(mode="json", exclude_none=True)
    fields["provider"] = _plain(_filled(provider.model_dump(exclude_none=True)))
    return _filled(fields)


def fitted(
    fields: Mapping[str, Any], info: ModelInfo | None, endpoint: Endpoint
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Do as `left_out` does, with fields of a request."""
    kept: dict[str, Any] = {}
    missing: list[str] = []
    for name, value in fields.items():
        if not _is_known(name, info):
            missing.append(name)
        elif endpoint.is_openrouter:
            kept[name] = value
        elif name == "reasoning":
            missing += _keep_effort(value, kept)
        elif name not in OPENAI_FIELDS or (
            name == "verbosity" and value not in _OPENAI_VERBOSITIES
        ):
            missing.append(name)
        else:
            kept[name] = value
    return kept, tuple(missing)


def request_body(
    request: CompletionRequest, wire_model: str, info: ModelInfo | None, endpoint: Endpoint
) -> dict[str, Any]:
    """Return the body that asks `wire_model` at `endpoint`."""
    body, _ = fitted(request.parameters, info, endpoint)
    if not request.tools:
        for name in _NEEDS_TOOLS:  # OpenAI refuses them where there are no tools.
            body.pop(name, None)
    if endpoint.hostname == _OPENAI_HOST and "max_tokens" in body:
        # Its reasoning models refuse the name that all others know.
        body["max_completion_tokens"] = body.pop("max_tokens")
    body["model"] = wire_model
    body["messages"] = (
        request.messages if endpoint.is_openrouter else _standard_messages(request.messages)
    )
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = request.tools
    if endpoint.is_openrouter:
        body["usage"] = {"include": True}
        if request.session_id:
            body["session_id"] = request.session_id
    return body


def _is_known(name: str, info: ModelInfo | None) -> bool:
    if info is None or not info.supported_parameters or name in _ALWAYS:
        return True
    return name in info.supported_parameters


def _keep_effort(reasoning: Any, kept: dict[str, Any]) -> list[str]:
    """Keep the one thing OpenAI's format has of `reasoning`; return what is left out of it."""
    missing: list[str] = []
    for name, value in reasoning.items() if is_object(reasoning) else ():
        if name == "effort" and value in _OPENAI_EFFORTS:
            kept["reasoning_effort"] = value
        else:
            missing.append(f"reasoning.{name}")
    return missing


def _standard_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages without what only OpenRouter takes back, such as `reasoning_details`."""
    return [
        message
        if _MESSAGE_FIELDS.issuperset(message)
        else {name: value for name, value in message.items() if name in _MESSAGE_FIELDS}
        for message in messages
    ]


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without groups in which nothing is set."""
    return {name: value for name, value in fields.items() if value != {}}


def _plain(value: Any) -> Any:
    """Return prices as JSON numbers; they have too few digits to suffer from it."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType] - JSON
