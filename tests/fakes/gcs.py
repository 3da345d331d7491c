"""Cloud Storage over HTTP: a real emulator behind, and in front what it gets wrong.

The emulator keeps the objects. It ignores preconditions, signatures, expiry, paging, unknown
parameters and the type an address asks for; it answers 404 without a word and refuses a part that
is sent again. All that is done here as Cloud Storage does it, and a test can order faults.
"""

import contextlib
import http.client
import json
import re
import socket
import sys
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fakes.gcs_signatures import PARAMETERS, Account, Refused
from tests.processes import started

BUCKET = "files"
JSON = "/storage/v1/b/"
_COMMON = frozenset({"prettyPrint", "alt", "fields"})
_ROUTES: tuple[tuple[str, re.Pattern[str], frozenset[str]], ...] = (
    (
        "initiate",
        re.compile(r"POST /upload/storage/v1/b/(?P<bucket>[^/]+)/o"),
        frozenset({"uploadType", "ifGenerationMatch"}),
    ),
    (
        "part",
        re.compile(r"PUT /upload/storage/v1/b/(?P<bucket>[^/]+)/o"),
        frozenset({"uploadType", "ifGenerationMatch", "upload_id"}),
    ),
    (
        "list",
        re.compile(r"GET /storage/v1/b/(?P<bucket>[^/]+)/o"),
        frozenset({"maxResults", "pageToken", "projection"}),
    ),
    (
        "get",
        re.compile(r"GET /storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"),
        frozenset({"projection", "generation"}),
    ),
    (
        "delete",
        re.compile(r"DELETE /storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"),
        frozenset({"ifGenerationMatch", "generation"}),
    ),
    (
        "media",
        re.compile(r"GET /download/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"),
        frozenset({"generation"}),
    ),
    (
        "signed",
        re.compile(r"[A-Z]+ /(?P<bucket>[^/]+)/(?P<name>[^/]+)"),
        PARAMETERS | {"response-content-disposition", "response-content-type"},
    ),
)

Kind = Literal["refuse", "lose", "cut", "stall", "shorten"]


@dataclass
class Fault:
    """What goes wrong at the next `times` requests of a route.

    `refuse`: answered with `status`, and not done. `lose`: done, and answered with `status`.
    `cut`: done, and half of the answer sent. `stall`: not answered until the test ends.
    `shorten`: answered as if the object ended in the middle.
    """

    route: str
    kind: Kind
    times: int = 1
    status: int = 503


