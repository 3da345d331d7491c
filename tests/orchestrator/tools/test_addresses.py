"""Where servers of others may be: judged as written, as looked up, and as connected to."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.addresses import AddressRule, CheckedTransport, look_up
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.transport import http_client
from tests.fakes.mcp_servers import ServerProcess, closed_port
from tests.orchestrator.tools.conftest import Aggregate

PUBLIC = "93.184.216.34"
NAME = "tools.example.org"


class Names:
    """A name server whose answers are these, one after the other; the last stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if not self._answers:
            raise socket.gaierror("no such name")
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Noting(httpx2.AsyncBaseTransport):
    """Answers everything, and notes where it would have gone."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        name = request.extensions["sni_hostname"]
        self.seen.append((request.url.host, request.headers["host"], name))
        return httpx2.Response(200, request=request)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "0.0.0.0", "localhost"),
        *("localhost.", "LOCALHOST", "a.localhost", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1"),
        *("[::1]", "[::]", "[fe80::1%25eth0]", "[fc00::1]", "[ff02::1]", "[2001:db8::1]"),
        *("[::ffff:10.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("nas.local", "metadata.google.internal", "router.home.arpa"),
    ],
)
def test_a_private_address_is_refused_however_it_is_written(host: str):
    refusal = AddressRule().refusal(f"http://{host}:8080/mcp")
    assert refusal is not None
    assert "FLOTILLA_PRIVATE_SERVER_HOSTS" in refusal


@pytest.mark.parametrize(
    "host", [NAME, PUBLIC, "[2606:4700::1111]", "mylocal.example", "local.example"]
)
def test_a_public_address_may_be_tried(host: str):
    assert AddressRule().refusal(f"https://{host}/mcp") is None


@pytest.mark.parametrize("host", ["nas.local", "192.168.1.20", "[fd00::1]"])
def test_a_host_of_the_own_network_may_be_allowed_by_name(host: str):
    allowed = AddressRule(["NAS.local", "192.168.1.20", "fd00::1"])
    assert allowed.refusal(f"http://{host}/mcp") is None
    assert allowed.refusal("http://192.168.1.21/mcp") is not None


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["::1"], [PUBLIC, "10.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%2"]]
)
async def test_a_name_that_leads_into_a_private_network_is_refused(answer: list[str]):
    inner = Noting()
    async with httpx2.AsyncClient(
        transport=CheckedTransport(inner, AddressRule(resolve=Names(answer)))
    ) as http:
        with pytest.raises(ExchangeFailed, match="is no public address"):
            await http.get(f"https://{NAME}/mcp")
    assert inner.seen == []


async def test_a_name_cannot_point_elsewhere_after_it_was_checked():
    inner, names = Noting(), Names([PUBLIC], ["127.0.0.1"])
    async with httpx2.AsyncClient(
        transport=CheckedTransport(inner, AddressRule(resolve=names))
    ) as http:
        for _ in range(2):
            assert (await http.get(f"https://{NAME}/mcp")).status_code == 200
    assert inner.seen == [(PUBLIC, NAME, NAME)] * 2
    assert names.asked == [NAME]


async def test_a_server_behind_a_name_for_this_machine_is_never_connected_to(
    aggregate: Aggregate,
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        config = ServerConfig(id="rebound", url=f"http://{NAME}:{listener.getsockname()[1]}/mcp")
        rule = AddressRule(resolve=Names(["127.0.0.1"]))
        async with aggregate(config, addresses=rule) as aggregator:
            (status,) = aggregator.servers()
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert status.state == "unavailable"
    assert status.last_error is not None
    assert status.last_error.startswith(f"{NAME} leads to 127.0.0.1, which is no public address")


async def test_a_literal_address_in_the_document_is_refused_at_connect(aggregate: Aggregate):
    config = ServerConfig(id="near", url=f"http://127.0.0.1:{closed_port()}/mcp")
    async with aggregate(config, addresses=AddressRule()) as aggregator:
        assert "is no public address" in (aggregator.servers()[0].last_error or "")


async def test_our_own_servers_may_be_anywhere(aggregate: Aggregate, modern_server: ServerProcess):
    ours = ServerConfig(id="ours", url=modern_server.url, trust="fleet")
    async with aggregate(ours, addresses=AddressRule()) as aggregator:
        assert aggregator.servers()[0].state == "ready"


async def test_an_allowed_name_is_connected_to_at_any_address_that_answers(
    aggregate: Aggregate, modern_server: ServerProcess
):
    names = Names(["127.0.0.2", "127.0.0.1"])  # Nobody listens at the first.
    config = ServerConfig(id="toy", url=f"http://{NAME}:{modern_server.port}/mcp")
    async with aggregate(config, addresses=AddressRule([NAME], names)) as aggregator:
        assert aggregator.servers()[0].state == "ready"
        assert (await aggregator.call("toy__echo", {"text": "hi"}, call_id="c")).text == "hi"


async def test_a_name_that_does_not_exist_is_told(aggregate: Aggregate):
    config = ServerConfig(id="nowhere", url=f"https://{NAME}/mcp")
    async with aggregate(config, addresses=AddressRule(resolve=Names())) as aggregator:
        assert aggregator.servers()[0].last_error == f"the name {NAME} cannot be found"


async def test_the_certificate_must_be_for_the_name_not_the_address(tmp_path: Path):
    rule = AddressRule([NAME, "other.example.org"], Names(["127.0.0.1"]))
    certificate = _certificate(tmp_path / "key.pem", NAME)
    trusting = ssl.create_default_context(cadata=certificate)
    answers: list[dict[str, Any]] = []
    async with _tls_server(tmp_path / "key.pem") as port:
        for name in (NAME, "other.example.org"):
            async with http_client(None, trusting, addresses=rule) as http:
                answers.append((await http.post(f"https://{name}:{port}/", json=_PING)).json())
    assert answers[0]["result"] == {}
    assert answers[1]["error"]["data"]["kind"] == "refused"


async def test_names_are_looked_up_while_all_threads_of_the_loop_are_busy():
    release = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(busy)
        waiting = loop.run_in_executor(None, release.wait)
        try:
            addresses = await asyncio.wait_for(look_up("localhost", 80), 10)
        finally:
            release.set()
        await waiting
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


async def test_a_name_the_resolver_does_not_know_is_an_error():
    with pytest.raises(socket.gaierror):
        await look_up("localhost", -1)


_PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
_PONG = b'{"jsonrpc":"2.0","id":1,"result":{}}'


@asynccontextmanager
async def _tls_server(key_file: Path) -> AsyncIterator[int]:
    """A server that answers each ping, with the certificate in that file."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(_PONG)}"
        writer.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + _PONG)
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key_file)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def _certificate(path: Path, name: str) -> str:
    """Write a key with its self-signed certificate for `name`, and return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + pem)
    return pem.decode()


async def test_a_name_that_cannot_be_asked_for_is_answered_at_once():
    async with asyncio.timeout(2):
        with pytest.raises(ExchangeFailed, match="cannot be found"):
            await AddressRule().addresses_of(f"{'a' * 64}.example", 80)
