"""Ready-made answers, chosen by model id: `fake/text`, `fake/tool`, `fake/429` and so on."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.fakes.openrouter_rounds import Call, Drop, Failure, Round, calls, event, text
from tests.fakes.openrouter_signal import Gate

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
UTF8_TEXT = "Grüße, 日本語, 👩‍🚀 and ½ price"
LISBON = Call("weather__forecast", {"city": "Lisbon"})
TOKYO = Call("clock__now", {"zone": "Asia/Tokyo"})
_BROKEN_CALL = Call("weather__forecast", '{"city": Lis')
_STATUS = re.compile(r"fake/([345]\d\d)")


def scenario(body: dict[str, Any]) -> Round | None:
    """Return the round for the request's model, None when there is no such model."""
    model = str(body["model"])
    if match := _STATUS.fullmatch(model):
        return _refusal(int(match[1]))
    if (make := _CONVERSATIONS.get(model)) is not None:
        return make(body)
    return _FIXED.get(model)


def _refusal(status: int) -> Round:
    return Round(status=status, headers={"Retry-After": "2"} if status == 429 else {})


def _asks_first(*wanted: Call) -> Callable[[dict[str, Any]], Round]:
    """Ask for the calls; once their results are there, say what they were."""

    def answer(body: dict[str, Any]) -> Round:
        results = [m["content"] for m in body["messages"] if m["role"] == "tool"]
        if results:
            return text("The tools said: ", *results)
        return calls(*wanted, reasoning=("Need ", "a tool."))

    return answer


def _told(body: dict[str, Any]) -> Round:
    """Make the calls of the last message that is such a list: of rounds, of [name, arguments]."""
    messages = body["messages"]
    begins = [message["role"] == "user" and message["content"][:1] == "[" for message in messages]
    last = len(begins) - 1 - begins[::-1].index(True)
    rounds = json.loads(messages[last]["content"])
    number = sum(1 for message in messages[last:] if message.get("tool_calls"))
    if number == len(rounds):
        return text("Done.")
    return calls(*(Call(name, arguments) for name, arguments in rounds[number]))


def _citation(url: str, title: str) -> dict[str, Any]:
    citation = {"url": url, "title": title, "start_index": 0, "end_index": 5}
    return {"type": "url_citation", "url_citation": citation}


_CONVERSATIONS: dict[str, Callable[[dict[str, Any]], Round]] = {
    "fake/tool": _asks_first(LISBON),
    "fake/parallel": _asks_first(LISBON, TOKYO),
    "fake/bad-json": _asks_first(_BROKEN_CALL),
    "fake/echo": lambda body: text(str(body["messages"][-1]["content"])),
    "fake/told": _told,
    "fake/request": lambda body: text(json.dumps(body)),
    # Never opened: only the client can end these two.
    "fake/silent": lambda _: Round((Gate(),)),
    "fake/stuck": lambda _: Round(("Half an answer", Gate())),
}
_FIXED: dict[str, Round] = {
    "fake/text": text("Hello", " from", " the", " fake."),
    "fake/mid-error": Round(("Half an ", "answer", Failure())),
    "fake/mid-error-string": Round(("Half", Failure("server_error", "Broke", "server"))),
    "fake/early-error": Round((Failure(),)),
    "fake/slow": text(*(f"{number} " for number in range(20))),
    "fake/comments": Round((*[b": OPENROUTER PROCESSING\n\n"] * 20, "At last.")),
    "fake/utf8": text(UTF8_TEXT),
    "fake/drop": Round(("Half an answer", Drop())),
    "fake/drop-first": Round((Drop(),)),
    "fake/empty": Round(),
    "fake/length": text("This was cut", finish_reason="length"),
    "fake/reasoning": text("Four.", reasoning=("Two and ", "two.")),
    "fake/images": Round(
        ("Here:", {"images": [{"type": "image_url", "image_url": {"url": PNG}}]}),
    ),
    "fake/annotations": Round(
        (
            "It rains.",
            {"annotations": [_citation("https://weather.example/lisbon", "Lisbon weather")]},
        )
    ),
    "fake/debug": Round(
        (event({"id": "gen-0", "choices": [], "debug": {"echo_upstream_body": {}}}), "Fine.")
    ),
    "fake/no-done": text("Fine.", has_done=False),
    "fake/no-usage": text("Fine.", usage=None),
}
"""Between the pieces of these models' answers the fake waits."""
PAUSES_S = {"fake/slow": 0.5, "fake/comments": 0.02}
"""Whole JSON bodies sent with status 200, whatever was asked for."""
BODIES: dict[str, dict[str, Any]] = {
    "fake/error-in-200": {
        "error": {
            "code": 502,
            "message": "Provider is down",
            "metadata": {"error_type": "provider_unavailable"},
        }
    },
    "fake/choice-error": {
        "id": "gen-0",
        "model": "fake/choice-error",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Half"},
                "finish_reason": "error",
                "error": {"code": 429, "message": "Slow down"},
            }
        ],
    },
}
