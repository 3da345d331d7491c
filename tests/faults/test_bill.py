"""The ledger against the vendor's bill; 500 turns by `python -m tests.faults.bill`."""

from pathlib import Path

from tests.faults.bill import KINDS, replay


async def test_the_ledger_equals_the_bill_to_the_micro_dollar(tmp_path: Path) -> None:
    report = await replay(60, tmp_path)
    assert report.wrong == {}
    assert report.turns.total() == 60
    assert set(report.turns) == set(KINDS)
    assert report.generations > 60
    assert report.billed_microusd == report.ledger_microusd == report.turns_microusd
