"""The form of a call that everything is bound to."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.kit.gate.canonical import call_hash, canonical_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates are no text: UTF-8 cannot carry them.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_keys_are_sorted_and_text_stays_as_it_is() -> None:
    assert (
        canonical_json({"b": [1, 2.5, None], "a": "é\n"})
        == '{"a":"é\\n","b":[1,2.5,null]}'.encode()
    )


def test_the_hash_of_a_call_is_pinned() -> None:
    # The orchestrator computes the same: a change here makes every approval worthless.
    found = call_hash(owner="owner", server="gmail", tool="send", arguments={"to": ["a@b.example"]})

    assert found == "576912d5553037c8a3fc0cbcc4c2eab713c69daa926e3c147de35c19c4d62d73"


@given(JSON)
def test_what_is_read_back_from_json_is_the_same_call(value: object) -> None:
    spaced = json.loads(json.dumps(value, indent=2))
    escaped = json.loads(json.dumps(value, ensure_ascii=True, sort_keys=True))

    assert canonical_json(spaced) == canonical_json(value) == canonical_json(escaped)
    assert json.loads(canonical_json(value)) == value


@given(JSON, JSON)
def test_only_equal_values_have_equal_forms(left: object, right: object) -> None:
    if canonical_json(left) == canonical_json(right):
        assert left == right


@given(st.permutations(["to", "subject", "body", "account"]))
def test_the_order_of_arguments_does_not_matter(names: list[str]) -> None:
    arguments = dict.fromkeys(names, "x")

    assert _hash(arguments) == _hash(dict(sorted(arguments.items())))


@pytest.mark.parametrize("spelling", ["1e3", "1E3", "1E+3", "1000.0", "10.0e2", "1.0e+03"])
def test_every_spelling_of_a_number_is_the_same_call(spelling: str) -> None:
    assert _hash({"amount": json.loads(spelling)}) == _hash({"amount": 1000.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"compliant|surrogates"):
        _hash({"deep": [{"amount": value}]})


@pytest.mark.parametrize("changed", ["owner", "server", "tool", "arguments"])
def test_each_part_of_a_call_changes_its_hash(changed: str) -> None:
    call = {"owner": "o", "server": "s", "tool": "t", "arguments": {"a": 1}}
    other = {**call, changed: {"a": 2} if changed == "arguments" else "other"}

    assert call_hash(**call) != call_hash(**other)  # type: ignore[arg-type]


def _hash(arguments: dict[str, object]) -> str:
    return call_hash(owner="owner", server="mail", tool="send", arguments=arguments)
