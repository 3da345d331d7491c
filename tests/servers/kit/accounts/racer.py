"""A process of the server `mail` that signs in or wants tokens, told by its arguments.

Arguments: the data directory, then `complete STATE CODE`, or `access COUNT [die]`: so many calls at
once; with `die` it kills itself the moment it has the token. Prints `asking`, then what it got.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from servers.kit.accounts import Accounts
from servers.kit.google.provider import GoogleProvider
from tests.servers.kit.accounts.conftest import GOOGLE_SIGN_IN, Desk


async def main(data_dir: Path, what: str, *arguments: str) -> None:
    async with Desk(data_dir, GoogleProvider(), GOOGLE_SIGN_IN).opened() as accounts:
        print("asking", flush=True)
        if what == "complete":
            state, code = arguments
            print((await accounts.complete(state=state, code=code)).account, flush=True)
        else:
            await _access(accounts, *arguments)


async def _access(accounts: Accounts, count: str, *then: str) -> None:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(accounts.access(None, "read")) for _ in range(int(count))]
    if then:
        os.kill(os.getpid(), signal.SIGKILL)
    print(*{task.result().token for task in asked}, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
