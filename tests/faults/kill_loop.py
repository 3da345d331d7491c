"""Kills the orchestrator at random moments and checks that nothing is lost, doubled or left open.

    python -m tests.faults.kill_loop --kills 200

Clients send messages and follow their answers all the while; after every kill they come back with
the last event they saw, or with the same message when they do not know whether it was accepted.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.mcp_servers import toy_server
from tests.installation import Installation, practice_model

CLIENTS = 4
MAX_LIFE_S = 0.6
RETRY_S = 0.01
TERMINAL = ("turn_finished", "turn_failed")


@dataclass
class Message:
    """One message of a client and the events that came back for it."""

    client_message_id: str
    text: str
    turn_id: str | None = None
    events: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def last_seq(self) -> int:
        return self.events[-1][0] if self.events else 0

    @property
    def is_over(self) -> bool:
        return bool(self.events) and self.events[-1][1] in TERMINAL


@dataclass
class Report:
    """What the loop saw; all but the first three must be zero."""

    kills: int = 0
    accepted: int = 0
    interrupted: int = 0
    lost: int = 0
    gaps: int = 0
    duplicates: int = 0
    doubled_effects: int = 0
    left_open: int = 0
    wrong_texts: int = 0

    @property
    def is_clean(self) -> bool:
        bad = (self.lost, self.gaps, self.duplicates, self.doubled_effects)
        return not any((*bad, self.left_open, self.wrong_texts))


class Client:
    """Sends one message after the other and insists on each until it has its last event."""

    def __init__(self, number: int, installation: Installation, http: httpx2.AsyncClient) -> None:
        self.sent: list[Message] = []
        self._number = number
        self._installation = installation
        self._http = http

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            name = f"{self._number}-{len(self.sent)}"
            text = (
                f'/call toy__write_note {{"text": "{name}"}}' if len(self.sent) % 2 else "/long 2"
            )
            await self.insist(Message(name, text))

    async def insist(self, message: Message) -> None:
        """Send the message and follow its answer until it has its last event."""
        self.sent.append(message)
        while not message.is_over:
            with suppress(httpx2.TransportError):
                await self._listen(message)
            await asyncio.sleep(RETRY_S)

    def opening(self, message: Message) -> tuple[str, dict[str, str]]:
        """Return path and body of the request that starts the turn."""
        body = {"message": message.text, "client_message_id": message.client_message_id}
        return "/api/chat/stream", body

    async def _listen(self, message: Message) -> None:
        headers = dict(self._installation.bearer)
        if message.turn_id is None:
            path, body = self.opening(message)
            request = self._http.build_request("POST", path, json=body, headers=headers)
        else:
            headers["Last-Event-ID"] = f"{message.turn_id}:{message.last_seq}"
            request = self._http.build_request(
                "GET", f"/api/chat/turns/{message.turn_id}/events", headers=headers
            )
        response = await self._http.send(request, stream=True)
        try:
            if response.status_code == 503:
                return
            assert response.status_code == 200, (response.status_code, await response.aread())
            message.turn_id = response.headers["x-turn-id"]
            await _collect(message, response)
        finally:
            await response.aclose()


async def _collect(message: Message, response: httpx2.Response) -> None:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "id" in fields:
            seq = int(fields["id"].rpartition(":")[2])
            message.events.append((seq, fields["event"], fields["data"]))
            fields = {}


async def _allow(
    http: httpx2.AsyncClient, installation: Installation, tool: str, arguments: dict[str, str]
) -> None:
    """Call a tool and let it run without being asked about from now on: no turn shall wait."""
    path = f"/api/mcp/tools/{tool}/call"
    answer = await http.post(path, json={"arguments": arguments}, headers=installation.bearer)
    approval_id = answer.json()["approval"]["id"]
    path = f"/api/approvals/{approval_id}/approve"
    answer = await http.post(path, json={"scope": "always"}, headers=installation.bearer)
    answer.raise_for_status()


async def kill_loop(folder: Path, kills: int, seed: int) -> Report:
    """Run the clients through `kills` kills and return what was found."""
    chance = random.Random(seed)
    with (
        practice_model("--pace-ms", "2") as model_url,
        toy_server(folder / "notes.txt") as toy,
    ):
        servers = [{"id": "toy", "title": "Toy", "url": toy.url, "trust": "fleet"}]
        installation = Installation(folder, model_url, servers=servers)
        report = Report()
        stop = asyncio.Event()
        await asyncio.to_thread(installation.start)
        async with httpx2.AsyncClient(
            base_url=installation.url,
            timeout=10,
            trust_env=False,
            verify=False,
        ) as http:
            await _allow(http, installation, "toy__write_note", {"text": "allowed"})
            clients = [Client(number, installation, http) for number in range(CLIENTS)]
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    group.create_task(client.run(stop))
                for _ in range(kills):
                    await asyncio.sleep(chance.uniform(0, MAX_LIFE_S))
                    await asyncio.to_thread(installation.kill)
                    report.kills += 1
                    await asyncio.to_thread(installation.start)
                stop.set()
        await asyncio.to_thread(installation.stop)
        messages = [message for client in clients for message in client.sent]
        _judge(report, messages, installation.data_dir / "chat_sessions.db", toy.journal_lines())
    return report


def _judge(report: Report, messages: list[Message], database: Path, notes: list[str]) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        for message in messages:
            report.accepted += 1
            _judge_events(report, message)
            _judge_rows(report, message, connection)
        report.left_open += connection.execute(
            "SELECT (SELECT count(*) FROM turns WHERE state = 'running') + (SELECT count(*) "
            "FROM tool_calls WHERE state IN ('planned', 'started'))"
        ).fetchone()[0]
    report.doubled_effects += sum(count - 1 for count in Counter(notes).values())


def _judge_events(report: Report, message: Message) -> None:
    sequence = [seq for seq, _, _ in message.events]
    report.duplicates += len(sequence) - len(set(sequence))
    report.gaps += sorted(set(sequence)) != list(range(1, len(set(sequence)) + 1))
    report.duplicates += sum(kind in TERMINAL for _, kind, _ in message.events) - 1
    report.interrupted += message.events[-1][1] == "turn_failed"


def _judge_rows(report: Report, message: Message, connection: sqlite3.Connection) -> None:
    rows = connection.execute(
        "SELECT m.content FROM turns t JOIN messages m ON m.id = t.user_message_id "
        "WHERE t.client_message_id = ? AND t.id = ?",
        (message.client_message_id, message.turn_id),
    ).fetchall()
    report.lost += [row["content"] for row in rows] != [message.text]
    stored = connection.execute(
        "SELECT seq, type, data FROM turn_events WHERE turn_id = ? ORDER BY seq", (message.turn_id,)
    ).fetchall()
    seen = [(seq, kind, data.encode()) for seq, kind, data in message.events]
    report.gaps += [tuple(row) for row in stored] != seen
    answer = "".join(
        row["content"]
        for row in connection.execute(
            "SELECT content FROM messages WHERE turn_id = ? AND role = 'assistant' "
            "ORDER BY position",
            (message.turn_id,),
        )
    )
    report.wrong_texts += answer != _text(message.events)


def _text(events: list[tuple[int, str, str]]) -> str:
    texts: list[Any] = [
        json.loads(data)["text"] for _, kind, data in events if kind == "text_delta"
    ]
    return "".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill the orchestrator again and again.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(kill_loop(Path(folder), arguments.kills, arguments.seed))
    print(f"seed {arguments.seed}: {report}")
    sys.exit(not report.is_clean)


if __name__ == "__main__":
    main()
