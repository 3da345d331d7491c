"""The models of every endpoint: kept in memory and on disk, read again once an hour.

Whoever asks gets what is known; reading goes on in the background. Only the first question of all
waits for an endpoint, and not for long.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Never

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.model_info import ModelInfo
from orchestrator.domain.times import utc_now
from orchestrator.errors import ModelError
from orchestrator.llm.endpoint import Endpoint
from orchestrator.store.json_file import read_json_document, write_json_document

logger = logging.getLogger(__name__)

_VERSION: Final = 1


class CachedModels(BaseModel):
    """The content of `data/cache/models/<endpoint>.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = _VERSION
    base_url: str = ""
    """A list is not believed after the endpoint moved."""
    read_at: datetime | None = None
    models: tuple[ModelInfo, ...] = ()


@dataclass(slots=True)
class Shelf:
    """What is known of one endpoint's models."""

    base_url: str
    models: Mapping[str, ModelInfo] = field(default_factory=dict[str, ModelInfo])
    read_at: datetime | None = None
    """When the endpoint last gave its list; None: never."""
    problem: str | None = None
    """Why it did not, the last time it was asked."""
    due_at: float = 0.0
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_stale(self) -> bool:
        """Whether the list is older than it should be, or missing."""
        if self.read_at is None:
            return True
        return (utc_now() - self.read_at).total_seconds() > ModelCatalog.GOOD_FOR_S


class ModelCatalog:
    """Run `keep_fresh` beside it."""

    GOOD_FOR_S = 3600.0
    TRY_AGAIN_S = 60.0
    PATIENCE_S = 3.0
    """How long the first question waits for a list that was never read."""

    def __init__(
        self,
        endpoints: Callable[[], Iterable[Endpoint]],
        fetch: Callable[[Endpoint], Awaitable[list[ModelInfo]]],
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`endpoints` are those configured now; `folder` keeps one file for each."""
        self._endpoints = endpoints
        self._fetch = fetch
        self._folder = folder
        self._clock = clock
        self._shelves: dict[str, Shelf] = {}
        self._wanted = asyncio.Event()

    async def keep_fresh(self) -> Never:
        """Read the lists that are due whenever somebody has asked for one."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            due = [endpoint for endpoint in self._endpoints() if self._is_due(endpoint)]
            async with asyncio.TaskGroup() as reads:
                for endpoint in due:
                    reads.create_task(self._read(endpoint))

    async def shelves(self) -> dict[str, Shelf]:
        """Return what is known, by endpoint, and see to it that it is known better soon."""
        found = {endpoint.id: await self._shelf(endpoint) for endpoint in self._endpoints()}
        waiting = [shelf for shelf in found.values() if shelf.read_at is None]
        await self._first_try(waiting)
        return found

    async def refresh(self) -> dict[str, Shelf]:
        """Read every list now; what could not be read says so in its `problem`."""
        async with asyncio.TaskGroup() as reads:
            for endpoint in self._endpoints():
                shelf = await self._shelf(endpoint)
                shelf.due_at = 0.0
                reads.create_task(self._read(endpoint))
        return await self.shelves()

    async def known(self, model: str, endpoint: Endpoint) -> ModelInfo | None:
        """Return what the list says of a model, by its id; never waits for the endpoint.

        A variant such as `:free` is what its model is, unless the list has it.
        """
        return entry_of(await self._shelf(endpoint), model)

    async def takes_images(self, model: str, endpoint: Endpoint) -> bool:
        """Return False only when the list says so; a model that is not on it may take them."""
        shelf = await self._shelf(endpoint)
        if shelf.read_at is None:
            await self._first_try([shelf])
        info = entry_of(shelf, model)
        taken = info.input_modalities if info else ()
        return not taken or "image" in taken

    def at_hand(self, model: str, endpoint: Endpoint) -> ModelInfo | None:
        """Return what the list in memory says of a model; costs nothing."""
        shelf = self._shelves.get(endpoint.id)
        is_its = shelf is not None and shelf.base_url == endpoint.base_url
        return entry_of(shelf, model) if shelf is not None and is_its else None

    async def _first_try(self, shelves: Iterable[Shelf]) -> None:
        """Wait until each endpoint has answered or failed once, or patience ends."""
        try:
            async with asyncio.timeout(self.PATIENCE_S):
                for shelf in shelves:
                    await shelf.tried.wait()
        except TimeoutError:
            logger.info("model_list_not_waited_for patience_s=%.0f", self.PATIENCE_S)

    async def _shelf(self, endpoint: Endpoint) -> Shelf:
        """Return an endpoint's shelf, from disk the first time; asks for a reading that is due."""
        shelf = self._shelves.get(endpoint.id)
        if shelf is None or shelf.base_url != endpoint.base_url:
            stored = await asyncio.to_thread(self._stored, endpoint)
            shelf = self._shelves.get(endpoint.id)
            if shelf is None or shelf.base_url != endpoint.base_url:
                by_id = {model.id: model for model in stored.models}
                shelf = Shelf(endpoint.base_url, by_id, stored.read_at, due_at=self._clock())
                if not shelf.is_stale:
                    shelf.due_at += self.GOOD_FOR_S
                self._shelves[endpoint.id] = shelf
        if self._clock() >= shelf.due_at:
            self._wanted.set()
        return shelf

    def _is_due(self, endpoint: Endpoint) -> bool:
        shelf = self._shelves.get(endpoint.id)
        return shelf is not None and self._clock() >= shelf.due_at

    async def _read(self, endpoint: Endpoint) -> None:
        shelf = await self._shelf(endpoint)
        async with shelf.reading:
            if self._clock() < shelf.due_at:
                return
            good_for_s = self.TRY_AGAIN_S
            try:
                models = await self._fetch(endpoint)
            except ModelError as error:
                logger.info("model_list_not_read endpoint=%s error=%s", endpoint.id, error)
                shelf.problem = str(error)
            else:
                good_for_s = self.GOOD_FOR_S
                shelf.models = {model.id: model for model in models}
                shelf.read_at, shelf.problem = utc_now(), None
                await self._store(endpoint, shelf)
            shelf.due_at = self._clock() + good_for_s
            shelf.tried.set()

    def _stored(self, endpoint: Endpoint) -> CachedModels:
        stored = read_json_document(self._path(endpoint), CachedModels, CachedModels())
        return stored if stored.base_url == endpoint.base_url else CachedModels()

    async def _store(self, endpoint: Endpoint, shelf: Shelf) -> None:
        models = tuple(shelf.models.values())
        document = CachedModels(base_url=shelf.base_url, read_at=shelf.read_at, models=models)
        try:
            await asyncio.to_thread(write_json_document, self._path(endpoint), document)
        except OSError as error:
            logger.warning("model_list_not_kept endpoint=%s error=%s", endpoint.id, error.strerror)

    def _path(self, endpoint: Endpoint) -> Path:
        return self._folder / f"{endpoint.id}.json"


def entry_of(shelf: Shelf, model: str) -> ModelInfo | None:
    """Return what a shelf says of a model, by its id, or of the model that it is a variant of."""
    found = shelf.models.get(model)
    if found is None and ":" in model:
        found = shelf.models.get(model.rpartition(":")[0])
    return found
