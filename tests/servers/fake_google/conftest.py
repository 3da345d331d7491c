"""A fake Google for each test, and Google's own client that talks to it."""

from collections.abc import Callable, Iterator
from typing import Any

import google_auth_httplib2
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.http import build_http

from tests.fakes.google import FakeGoogle
from tests.fakes.google.discovery import document

ANNA = "anna@example.org"
MAIL_SCOPE = "https://www.googleapis.com/auth/gmail.modify"
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"
TASKS_SCOPE = "https://www.googleapis.com/auth/tasks"
Client = Callable[..., Any]


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as fake:
        yield fake


@pytest.fixture
def client(google: FakeGoogle) -> Iterator[Client]:
    """Make a client of an API, as `gmail.v1`, that may use some scopes."""
    made: list[Any] = []

    def make(api: str, *scopes: str, account: str = ANNA, token: str | None = None) -> Any:
        described = {**document(api), "rootUrl": f"{google.url}/"}
        described["baseUrl"] = f"{google.url}/{described['servicePath']}"
        described.pop("mtlsRootUrl", None)
        token = token or google.oauth.token_for(account, scopes)
        http = google_auth_httplib2.AuthorizedHttp(Credentials(token=token), http=build_http())
        made.append(build_from_document(described, http=http))
        return made[-1]

    yield make
    for one in made:
        one.close()