@dataclass
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """One request, taken apart."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path, self.query = parts.path, parts.query
        self.values = dict(parse_qsl(parts.query, keep_blank_values=True))
        for route, pattern, parameters in _ROUTES:
            if match := pattern.fullmatch(f"{self.method} {self.path}"):
                self.route = route
                self.names = {key: unquote(text) for key, text in match.groupdict().items()}
                self.unknown = sorted(self.values.keys() - parameters - _COMMON)
                return
        self.route, self.names, self.unknown = "none", {}, []


class Gcs:
    """The state in front of one emulator; safe for the threads that answer."""

    def __init__(self, emulator_port: int, account: Account) -> None:
        self._emulator_port = emulator_port
        self._lock = threading.RLock()
        self._has_news = threading.Condition(self._lock)
        self._uploads: dict[str, Upload] = {}
        self._freed = threading.Event()
        self.account = account
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        """The routes that were asked for, in order."""
        self.complaints: list[str] = []
        """Requests that Cloud Storage would not understand."""
        self.later = timedelta()
        """How much later it is here than on the clock."""
        self.created_earlier_s = 0.0
        """How much earlier the listed objects were made than they were."""
        self.page_size = 1_000
        self.url = ""

    def free(self) -> None:
        """Let go of every request that stalls."""
        self._freed.set()

    def wait_for(self, route: str) -> None:
        """Return when somebody has asked for `route`."""
        with self._has_news:
            assert self._has_news.wait_for(lambda: route in self.seen, timeout=20)

    def fault_for(self, route: str) -> Fault | None:
        with self._has_news:
            self.seen.append(route)
            self._has_news.notify_all()
            for fault in self.faults:
                if fault.route == route and fault.times:
                    fault.times -= 1
                    return fault
        return None

    def answer(self, asked: Asked) -> Answer | None:
        """Return the answer; None ends the connection without one."""
        fault = self.fault_for(asked.route)
        if fault is None:
            return self._done(asked)
        if fault.kind == "refuse":
            return _error(fault.status, "ordered by the test")
        if fault.kind == "stall":
            self._freed.wait(60)
            return None
        answer = self._done(asked)
        if fault.kind == "lose":
            return _error(fault.status, "ordered by the test")
        if fault.kind == "shorten":
            return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)
        return Answer(answer.status, answer.body, answer.headers | {"x-test-cut": "yes"})

    def _done(self, asked: Asked) -> Answer:
        if asked.route == "none" or asked.unknown:
            self.complaints.append(f"{asked.method} {asked.target}")
            return _error(400, f"Invalid query parameter: {asked.unknown}")
        if asked.names["bucket"] != BUCKET:
            return _error(404, "The specified bucket does not exist.")
        return getattr(self, f"_{asked.route}")(asked)

    def _initiate(self, asked: Asked) -> Answer:
        if asked.values.get("uploadType") != "resumable":
            return _error(400, "Only resumable uploads are expected")
        name = json.loads(asked.body)["name"]
        if refusal := self._precondition(name, asked.values):
            return refusal
        answer = self._forward(asked)
        upload_id = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["upload_id"]
        with self._lock:
            self._uploads[upload_id] = Upload(name)
        return answer

    def _part(self, asked: Asked) -> Answer:
        with self._lock:
            upload = self._uploads.get(asked.values.get("upload_id", ""))
            if upload is None:
                return _error(404, "No such upload")
            if upload.end is not None:  # the answer to its last part was lost
                return upload.end
            start, total = _content_range(asked.headers)
            known = max(0, upload.size - start) if start is not None else 0
            if known:
                asked = _without(asked, known, upload.size, total)
            if known and not asked.body and total is None:
                return Answer(308, headers={"Range": f"bytes=0-{upload.size - 1}"})
            if total is not None and (refusal := self._precondition(upload.name, asked.values)):
                return refusal
            answer = self._forward(asked)
            upload.size += len(asked.body)
            if answer.status == 200:
                upload.end = answer
            return answer

    def _list(self, asked: Asked) -> Answer:
        everything = json.loads(self._forward(asked).body)
        size = min(int(asked.values.get("maxResults", 1_000)), self.page_size)
        start = int(asked.values.get("pageToken", 0))
        items: list[dict[str, Any]] = everything["items"][start : start + size]
        page: dict[str, Any] = {"items": [self._aged(item) for item in items]}
        if start + size < len(everything["items"]):
            page["nextPageToken"] = str(start + size)
        return _json(200, page)

    def _aged(self, item: dict[str, Any]) -> dict[str, Any]:
        created = datetime.fromisoformat(item["timeCreated"])
        earlier = created - timedelta(seconds=self.created_earlier_s)
        return {**item, "timeCreated": earlier.isoformat().replace("+00:00", "Z")}

    def _get(self, asked: Asked) -> Answer:
        return self._forward(asked)

    def _delete(self, asked: Asked) -> Answer:
        with self._lock:
            if refusal := self._precondition(asked.names["name"], asked.values):
                return refusal
            answer = self._forward(asked)
            return Answer(204) if answer.status == 200 else answer

    def _media(self, asked: Asked) -> Answer:
        found = self._resource(asked.names["name"])
        wanted = asked.values.get("generation")
        if found is None or wanted not in (None, found["generation"]):
            return _error(404, f"No such object: {BUCKET}/{asked.names['name']}")
        return self._forward(asked)

    def _signed(self, asked: Asked) -> Answer:
        now = datetime.now(UTC) + self.later
        try:
            self.account.check(asked.method, asked.path, asked.query, asked.headers, now)
        except Refused as refused:
            return Answer(refused.status, f"<Error><Code>{refused.code}</Code></Error>".encode())
        answer = self._forward(asked)
        kind = asked.values.get("response-content-type")
        return Answer(
            answer.status,
            answer.body,
            answer.headers | ({"content-type": kind} if kind and answer.status < 300 else {}),
        )

    def _precondition(self, name: str, values: Mapping[str, str]) -> Answer | None:
        wanted = values.get("ifGenerationMatch")
        found = self._resource(name)
        generation = found["generation"] if found else "0"
        if wanted is None or wanted == generation:
            return None
        return _error(412, "At least one of the pre-conditions you specified did not hold.")

    def _resource(self, name: str) -> dict[str, Any] | None:
        answer = self._forward(Asked("GET", f"{JSON}{BUCKET}/o/{name}", {}, b""))
        return json.loads(answer.body) if answer.status == 200 else None

    def _forward(self, asked: Asked) -> Answer:
        headers = {key: text for key, text in asked.headers.items() if key != "content-length"}
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self._emulator_port, timeout=20)
        ) as there:
            there.request(asked.method, asked.target, asked.body, headers)
            response = there.getresponse()
            body = response.read()
        if response.status == 404:
            return _error(404, f"No such object: {BUCKET}/{asked.names.get('name')}")
        kept = {
            key.lower(): text
            for key, text in response.getheaders()
            if key.lower() not in ("server", "date", "content-length", "connection")
        }
        return Answer(response.status, body, kept)


@dataclass
class Upload:
    """A resumable upload: what has arrived, and the answer to its last part."""

    name: str
    size: int = 0
    end: Answer | None = None


def _content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("content-range", ""))
    assert match, headers
    start, total = match.groups()
    return (int(start) if start else None, int(total) if total != "*" else None)


def _without(asked: Asked, known: int, size: int, total: int | None) -> Asked:
    """Return the request without the bytes that arrived before."""
    body = asked.body[known:]
    span = f"{size}-{size + len(body) - 1}" if body else "*"
    changed = {"content-range": f"bytes {span}/{'*' if total is None else total}"}
    return Asked(asked.method, asked.target, {**asked.headers, **changed}, body)


def _json(status: int, content: object) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"content-type": "application/json"})


def _error(status: int, message: str) -> Answer:
    return _json(status, {"error": {"code": status, "message": message}})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {key.lower(): text for key, text in self.headers.items()}
        answer = self.server.gcs.answer(Asked(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            return
        is_cut = answer.headers.pop("x-test-cut", None)
        self.send_response(answer.status)
        for key, text in answer.headers.items():
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if is_cut:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _handle  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The routes are in `Gcs.seen`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, gcs: Gcs) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gcs = gcs

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news; anything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serving(emulator_port: int, account: Account) -> Generator[Gcs]:
    """Answer in front of a running emulator until the block ends."""
    gcs = Gcs(emulator_port, account)
    with _Server(gcs) as server:
        gcs.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield gcs
        finally:
            gcs.free()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def emulator() -> Generator[int]:
    """Run an emulator with an empty bucket until the block ends; gives its port."""
    port = _free_port()
    command = (sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory")
    options = ("--host", "127.0.0.1", "--port", str(port), "--default-bucket", BUCKET)
    with started(*command, *options, ready="All services started"):
        yield port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
