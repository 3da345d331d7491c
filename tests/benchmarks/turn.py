"""A whole turn with one tool call, against a client that does the three requests itself."""

import json
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from statistics import median

from tests.benchmarks import upstream
from tests.benchmarks.assistant import running_assistant, upstream_request
from tests.benchmarks.fleet import Server, running_fleet
from tests.benchmarks.stages import Numbers, Plan, Row, Stage
from tests.benchmarks.tool_driver import TOOL
from tests.benchmarks.wire import Wire

SERVERS = [10] * 5
"""How many tools each has."""


class Floor:
    """Asks the model, calls the tool and asks the model again, with nothing in between."""

    def __init__(self, direct: Wire, server_wire: Wire, base_url: str, server: Server) -> None:
        model = f"bench/tool/{server.id}__{TOOL}"
        question = {"role": "user", "content": "Tell me something."}
        answer = {
            "role": "tool",
            "tool_call_id": "call_1",
            "content": json.dumps({"text": "hello"}),
        }
        self._steps = (
            (direct, upstream_request(base_url, model, [question])),
            (server_wire, server.call_request(TOOL, upstream.TOOL_ARGUMENTS)),
            (direct, upstream_request(base_url, model, [question, answer])),
        )

    async def turn_ms(self) -> float:
        return sum([await (await wire.ask(request)).total_ms() for wire, request in self._steps])


async def turn(plan: Plan) -> AsyncGenerator[Numbers]:
    """Yield the numbers of each round."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with running_fleet(data_dir, SERVERS) as servers:
            entries = [server.entry for server in servers]
            async with running_assistant(entries, data_dir) as assistant:
                await assistant.wait_for_servers(len(servers))
                model = f"bench/tool/{servers[0].id}__{TOOL}"
                server_wire = await Wire.open(servers[0].url)
                base_url = assistant.upstream_url
                floor = Floor(assistant.direct, server_wire, base_url, servers[0])
                await assistant.warm_up(model)
                for _ in range(plan.rounds):
                    turns = plan.count(50, 5)
                    floor_ms: list[float] = []
                    turn_ms: list[float] = []
                    before_ms = await assistant.cpu_ms()
                    for _ in range(turns):
                        floor_ms.append(await floor.turn_ms())
                        turn_ms.append(await (await assistant.turn(model)).total_ms())
                    yield {
                        "added_ms": median(turn_ms) - median(floor_ms),
                        "cpu_ms": (await assistant.cpu_ms() - before_ms) / turns,
                        "turn_ms": median(turn_ms),
                        "floor_ms": median(floor_ms),
                    }


STAGE = Stage(
    "turn",
    (
        Row("added_ms", "turn with one tool call, above the floor (5 servers x 10 tools)", "ms", 8),
        Row("cpu_ms", "  CPU of the orchestrator", "ms", 5),
        Row("turn_ms", "  whole turn, p50", "ms"),
        Row("floor_ms", "  floor: a client doing both requests and the call, p50", "ms"),
    ),
    turn,
)
