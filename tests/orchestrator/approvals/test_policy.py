"""What runs, what asks and what is refused, for every level, label and state of the chat."""

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.approvals.destinations import MAX_PLACES
from orchestrator.approvals.policy import Allow, Ask, Refuse, decide
from orchestrator.approvals.taint import NO_TAINT, Taint
from orchestrator.domain.tools import Label, ToolDefinition

SEND = ToolDefinition(
    qualified_name="mail__send",
    server="mail",
    name="send",
    title="Send mail",
    description="",
    input_schema={},
    read_only=False,
    idempotent=False,
    labels=frozenset({"write", "egress"}),
    level=2,
    effect="send",
    destinations=("to", "cc"),
)
READ = dataclasses.replace(
    SEND, labels=frozenset({"read", "untrusted"}), level=0, read_only=True, effect=None
)
TAINTED = Taint(("mail from eve@evil.example",))
OWNER = ("Send bob@good.example the figures.",)
TO_BOB = {"to": ["bob@good.example"], "body": "Here they are."}


def judged(
    tool: ToolDefinition = SEND,
    arguments: dict[str, Any] = TO_BOB,
    taint: Taint = TAINTED,
    *,
    is_standing: bool = True,
) -> Allow | Ask | Refuse:
    return decide(
        tool, arguments, taint=taint, owner_texts=OWNER, is_standing=is_standing, mode="ask"
    )


def at_level(level: int) -> ToolDefinition:
    return dataclasses.replace(SEND, level=level)


def test_without_foreign_text_the_level_decides():
    verdicts = [
        judged(at_level(level), taint=NO_TAINT, is_standing=is_standing)
        for level, is_standing in itertools.product(range(4), (False, True))
    ]
    assert [type(verdict).__name__ for verdict in verdicts] == [
        *("Allow", "Allow", "Allow", "Allow"),
        *("Ask", "Allow", "Ask", "Ask"),
    ]
    assert verdicts[0] == verdicts[3] == Allow("none")
    assert verdicts[5] == Allow("standing")


def test_after_foreign_text_a_standing_approval_is_not_enough():
    verdict = judged(arguments={"to": "eve@evil.example"})
    assert verdict == Ask(
        "Asked although you allowed this tool, because this chat read mail from eve@evil.example, "
        "and you did not type eve@evil.example."
    )


@pytest.mark.parametrize("label", ["write", "egress"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_after_foreign_text_whatever_reaches_out_asks(label: Label, level: int):
    tool = dataclasses.replace(
        SEND, labels=frozenset({"read", label}), level=level, destinations=()
    )
    assert isinstance(judged(tool), Ask)
    assert isinstance(judged(tool, taint=NO_TAINT), Allow)


def test_after_foreign_text_reading_goes_on():
    assert judged(READ) == Allow("none")


def test_a_tool_of_a_third_party_asks_after_foreign_text():
    foreign = ToolDefinition("x__y", "x", "y", "Y", "", {}, read_only=False, idempotent=False)
    assert isinstance(judged(foreign, {"to": "bob@good.example"}), Ask)


def test_a_call_to_whom_the_owner_named_is_vouched_for():
    assert judged() == Allow("standing")
    assert judged(at_level(1)) == Allow("none")


def test_vouching_takes_no_approval_away():
    assert isinstance(judged(is_standing=False), Ask)
    assert isinstance(judged(at_level(3)), Ask)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"to": None},
        {"to": []},
        {"to": ["", " "]},
        {"body": "bob@good.example"},
        {"to": ["bob@good.example", "eve@evil.example"]},
        {"to": "bob@good.example", "cc": ["eve@evil.example"]},
        {"to": "bob@good.example, eve@evil.example"},
        {"to": "bob@good.example <eve@evil.example>"},
        {"to": {"bob@good.example": "to", "everyone": "cc"}},
        {"to": "bob@good.example", "bcc": "eve@evil.example"},
        {"to": "bob@good.example", "body": "See https://evil.example/?d=1"},
        {"to": "bob@good.example", "body": "Pay GB29NWBK60161331926819."},
        {"to": "bob@good.example", "body": "Call +44 20 7946 0000."},
        {"to": "bob@good.example", "headers": [{"reply-to": "eve@evil.example"}]},
        {"to": "bob@good.example", "files": [{"name": "evil.example"}]},
        {"to": "bob@good.example", "evil.example": 1},
        {"to": "bob@good.example", "body": "ev\u200bil.example"},
        {"to": "bob@good.example", "body": "x" * 60_000},
        {"to": 5551234567},
    ],
)
def test_anything_the_owner_did_not_type_is_asked_for(arguments: dict[str, Any]):
    assert isinstance(judged(arguments=arguments), Ask)


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": "bob@good.example", "cc": None},
        {"to": "Bob <BOB@good.example>", "cc": []},
        {"to": "bob@good.example", "body": "On 2024-05-15 at 12:30 with minutes.docx, ok?"},
        {"to": "bob@good.example", "body": "Write to bob@good.example.", "urgent": True},
    ],
)
def test_what_the_owner_typed_is_not_asked_for(arguments: dict[str, Any]):
    assert judged(arguments=arguments) == Allow("standing")


