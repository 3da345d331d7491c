"""A machine of Google's, as its programs see it: a metadata server, and Google's own addresses.

Programs reach `storage.googleapis.com` and `iamcredentials.googleapis.com` through a proxy that
ends their TLS with a certificate of its own; behind the first is the fake of Cloud Storage.
"""

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.gcs import Answer, Asked, Gcs
from tests.fakes.gcs_signatures import EMAIL

STORAGE = "storage.googleapis.com"
IAM = "iamcredentials.googleapis.com"
TOKEN = "token-of-the-machine"
_ACCOUNTS = "/computeMetadata/v1/instance/service-accounts"


@dataclass
class GoogleMachine:
    """What the programs of one machine are answered."""

    gcs: Gcs
    may_sign: bool = True
    signatures_asked: int = 0
    signing_most: int = 0
    """How many signatures were asked for at one time, at most."""
    meets: threading.Barrier | None = None
    """Where requests for signatures wait for each other."""
    _signing: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """For the environment of a program on it."""

    def answer(self, host: str, asked: Asked) -> Answer:
        if host == STORAGE:
            return self.gcs.answer(asked) or Answer(503)
        if host == IAM:
            return self._signed(asked)
        return self._metadata(urlsplit(asked.target).path, asked)

    def _signed(self, asked: Asked) -> Answer:
        if asked.path.endswith("/allowedLocations"):  # of regions, which the account has none of
            return _json({"error": {"code": 404, "message": "Not found."}}, 404)
        with self._one_signature():
            return self._signature(asked)

    @contextlib.contextmanager
    def _one_signature(self) -> Generator[None]:
        with self._lock:
            self.signatures_asked += 1
            self._signing += 1
            self.signing_most = max(self.signing_most, self._signing)
        if self.meets is not None:
            self.meets.wait()
        yield
        with self._lock:
            self._signing -= 1

    def _signature(self, asked: Asked) -> Answer:
        assert asked.path == f"/v1/projects/-/serviceAccounts/{EMAIL}:signBlob", asked.path
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        if not self.may_sign:
            denied = "Permission 'iam.serviceAccounts.signBlob' denied on resource."
            return _json({"error": {"code": 403, "message": denied}}, 403)
        payload = base64.b64decode(json.loads(asked.body)["payload"])
        signature = self.gcs.account.key.sign(payload, padding.PKCS1v15(), hashes.SHA256())
        return _json({"keyId": "1", "signedBlob": base64.b64encode(signature).decode()})

    def _metadata(self, path: str, asked: Asked) -> Answer:
        assert asked.headers["metadata-flavor"] == "Google"
        if path == "/":
            return Answer(200)
        if path == "/computeMetadata/v1/project/project-id":
            return Answer(200, b"flotilla-tests", {"content-type": "application/text"})
        if path in (f"{_ACCOUNTS}/default/", f"{_ACCOUNTS}/{EMAIL}/"):
            return _json({"email": EMAIL, "scopes": [], "aliases": ["default"]})
        if path in (f"{_ACCOUNTS}/default/token", f"{_ACCOUNTS}/{EMAIL}/token"):
            return _json({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        return Answer(404)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"
    host = ""

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.host = self.path.partition(":")[0]
        self.finish()  # with what was plain
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def handle(self) -> None:
        super().handle()
        self.connection.close()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {key.lower(): text for key, text in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body)
        answer = self.server.machine.answer(self.host, asked)
        self.send_response(answer.status)
        fields = {"Metadata-Flavor": "Google", **answer.headers}
        for key, text in {**fields, "Content-Length": str(len(answer.body))}.items():
            self.send_header(key, text.replace(f"http://{STORAGE}", f"https://{STORAGE}"))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """What was asked is counted."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, machine: GoogleMachine, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.machine = machine
        self.tls = tls


@contextlib.contextmanager
def google_machine(gcs: Gcs, folder: Path) -> Generator[GoogleMachine]:
    """Answer programs that have the machine's settings until the block ends."""
    certificate, key = _certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    machine = GoogleMachine(gcs)
    with _Server(machine, tls) as server:
        address = f"127.0.0.1:{server.server_port}"
        machine.settings = {
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "HTTPS_PROXY": f"http://{address}",
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(certificate),
            "CLOUDSDK_CONFIG": str(folder / "no-gcloud"),
        }
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield machine
        finally:
            server.shutdown()
            thread.join()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Google, for tests")])
    now = datetime.now(UTC)
    hosts = x509.SubjectAlternativeName([x509.DNSName(host) for host in (STORAGE, IAM)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(hosts, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "google.pem", folder / "google.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def _json(content: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"content-type": "application/json"})
