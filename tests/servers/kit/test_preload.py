"""What a forked server shares with its parent, and what no server loads at all."""

import json
import subprocess
import sys
from pathlib import Path

from tests.servers.kit.conftest import StartProbe

# Loaded by libraries for features we do without; each costs several MB in every server.
FAT = {"griffe", "jsonref", "requests", "urllib3", "docket", "openai", "typer", "sqlalchemy"}


async def test_a_server_loads_nothing_more_after_the_fork(
    start_probe: StartProbe, tmp_path: Path
) -> None:
    log = tmp_path / "lifespan"
    with start_probe(log=str(log)) as server:
        for mode in ("auto", "legacy"):
            async with server.client(mode) as client:
                await client.list_tools()
                await client.call_tool("add", {"left": 1})
        server.process.terminate()
        server.process.wait()

    last = log.read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last.removeprefix("loaded ")) == []


def test_the_kit_loads_no_fat_library() -> None:
    script = (
        "import json, sys; from servers.kit.preload import preload; import servers.__main__;"
        " preload(); import tests.servers.kit.probe as probe; probe.probe_server();"
        " print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout

    assert FAT & set(json.loads(loaded)) == set()
