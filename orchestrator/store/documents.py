"""The owner's JSON documents while the process runs: in memory, changed whole, followed on disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Never

from orchestrator.errors import StorageFull
from orchestrator.store.document_folder import Contents, DocumentFolder

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
Listener = Callable[[Contents, Contents], Awaitable[None]]
"""Called with what was and what is in force."""


class Documents:
    """Holds what the documents say. Run `follow` beside it to see edits by hand."""

    def __init__(self, data_dir: Path) -> None:
        """Read the documents, after completing what a crash interrupted."""
        self._folder = DocumentFolder(data_dir)
        with self._folder.locked():
            _, wrong = self._folder.glance()
            self._current = self._folder.read()
            self._stamp = self._folder.stamp()
        self._read = self._current
        """What the files hold: ahead of what is in force while an edit by hand is taken over."""
        self._changing = asyncio.Lock()
        self._listeners: list[Listener] = []
        self._problems = tuple(
            f"{name}.json could not be used when Flotilla started ({why}). It is kept beside it as "
            f"{name}.json.corrupt-...; the last good copy is in force, or else the defaults."
            for name, why in wrong.items()
        )
        self._why_not_followed: str | None = None

    @property
    def current(self) -> Contents:
        """What is in force; costs nothing."""
        return self._current

    @property
    def problems(self) -> tuple[str, ...]:
        """Which edits by hand were not taken over, in sentences; empty once the next one was."""
        if self._why_not_followed is None:
            return self._problems
        return (*self._problems, self._why_not_followed)

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called after each change, before who made it is answered."""
        self._listeners.append(listener)

    async def change(self, function: Callable[[Contents], Contents]) -> Contents:
        """Put what `function` makes of the documents in force and on the disk: all or nothing.

        What `function` raises is raised here, and nothing has changed. Raises StorageFull.
        It completes even when the caller is cancelled.
        """
        return await asyncio.shield(asyncio.ensure_future(self._change(function)))

    async def follow(self) -> Never:
        """Look once a second whether somebody edited a document, and put it in force."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if self._folder.stamp() != self._stamp:
                    await asyncio.shield(asyncio.ensure_future(self._change(lambda now: now)))
            except (OSError, StorageFull) as error:
                # It lasts until somebody mends it, and whoever does wants to be seen.
                why = f"Edits by hand are not seen. {error}"
                if why != self._why_not_followed:
                    logger.error("documents_not_followed why=%s", error)  # noqa: TRY400
                self._why_not_followed = why
            else:
                self._why_not_followed = None

    async def _change(self, function: Callable[[Contents], Contents]) -> Contents:
        async with self._changing:
            try:
                after = await asyncio.to_thread(self._replace, function)
            except Exception:
                await self._put_in_force(self._read)
                raise
            await self._put_in_force(after)
            return after

    async def _put_in_force(self, after: Contents) -> None:
        before, self._current = self._current, after
        self._read = after
        if after != before:
            for listener in self._listeners:
                await listener(before, after)

    def _replace(self, function: Callable[[Contents], Contents]) -> Contents:
        try:
            with self._folder.locked():
                if self._folder.stamp() != self._stamp:
                    self._read, problems = self._folder.read_again(self._read)
                    self._problems = tuple(problems)
                    self._stamp = self._folder.stamp()
                new = function(self._read)
                self._folder.replace(self._read, new)
                self._stamp = self._folder.stamp()
                return new
        except OSError as error:
            where = "" if error.filename is None else f": {error.filename}"
            raise StorageFull(
                f"The settings could not be read or written ({error.strerror}{where}); nothing has "
                "changed. Mend that, then try again."
            ) from error
