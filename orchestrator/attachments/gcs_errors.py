"""What Google's libraries raise, as our own errors."""

import http.client
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    DataCorruption,
)

from orchestrator.errors import (
    BlobExists,
    BlobNotFound,
    BlobStoreRefused,
    BlobStoreUnavailable,
    FlotillaError,
)

_NO_BUCKET = "bucket does not exist"
_PASSING = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS))


@contextmanager
def explained(bucket: str, right: str) -> Generator[None, None, None]:
    """Raise our own errors; `right` is what the call needs, e.g. `storage.objects.get`."""
    try:
        yield
    except api.GoogleAPICallError as error:
        raise _of_answer(error, bucket, right) from error
    except auth.GoogleAuthError as error:
        if isinstance(error, auth.TransportError) or error.retryable:  # pyright: ignore[reportUnknownMemberType]
            raise BlobStoreUnavailable("Google's sign-in did not answer.") from error
        raise BlobStoreRefused(
            f"Nobody may sign in for the bucket {bucket}: set GOOGLE_APPLICATION_CREDENTIALS. "
            f"Google says: {error}"
        ) from error
    except (
        api.RetryError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        ConnectionError,
        DataCorruption,
    ) as error:
        raise BlobStoreUnavailable(
            f"The bucket {bucket} did not answer, or broke off: try again later."
        ) from error


def _of_answer(error: api.GoogleAPICallError, bucket: str, right: str) -> FlotillaError:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.PRECONDITION_FAILED:
        return BlobExists("There is a blob of that name already.")
    if status == HTTPStatus.NOT_FOUND:
        if _NO_BUCKET in str(error):
            return BlobStoreRefused(f"There is no bucket {bucket}: check GCS_BUCKET_NAME.")
        return BlobNotFound("There is no blob of that name.")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return BlobStoreRefused(
            f"The bucket {bucket} refuses us: give the account of GOOGLE_APPLICATION_CREDENTIALS "
            f"the right {right}."
        )
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return BlobStoreUnavailable(f"The bucket {bucket} answered {int(status)}; try again later.")
    return BlobStoreRefused(f"The bucket {bucket} refused: {error.message}")