def test_more_places_than_are_looked_up_are_asked_for():
    def to(number: int) -> dict[str, Any]:
        return {"to": ["bob@good.example"] * number}

    assert judged(arguments=to(MAX_PLACES)) == Allow("standing")
    assert isinstance(judged(arguments=to(MAX_PLACES + 1)), Ask)


@pytest.mark.parametrize("tool", [READ, SEND, at_level(0), at_level(3)])
def test_in_quarantine_nothing_runs_after_foreign_text(tool: ToolDefinition):
    def verdict(taint: Taint) -> Allow | Ask | Refuse:
        return decide(
            tool, TO_BOB, taint=taint, owner_texts=OWNER, is_standing=True, mode="quarantine"
        )

    assert isinstance(verdict(TAINTED), Refuse)
    assert not isinstance(verdict(NO_TAINT), Refuse)


def test_a_reason_is_one_line_however_the_source_is_written():
    taint = Taint(tuple(f"mail {number}\n\u202e" for number in range(9)))
    verdict = judged(arguments={"to": "x\u200b\ny"}, taint=taint)
    assert isinstance(verdict, Ask)
    assert verdict.reason == (
        "Asked although you allowed this tool, because this chat read mail 0, mail 1, mail 2 "
        "and 6 more, and you did not type x y."
    )


LABELS = st.frozensets(
    st.sampled_from(["read", "write", "destructive", "private", "untrusted", "egress"])
)
TOOLS = st.builds(
    lambda labels, level, destinations: dataclasses.replace(
        SEND, labels=labels, level=level, destinations=destinations
    ),
    LABELS,
    st.integers(0, 3),
    st.sampled_from([(), ("to",), ("to", "cc")]),
)
ADDRESSES = st.sampled_from(["bob@good.example", "eve@evil.example", "", "evil.example", "Bob"])
ARGUMENTS = st.dictionaries(
    st.sampled_from(["to", "cc", "body", "x"]), ADDRESSES | st.lists(ADDRESSES), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(TOOLS, ARGUMENTS, st.booleans())
def test_taint_never_makes_a_call_easier(
    tool: ToolDefinition, arguments: dict[str, Any], is_standing: bool
):
    clean = judged(tool, arguments, NO_TAINT, is_standing=is_standing)
    tainted = judged(tool, arguments, TAINTED, is_standing=is_standing)
    assert tainted == clean or isinstance(tainted, Ask)


@settings(max_examples=60, deadline=None)
@given(TOOLS, ARGUMENTS)
def test_no_address_of_a_stranger_leaves_a_tainted_chat_unasked(
    tool: ToolDefinition, arguments: dict[str, Any]
):
    if tool.reaches_out and "evil.example" in str(arguments):
        assert isinstance(judged(tool, arguments), Ask)
