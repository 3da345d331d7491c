"""The server's side of the workers: one is kept warm, a slow one is killed and replaced."""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Self

from servers.kit.errors import InvalidInput, Unavailable

TIME_LIMIT_S = 2.0
START_LIMIT_S = 20.0
QUEUE_LIMIT_S = 10.0
MAX_WORKERS = 2
MAX_REPLY_BYTES = 1_000_000

logger = logging.getLogger(__name__)


class Worker:
    """One process; it answers one question at a time."""

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker needs pipes")
        self._process = process
        self._requests = process.stdin
        self._replies = process.stdout
        self._has_units = False

    @classmethod
    async def start(cls) -> Self:
        """Return a worker that is ready.

        It executes a fresh interpreter and never forks this one, which has threads and an event
        loop. Its environment is the import path alone: no secret is there to be reached.

        Raises:
            Unavailable: it could not be started, or was not ready in time.
        """
        path = os.pathsep.join(entry for entry in sys.path if entry)
        command = (sys.executable, "-P", "-m", "servers.calculator.worker")
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env={"PYTHONPATH": path}, limit=MAX_REPLY_BYTES
            )
        except OSError as error:
            raise Unavailable("The calculation process could not be started.") from error
        worker = cls(process)
        is_ready = False
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await worker._read()
            is_ready = True
        except (TimeoutError, EOFError) as error:
            raise Unavailable("The calculation process did not get ready.") from error
        finally:
            if not is_ready:
                await worker.kill()
        return worker

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def load_units(self) -> None:
        """Load the units once, outside the time limit of a calculation."""
        if not self._has_units:
            async with asyncio.timeout(START_LIMIT_S):
                await self.ask("load_units", {})
            self._has_units = True

    async def ask(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the reply. Raises EOFError when the worker ended instead."""
        question = {"operation": operation, "arguments": arguments}
        self._requests.write(json.dumps(question).encode() + b"\n")
        return await self._read()

    async def kill(self) -> None:
        """End the process and wait for its end; a dead one is only tidied up."""
        if self.is_alive:
            self._process.kill()
        self._requests.close()
        await self._process.wait()

    async def _read(self) -> dict[str, Any]:
        line = await self._replies.readline()
        if not line:
            raise EOFError("the worker ended")
        return json.loads(line)


class CalculatorClient:
    """Runs operations in workers; `open_calculator` makes and closes it."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_WORKERS)
        self._idle: list[Worker] = []
        self._warming: asyncio.Task[Worker | None] | None = None

    async def calculate(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what the engine found.

        Raises:
            InvalidInput: the engine refused, or the calculation went over its time or memory.
            Unavailable: no worker could be had.
        """
        try:
            async with asyncio.timeout(QUEUE_LIMIT_S):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Unavailable("Other calculations are running.", retry_after_s=2) from error
        try:
            reply = await self._ask(await self._take(), operation, arguments)
        finally:
            self._slots.release()
        if "error" in reply:
            raise InvalidInput(f"{operation}: {reply['error']}.")
        return reply["result"]

    def warm_up(self) -> None:
        """Start a worker ahead of the next calculation."""
        if self._warming is None:
            # Held here until it is taken or closed, so it is not lost as a bare task would be.
            self._warming = asyncio.create_task(_start_quietly(), name="calculator-warm-up")

    async def close(self) -> None:
        """End every worker."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
            if not self._warming.cancelled() and (worker := self._warming.result()):
                self._idle.append(worker)
        while self._idle:
            await self._idle.pop().kill()

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await worker.kill()
        warming, self._warming = self._warming, None
        return (warming and await warming) or await Worker.start()

    async def _ask(
        self, worker: Worker, operation: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        is_answered = False
        try:
            if operation == "convert_units":
                await worker.load_units()
            async with asyncio.timeout(TIME_LIMIT_S):
                reply = await worker.ask(operation, arguments)
            is_answered = True
        except TimeoutError as error:
            raise InvalidInput(
                f"{operation}: stopped after {TIME_LIMIT_S:.0f} s. Use smaller numbers, a lower "
                "precision or fewer values."
            ) from error
        except (EOFError, ConnectionError) as error:
            raise InvalidInput(
                f"{operation}: it needed too much memory. Use smaller numbers or fewer values."
            ) from error
        finally:
            await self._give_back(worker, is_reusable=is_answered)
        return reply

    async def _give_back(self, worker: Worker, *, is_reusable: bool) -> None:
        if is_reusable and worker.is_alive and not self._idle:
            self._idle.append(worker)
            return
        if not self._idle:
            self.warm_up()
        await worker.kill()


@asynccontextmanager
async def open_calculator() -> AsyncGenerator[CalculatorClient]:
    """Yield a client whose first worker is already starting."""
    client = CalculatorClient()
    client.warm_up()
    try:
        yield client
    finally:
        await client.close()


async def _start_quietly() -> Worker | None:
    try:
        return await Worker.start()
    except Unavailable:
        logger.warning("calculator_worker_start_failed", exc_info=True)
        return None
