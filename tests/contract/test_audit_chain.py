"""The orchestrator recomputes the chains that servers write."""

import copy
from typing import Any

import pytest

from orchestrator.approvals.chains import Chain
from tests.fakes.audit_trail import rows

TIMES = (1_795_000_000.0, 1_795_000_000.25, 1_794_999_999.9, 1_795_000_001.0)


@pytest.fixture
def trail() -> list[dict[str, Any]]:
    return copy.deepcopy(rows("mail", *TIMES))


def taken(trail: list[dict[str, Any]]) -> int:
    """How many rows are taken before the first that is not."""
    chain = Chain()
    return next((number for number, row in enumerate(trail) if not chain.take(row)), len(trail))


def test_a_chain_of_the_kit_is_whole(trail: list[dict[str, Any]]) -> None:
    chain = Chain()
    assert all(chain.take(row) for row in trail)
    assert chain.position == len(trail)
    assert chain.ends_with(trail[-1]["position"], trail[-1]["hash"])
    assert Chain().ends_with(0, "0" * 64)


@pytest.mark.parametrize("field", list(rows("mail", 0)[0]))
def test_a_change_of_any_field_is_noticed_at_its_row(
    trail: list[dict[str, Any]], field: str
) -> None:
    trail[2][field] = [trail[2][field]]
    assert taken(trail) == 2


def test_removed_added_moved_and_cut_rows_are_noticed(trail: list[dict[str, Any]]) -> None:
    first, second, third, last = trail
    assert taken([first, third, last]) == 1
    assert taken([second, third]) == 0
    assert taken([first, third, second]) == 1
    assert taken([first, second, second]) == 2
    assert taken([first, {**second, "extra": 1}]) == 1
    assert taken([first, {key: second[key] for key in second if key != "taint"}]) == 1
    assert taken([first, {**second, "effects": float("nan")}]) == 1
    cut = Chain()
    assert all(cut.take(row) for row in (first, second, third))
    assert not cut.ends_with(last["position"], last["hash"])
