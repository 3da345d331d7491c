"""Where foreign text came from, in words that its sender cannot bend."""

import dataclasses
from typing import Any

import pytest

from orchestrator.approvals.taint import (
    MAX_SOURCE_CHARS,
    MAX_SOURCES,
    NO_TAINT,
    Taint,
    sources_of,
)
from orchestrator.domain.tools import ToolCallStatus, ToolDefinition, ToolResult

READ_MAIL = ToolDefinition(
    qualified_name="mail__read",
    server="mail",
    name="read",
    title="Read mail",
    description="",
    input_schema={},
    read_only=True,
    idempotent=True,
    labels=frozenset({"read", "private", "untrusted"}),
    level=0,
    effect=None,
)


def read(structured: Any, status: ToolCallStatus = "done") -> tuple[str, ...]:
    return sources_of(READ_MAIL, ToolResult(status, "text", structured))


def test_a_source_beside_foreign_text_is_named():
    mail = {"source": "mail from bob@evil.example", "untrusted_body": "Hello"}
    assert read({"items": [mail]}) == ("mail from bob@evil.example",)


def test_a_source_without_foreign_text_beside_it_says_nothing():
    assert read({"source": "the owner", "body": {"untrusted_text": "x"}}) == ("Read mail (mail)",)


def test_each_source_is_named_once_and_three_at_most():
    mails = [{"source": f"mail from {name}", "untrusted_body": ""} for name in "abacd"]
    assert read({"items": mails}) == ("mail from a", "mail from b", "mail from c")


@pytest.mark.parametrize("structured", [None, "text", [], {"untrusted_body": "x"}, {"source": 1}])
def test_a_result_that_names_no_source_is_named_after_its_tool(structured: Any):
    assert read(structured) == ("Read mail (mail)",)


def test_a_tool_that_reads_nothing_foreign_taints_nothing():
    own = dataclasses.replace(READ_MAIL, labels=frozenset({"read", "private"}))
    result = ToolResult("done", "", {"source": "mail", "untrusted_body": "x"})
    assert sources_of(own, result) == ()


def test_a_tool_of_a_third_party_taints_whatever_it_returns():
    foreign = ToolDefinition("x__y", "x", "y", "Y", "", {}, read_only=True, idempotent=True)
    assert sources_of(foreign, ToolResult("done", "")) == ("Y (x)",)


@pytest.mark.parametrize("status", ["denied", "cancelled"])
def test_a_call_that_did_not_happen_taints_nothing(status: ToolCallStatus):
    assert read(None, status) == ()


@pytest.mark.parametrize("status", ["failed", "unknown"])
def test_an_error_is_text_of_the_server(status: ToolCallStatus):
    assert read(None, status) == ("Read mail (mail)",)


def test_a_call_that_was_refused_before_it_ran_taints_nothing():
    assert sources_of(READ_MAIL, ToolResult("failed", "", error_code="not_run")) == ()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("mail from\n\tbob", "mail from bob"),
        ("mail from b\u200bo\u202eb\U000e0041", "mail from bob"),
        ("mail\x1b[31m from bob", "mail [31m from bob"),
        ("\ud800bob", "bob"),
        ("x" * 500, "x" * (MAX_SOURCE_CHARS - 1) + "…"),
        ("\u200b", "Read mail (mail)"),
    ],
)
def test_a_source_is_one_line_of_visible_text(said: str, shown: str):
    assert read({"source": said, "untrusted_body": "x"}) == (shown,)


def test_a_result_nested_without_end_is_read_without_recursion():
    nested: Any = {"source": "deep", "untrusted_body": "x"}
    for _ in range(10_000):
        nested = [nested]
    assert read(nested) == ("deep",)


def test_taint_only_grows_keeps_its_order_and_is_bounded():
    taint = NO_TAINT.plus(["a", "b"]).plus(["b", "c"])
    assert not NO_TAINT.is_tainted
    assert taint == Taint(("a", "b", "c"))
    assert taint.is_tainted
    many = taint.plus(str(number) for number in range(100))
    assert many.sources[:3] == ("a", "b", "c")
    assert len(many.sources) == MAX_SOURCES
