"""The way to a bucket: who we are there, and who signs for us."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import google.auth
import requests
from google.auth import iam
from google.auth.credentials import AnonymousCredentials, Credentials, Signing
from google.auth.exceptions import TransportError
from google.auth.transport.requests import Request
from google.cloud import storage  # pyright: ignore[reportMissingTypeStubs]
from google.oauth2 import service_account

from orchestrator.errors import BlobStoreRefused

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""For the bucket, and for signing where only Google has the key; rights narrow it down."""
_SIGNING_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket is."""

    bucket: str
    project: str | None = None
    emulator: str | None = None
    """Address of an emulator, which knows no accounts."""
    key_file: Path | None = None
    """Key of a service account, which signs for an emulator's bucket."""


class Access:
    """A client for one bucket, made when it is first needed. Every method blocks."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._credentials: Any = None
        self._client: Any = None

    def client(self) -> Any:
        """Return the client of the library. Raises GoogleAuthError."""
        with self._lock:
            if self._client is None:
                self._client = self._new_client()
            return self._client

    def bucket(self) -> Any:
        """Return the library's handle of the bucket; nothing is asked of it. As `client`."""
        return self.client().bucket(self._place.bucket)

    def signer(self) -> Signing:
        """Return who signs addresses, on this machine or at Google.

        A key we have signs here; without one, Google signs with the key of our account, which
        takes a request for each address. Raises BlobStoreRefused, GoogleAuthError.
        """
        self.client()
        with self._lock:
            credentials = self._signing_credentials()
            if isinstance(credentials, Signing):
                return credentials
            if getattr(credentials, "service_account_email", None) is None:
                raise BlobStoreRefused(
                    f"Nobody can sign addresses for the bucket {self._place.bucket}: set "
                    "GOOGLE_APPLICATION_CREDENTIALS to the key of a service account."
                )
            return _SignedByGoogle(credentials)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _new_client(self) -> Any:
        if self._place.emulator is not None:
            return _client(
                project=self._place.project,
                credentials=AnonymousCredentials(),
                client_options={"api_endpoint": self._place.emulator.rstrip("/")},
            )
        found = cast("Any", google.auth.default(scopes=_SCOPES))  # pyright: ignore[reportUnknownMemberType]
        self._credentials, project = found
        return _client(project=self._place.project or project, credentials=self._credentials)

    def _signing_credentials(self) -> Any:
        if self._place.emulator is None:
            return self._credentials
        if self._place.key_file is not None and self._credentials is None:
            self._credentials = _key(self._place.key_file)
        return self._credentials


class _SignedByGoogle(Signing):
    """Signs with the key that Google keeps for the account of this machine."""

    def __init__(self, credentials: Any) -> None:
        """Raises GoogleAuthError."""
        request: Callable[..., Any] = partial(Request(), timeout=_SIGNING_TIMEOUT_S)
        if not credentials.valid:
            credentials.refresh(request)
        # Known only now: on Google's machines it is `default` before.
        self._email: str = credentials.service_account_email
        self._signer = iam.Signer(request, credentials, self._email)

    def sign_bytes(self, message: bytes) -> bytes:
        """Return the signature. Raises BlobStoreRefused, GoogleAuthError."""
        try:
            return self._signer.sign(message)  # pyright: ignore[reportUnknownMemberType]
        except TransportError as error:
            if isinstance(error.__cause__, requests.RequestException):
                raise
            raise BlobStoreRefused(
                f"Google does not sign addresses for {self._email}: give it the right "
                "iam.serviceAccounts.signBlob on itself, or set GOOGLE_APPLICATION_CREDENTIALS "
                "to the key of a service account."
            ) from error

    @property
    def signer_email(self) -> str:
        return self._email

    @property
    def signer(self) -> iam.Signer:
        return self._signer


def _client(**settings: Any) -> Any:
    # Else it asks for the bucket itself, in threads of its own and with a right we do not need,
    # to describe traces that nobody takes.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    return storage.Client(**settings)


def _key(path: Path) -> Credentials:
    try:
        return service_account.Credentials.from_service_account_file(str(path))  # pyright: ignore[reportUnknownMemberType]
    except (OSError, ValueError) as error:
        raise BlobStoreRefused(f"{path} is not the key of a service account: {error}") from error
