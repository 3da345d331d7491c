"""Measures what DESIGN section 7 promises: `python -m tests.benchmarks [--quick] [--only NAME]`.

A missed bar is a line in the table, not an error: the exit code tells only whether all ran.
"""

import argparse
import compileall
import sys
import traceback
from pathlib import Path

import uvloop

from tests.benchmarks import (
    burst,
    gate,
    hanging,
    large,
    memory,
    relay,
    start,
    stop,
    tools,
    turn,
    up,
)
from tests.benchmarks.rig import this_rig
from tests.benchmarks.stages import Numbers, Plan, Stage
from tests.benchmarks.table import Result, document_of, heading_of, results_of, table_of
from tests.processes import ROOT

RESULTS = Path(__file__).parent / "results"
STAGES = {
    module.STAGE.name: module.STAGE
    for module in (relay, burst, tools, gate, hanging, turn, stop, large, start, memory, up)
}


async def measure(stage: Stage, plan: Plan) -> list[Numbers]:
    """Return the numbers of all rounds of one stage."""
    rounds: list[Numbers] = []
    async for numbers in stage.run(plan):
        rounds.append(numbers)
        print(".", end="", file=sys.stderr, flush=True)
    return rounds


def main() -> int:
    options = _options()
    plan = Plan(options.rounds or (1 if options.quick else 5), options.quick)
    rig = this_rig()
    _compile()
    results: list[Result] = []
    failures: dict[str, str] = {}
    for name in options.only or STAGES:
        print(name, end=" ", file=sys.stderr, flush=True)
        try:
            results += results_of(STAGES[name], uvloop.run(measure(STAGES[name], plan)))
        except Exception as error:  # noqa: BLE001 - one stage must not keep the others from running
            traceback.print_exc()
            failures[name] = f"{type(error).__name__}: {error}"
        print(file=sys.stderr)
    print(f"{heading_of(rig, plan.rounds)}\n\n{table_of(results)}")
    for name, why in failures.items():
        print(f"\n{name} did not run: {why}")
    document = document_of(rig, plan.rounds, results, failures, quick=plan.quick)
    for path in _files(options.json, rig.date):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document)
        print(f"\n{path}")
    return int(bool(failures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, to see that it runs")
    parser.add_argument("--only", nargs="+", choices=STAGES, metavar="NAME", help=", ".join(STAGES))
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 1")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    return parser.parse_args()


def _files(wanted: Path | None, date: str) -> list[Path]:
    return [wanted or RESULTS / f"{date.replace(':', '')}.json"]


def _compile() -> None:
    """A first import would otherwise be measured with the compiler in it."""
    for folder in ("orchestrator", "servers", "tests/benchmarks", "tests/fakes"):
        compileall.compile_dir(ROOT / folder, quiet=2)


if __name__ == "__main__":
    sys.exit(main())
