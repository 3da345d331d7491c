"""Folds chunks into a `Completion` and the deltas to show."""

from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from orchestrator.domain.model_settings import Price
from orchestrator.llm.chunks import (
    Choice,
    Chunk,
    Count,
    MessagePart,
    UsageReport,
    is_object,
)
from orchestrator.llm.deltas import (
    Completion,
    Delta,
    ImageDelta,
    ReasoningDelta,
    SourceDelta,
    TextDelta,
    Usage,
)
from orchestrator.llm.tool_calls import ToolCallFragments

_MICRO = Decimal(1_000_000)
_MAX_COST = Decimal(1_000_000)
"""No request costs a million dollars: more than that is a broken report."""
_MAX_TOKENS = 10**12


class Accumulator:
    """Takes chunks in order. Adjacent text of one batch becomes one delta.

    `completion.tool_calls` is set only by `finish`: half a tool call is nothing to act on.
    """

    def __init__(
        self,
        completion: Completion,
        model_id: Callable[[str], str] = str,
        price: Price | None = None,
    ) -> None:
        """`model_id` makes the endpoint's name of a model ours; `price` is what the owner says."""
        self.completion = completion
        self._model_id = model_id
        self._price = price
        self._wire_model = ""
        self.has_output = False
        self._tool_calls = ToolCallFragments()
        self._deltas: list[Delta] = []
        self._run: list[str] = []
        self._run_type: type[TextDelta | ReasoningDelta] = TextDelta

    def add(self, chunk: Chunk) -> None:
        """Take what the chunk carries; errors in it are the caller's business."""
        completion = self.completion
        if chunk.model and chunk.model != self._wire_model:
            self._wire_model = chunk.model
            completion.model = self._model_id(chunk.model)
        completion.generation_id = chunk.id or completion.generation_id
        completion.provider = chunk.provider or completion.provider
        if chunk.usage is not None:
            completion.usage = _usage(chunk.usage, self._price)
        for choice in chunk.choices or ():
            if not choice.index:
                self._add_choice(choice)

    def take_deltas(self) -> list[Delta]:
        """Return what `add` gathered since the last call."""
        self._end_run()
        deltas, self._deltas = self._deltas, []
        return deltas

    def finish(self) -> None:
        """Complete the completion after the last chunk."""
        self.completion.tool_calls = self._tool_calls.joined()

    def _add_choice(self, choice: Choice) -> None:
        part = choice.delta or choice.message
        if part is not None:
            self._add_part(part)
        if choice.finish_reason and choice.finish_reason != "error":
            self.completion.finish_reason = choice.finish_reason

    def _add_part(self, part: MessagePart) -> None:
        if part.reasoning_details:
            self.has_output = True
            self.completion.reasoning_details.extend(part.reasoning_details)
        self._add_run(ReasoningDelta, _reasoning_text(part))
        self._add_run(TextDelta, _content_text(part.content))
        self._add_run(TextDelta, part.refusal or "")
        for fragment in part.tool_calls or ():
            self.has_output = True
            self._tool_calls.add(fragment)
        if part.annotations:
            self._add_sources(part.annotations)
        if part.images:
            self._add_images(part.images)

    def _add_run(self, kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        if not text:
            return
        if kind is not self._run_type:
            self._end_run()
            self._run_type = kind
        self._run.append(text)

    def _end_run(self) -> None:
        if not self._run:
            return
        text = "".join(self._run)
        self._run.clear()
        if self._run_type is TextDelta:
            self.completion.text += text
        else:
            self.completion.reasoning += text
        self._show(self._run_type(text))

    def _add_sources(self, annotations: list[dict[str, Any]]) -> None:
        known = {source.url for source in self.completion.sources}
        for citation in _dicts(item.get("url_citation") for item in annotations):
            url = citation.get("url")
            if not isinstance(url, str) or url in known or not _is_web(url):
                continue
            known.add(url)
            source = SourceDelta(url, str(citation.get("title") or url))
            self.completion.sources.append(source)
            self._end_run()
            self._show(source)

    def _add_images(self, images: list[dict[str, Any]]) -> None:
        for image in _dicts(item.get("image_url") for item in images):
            url = image.get("url")
            if isinstance(url, str) and (_is_web(url) or url.startswith("data:image/")):
                self.completion.images.append(url)
                self._end_run()
                self._show(ImageDelta(url))

    def _show(self, delta: Delta) -> None:
        self.has_output = True
        self._deltas.append(delta)


def _dicts(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [value for value in values if is_object(value)]


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _content_text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    return content or ""


def _reasoning_text(part: MessagePart) -> str:
    plain = part.reasoning or part.reasoning_content
    if plain or not part.reasoning_details:
        return plain or ""
    details = part.reasoning_details
    return "".join(str(detail.get("text") or detail.get("summary") or "") for detail in details)


def _usage(report: UsageReport, price: Price | None) -> Usage:
    prompt, completion = report.prompt_tokens_details, report.completion_tokens_details
    prompt_tokens = token_count(report.prompt_tokens)
    completion_tokens = token_count(report.completion_tokens)
    dollars = report.cost
    if price is not None:
        dollars = (prompt_tokens * price.prompt + completion_tokens * price.completion) / _MICRO
    cost_microusd = None if dollars is None else microusd(dollars)
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        reasoning_tokens=token_count(completion.reasoning_tokens if completion else None),
        cached_tokens=token_count(prompt.cached_tokens if prompt else None),
        cost_microusd=cost_microusd or 0,
        is_priced=cost_microusd is not None,
    )


def token_count(told: Count) -> int:
    """Return what upstream says as a number that can be stored."""
    return int(min(max(told or 0, 0), _MAX_TOKENS))


def microusd(dollars: Decimal) -> int | None:
    """Return whole micro-dollars, rounded half up; None for what no request costs."""
    if not (dollars.is_finite() and 0 <= dollars <= _MAX_COST):
        return None
    return int((dollars * _MICRO).quantize(Decimal(1), ROUND_HALF_UP))
