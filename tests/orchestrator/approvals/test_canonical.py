"""The canonical form: the same call has one hash, any other call another."""

import hashlib

import pytest

from orchestrator.approvals.canonical import call_hash, canonical_json

CALL = {"owner": "owner", "server": "mail", "tool": "send", "arguments": {"to": ["é"], "n": 1}}


def test_the_hash_is_that_of_the_sorted_text():
    text = '{"arguments":{"n":1,"to":["é"]},"owner":"owner","server":"mail","tool":"send"}'
    assert call_hash(**CALL) == hashlib.sha256(text.encode()).hexdigest()
    assert call_hash(**{**CALL, "arguments": {"n": 1, "to": ["é"]}}) == call_hash(**CALL)


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "Owner"},
        {"server": "mail2"},
        {"tool": "draft"},
        {"arguments": {"to": ["é"], "n": 1.0}},
        {"arguments": {"to": ["é"], "n": True}},
        {"arguments": {"to": ["e\u0301"], "n": 1}},
        {"arguments": {"to": ["é"], "n": 1, "bcc": None}},
        {"arguments": {"to": "é", "n": 1}},
    ],
)
def test_any_other_call_has_another_hash(change):
    assert call_hash(**{**CALL, **change}) != call_hash(**CALL)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\udfff": 1}])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match=r"JSON compliant|surrogates not allowed"):
        canonical_json({"a": value})
