"""A process that begins one call when it is told to, then lives until stdin ends.

Arguments: the ledger's path, the call as JSON. Prints `ready`, then the outcome; after that it
finishes the call for each line it reads.
"""

import asyncio
import json
import sys
from pathlib import Path

from servers.kit.gate import journal
from servers.kit.gate.ledger import Ledger
from tests.servers.kit.gate.calls import NOW_S, a_call, begin


async def main(path: Path, changed: dict[str, str]) -> None:
    call = a_call(**changed)
    async with Ledger(path) as ledger:
        await ledger.write(journal.recover, NOW_S)
        print("ready", flush=True)
        sys.stdin.readline()
        print(await ledger.write(begin, call, ledger.process), flush=True)
        for _ in sys.stdin:
            await ledger.write(
                journal.finish, call.call_id, "done", '{"by": "racer"}', NOW_S, durable=False
            )
            print("finished", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
