"""Who calls tools and who decides about them while the gate's house is being killed.

Every call has a key of its own in its arguments, so that its effects can be counted. All insist:
after a broken connection they come back with the same message, call id or decision.
"""

import asyncio
import itertools
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.faults.kill_loop import Client, Message
from tests.gated_house import GatedHouse, told
from tests.servers.kit.raw import raw_request

PAUSE_S = 0.1
MAX_DELAY_S = 0.4
EDITED = "-edited"
TOOLS_BY_LEVEL = {1: "add_label", 2: "post_update", 3: "send_message"}
SLOW = "slow_send"


def arguments_for(tool: str, key: str) -> dict[str, Any]:
    """Return arguments of `tool` that hold `key`."""
    match tool:
        case "add_label":
            return {"item_id": key, "label": "x"}
        case "post_update":
            return {"channel": "#all", "body": key}
        case "slow_send":
            return {"to": "a@example.org", "body": key, "seconds": 0.06}
        case _:
            return {"to": "a@example.org", "subject": "s", "body": key}


def key_of(arguments: dict[str, Any]) -> str:
    """Return the key in a call's arguments; an edited call keeps the key it was asked with."""
    return str(arguments.get("item_id") or arguments["body"]).removesuffix(EDITED)


def edited(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as an owner changes them."""
    return {**arguments, "body": f"{arguments['body']}{EDITED}"}


@dataclass
class World:
    """What all clients share."""

    house: GatedHouse
    http: httpx2.AsyncClient
    chance: random.Random
    approved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by each approval that was answered; whoever waits for the next clears it."""
    decisions: dict[str, str] = field(default_factory=dict[str, str])
    """How each approval was decided, by its id."""
    allowed: dict[str, str] = field(default_factory=dict[str, str])
    """By key: the body that may run."""
    denied: set[str] = field(default_factory=set[str])
    asked_again: int = 0
    wrong_answers: list[str] = field(default_factory=list[str])

    async def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask the orchestrator until it answers."""
        while True:
            with suppress(httpx2.TransportError):
                headers = self.house.installation.bearer
                response = await self.http.request(method, path, json=body, headers=headers)
                if response.status_code != 503:
                    return response
            await asyncio.sleep(PAUSE_S)


class ChatClient(Client):
    """Chats with a model that calls tools of every level; goes on where a turn was cut off."""

    def __init__(self, number: int, world: World) -> None:
        super().__init__(number, world.house.installation, world.http)
        self._chance = world.chance

        self._number = number
        self._continued: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            name = f"{self._number}-{len(self.sent)}"
            message = Message(name, self._text(name))
            await self.insist(message)
            while message.events[-1][1] == "turn_failed" and message.turn_id is not None:
                again = Message(f"{message.client_message_id}+", message.text)
                self._continued[again.client_message_id] = message.turn_id
                await self.insist(again)
                message = again
            await asyncio.sleep(self._chance.uniform(0, MAX_DELAY_S))

    def opening(self, message: Message) -> tuple[str, dict[str, str]]:
        before = self._continued.get(message.client_message_id)
        if before is None:
            return super().opening(message)
        body = {"client_message_id": message.client_message_id}
        return f"/api/chat/turns/{before}/continue", body

    def session_ids(self) -> set[str]:
        """Return the sessions of all turns that were seen to start."""
        started = [message.events[0][2] for message in self.sent if message.events]
        return {json.loads(data)["session_id"] for data in started}

    def count_calls(self) -> int:
        """Return how many calls the model was told to make."""
        fresh = [m for m in self.sent if m.client_message_id not in self._continued]
        return sum(len(calls) for message in fresh for calls in json.loads(message.text))

    def _text(self, name: str) -> str:
        kinds = [*TOOLS_BY_LEVEL.values(), SLOW]
        tools = self._chance.sample(kinds, k=self._chance.randint(1, 3))
        called = [(tool, arguments_for(tool, f"chat-{name}-{tool}")) for tool in tools]
        return told(called) if self._chance.random() < 0.5 else told(*([call] for call in called))


@dataclass
class Answer:
    """How a call ended, as its client was told."""

    key: str
    tool: str
    call_id: str | None
    code: str | None = None
    """A status or the code of an error; None while there is no answer."""


class DirectCaller:
    """Calls tools over the HTTP API, each until it was accepted; asks for all ends in the end."""

    def __init__(self, number: int, world: World) -> None:
        self._number = number
        self._world = world
        self.answers: list[Answer] = []

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            key = f"api-{self._number}-{len(self.answers)}"
            tool = self._world.chance.choice([*TOOLS_BY_LEVEL.values(), SLOW])
            self.answers.append(Answer(key, tool, f"call-{key}"))
            await self._insist(self.answers[-1])
            await asyncio.sleep(self._world.chance.uniform(PAUSE_S, MAX_DELAY_S))

    async def ask_again(self) -> None:
        """Learn how each call ended that waited for the owner."""
        for answer in self.answers:
            await self._insist(answer)

    async def _insist(self, answer: Answer) -> None:
        path = f"/api/mcp/tools/effects__{answer.tool}/call"
        arguments = arguments_for(answer.tool, answer.key)
        body = {"arguments": arguments, "call_id": answer.call_id}
        while True:
            response = await self._world.ask("POST", path, body)
            if response.status_code == 502:
                await asyncio.sleep(MAX_DELAY_S)  # The server is away, and nothing ran.
                continue
            if response.status_code not in (200, 202):
                said = f"{answer.key}: {response.status_code} {response.text[:200]}"
                self._world.wrong_answers.append(said)
            answer.code = response.json().get("status")
            return


class RawClient:
    """An MCP client without grant or elicitation: call ids for level 1, tickets above that."""

    def __init__(self, number: int, world: World) -> None:
        self._number = number
        self._world = world
        self.answers: list[Answer] = []

    async def run(self, stop: asyncio.Event) -> None:
        for count in itertools.count():
            if stop.is_set():
                return
            tool = self._world.chance.choice(list(TOOLS_BY_LEVEL.values()))
            key = f"raw-{self._number}-{count}"
            answer = Answer(key, tool, f"call-{key}" if tool == "add_label" else None)
            self.answers.append(answer)
            await self._insist(answer)

    async def _insist(self, answer: Answer) -> None:
        while answer.code is None:
            # A client that gave up too early sends the same call beside the first.
            twice = 2 if answer.call_id and self._world.chance.random() < 0.3 else 1
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._call(answer)) for _ in range(twice)]
            codes = [code for task in tasks if (code := task.result()) is not None]
            final = [code for code in codes if code not in ("approval_required", "in_progress")]
            answer.code = final[0] if final else None
            if len(set(final)) > 1:
                self._world.wrong_answers.append(f"{answer.key}: {final}")
            await asyncio.sleep(PAUSE_S)

    async def _call(self, answer: Answer) -> str | None:
        server = self._world.house.effects
        request = raw_request("tools/call", answer.tool, arguments_for(answer.tool, answer.key))
        if answer.call_id:
            request["json"]["params"]["_meta"]["flotilla/call_id"] = answer.call_id
        headers = {**request["headers"], "Authorization": f"Bearer {server.token}"}
        try:
            response = await self._world.http.post(
                server.url, json=request["json"], headers=headers
            )
            result = response.json()["result"]
        except (httpx2.TransportError, ValueError, KeyError):
            return None
        if not result.get("isError"):
            return "done"
        return result["structuredContent"]["error"]["code"]


class Owner:
    """Decides every approval at a random moment: once, twice at once, two ways, or changed."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                for approval in await self.pending():
                    if approval["id"] not in self._world.decisions:
                        group.create_task(self._decide(approval, self._choice(approval)))
                await asyncio.sleep(PAUSE_S)

    async def pending(self) -> list[dict[str, Any]]:
        response = await self._world.ask("GET", "/api/approvals?state=pending")
        return response.json()["items"]

    def _choice(self, approval: dict[str, Any]) -> str:
        key = key_of(approval["arguments"])
        again = key in self._world.allowed or key in self._world.denied
        self._world.asked_again += again
        kinds = ["approve", "approve", "approve twice", "approve then deny", "edit", "deny"]
        choice = "deny" if again else self._world.chance.choice(kinds)
        self._world.decisions[approval["id"]] = choice
        if choice == "edit":
            self._world.allowed[key] = edited(approval["arguments"])["body"]
        elif choice == "deny":
            self._world.denied.add(key)
        else:
            self._world.allowed[key] = approval["arguments"]["body"]
        return choice

    async def _decide(self, approval: dict[str, Any], choice: str) -> None:
        await asyncio.sleep(self._world.chance.uniform(0, MAX_DELAY_S))
        approve = ("approve", {})
        match choice:
            case "approve":
                wanted = [(approve, 200)]
            case "approve twice":
                wanted = [(approve, 200), (approve, 200)]
            case "approve then deny":
                wanted = [(approve, 200), (("deny", {"reason": "too late"}), 409)]
            case "edit":
                changed = {"arguments": edited(approval["arguments"])}
                wanted = [(("approve", changed), 200)]
            case _:
                wanted = [(("deny", {"reason": "no"}), 200)]
        if choice == "approve twice":
            async with asyncio.TaskGroup() as group:
                for (verb, body), status in wanted:
                    group.create_task(self._send(approval, verb, body, status))
        else:
            for (verb, body), status in wanted:
                await self._send(approval, verb, body, status)

    async def _send(
        self, approval: dict[str, Any], verb: str, body: dict[str, Any], status: int
    ) -> None:
        path = f"/api/approvals/{approval['id']}/{verb}"
        response = await self._world.ask("POST", path, body)
        if response.status_code == 409 and "cancelled" in response.json()["detail"]:
            return  # The turn that asked was killed before it waited, and asks no more.
        if response.status_code != status:
            said = f"{verb} {approval['id']}: {response.status_code} {response.text[:200]}"
            self._world.wrong_answers.append(said)
        elif verb == "approve":
            self._world.approved.set()
