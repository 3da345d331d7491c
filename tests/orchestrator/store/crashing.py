"""Changes documents and dies at one of the calls that touch the disk.

`python -m tests.orchestrator.store.crashing STEP FOLDER apply NAME` puts a preset in force,
`... replace OTHER` takes over the documents of another folder; at call STEP, SIGKILL.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator.presets.shelf import named
from orchestrator.presets.snapshots import applied
from orchestrator.store.document_folder import Contents, DocumentFolder
from orchestrator.store.documents import Documents
from tests.warm import ROOT, spawn

CALLS = ("open", "write", "fsync", "link", "replace", "rename", "unlink")
MOST_STEPS = 100


def crashes(folders: Path, old: Contents, *what: str) -> Iterator[tuple[int, Contents, bool]]:
    """Give, for each step, what a new process finds after the crash, and whether there was none.

    Each run starts from `old` in a folder of its own. The last one comes to its end.
    """
    for step in range(MOST_STEPS):
        folder = DocumentFolder(folders / f"crash-{step}")
        folder.replace(Contents(), old)
        command = [sys.executable, "-m", __name__, str(step), str(folder.folder), *what]
        run = spawn(command, cwd=ROOT, environment=os.environ)
        code = run.wait(20)
        assert run.stdout is not None
        with run.stdout as output:
            assert code in (0, -signal.SIGKILL), output.read()
        yield step, folder.read(), code == 0
        if code == 0:
            return
    raise AssertionError("the change never came to its end")


def die_at(step: int) -> None:
    left = step

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return call(*args, **kwargs)

        return wrapped

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))


def main(step: str, folder: str, what: str, argument: str) -> None:
    if what == "apply":
        documents = Documents(Path(folder))
        die_at(int(step))
        asyncio.run(documents.change(lambda now: applied(now, named(now, argument))))
    else:
        documents_there = DocumentFolder(Path(folder))
        old, new = documents_there.read(), DocumentFolder(Path(argument)).read()
        die_at(int(step))
        documents_there.replace(old, new)


if __name__ == "__main__":
    main(*sys.argv[1:])
