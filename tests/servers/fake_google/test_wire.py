"""How the fake Google answers whatever the API: tokens, scopes, fields, batches, faults."""

import http.client
import json
import threading
from typing import Any

import httpx2
import pytest
from googleapiclient.errors import HttpError

from tests.fakes.google import FakeGoogle
from tests.servers.fake_google.conftest import ANNA, CALENDAR_SCOPE, MAIL_SCOPE, TASKS_SCOPE, Client

READ = "https://www.googleapis.com/auth/gmail.readonly"
LIST = "gmail.users.messages.list"


def failure(request: Any) -> dict[str, Any]:
    with pytest.raises(HttpError) as caught:
        request.execute()
    return json.loads(caught.value.content)["error"]


def test_a_token_has_to_be_one_and_to_permit_the_method(google: FakeGoogle, client: Client) -> None:
    users = client("gmail.v1", READ).users()
    send = failure(users.messages().send(userId="me", body={"raw": "SGk="}))
    assert (send["code"], send["status"]) == (403, "PERMISSION_DENIED")
    assert send["errors"][0]["reason"] == "insufficientPermissions"
    assert send["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert failure(users.messages().list(userId="bo@example.org"))["code"] == 403
    url = f"{google.url}/gmail/v1/users/me/messages"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        answer = httpx2.get(url, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert not google.sent


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("messages?q=x", 200),
        ("messages?query=x", 400),
        ("messages?maxResults=many", 400),
        ("messages?maxResults=-1", 400),
        ("messages?includeSpamTrash=yes", 400),
        ("messages?q=x&q=y", 400),
        ("messages?labelIds=INBOX&labelIds=UNREAD", 200),
        ("messages?alt=media2", 400),
        ("messages?fields=messages(id", 400),
        ("messages/123?format=FULL", 400),
        ("messages/123?format=full", 404),
        ("messages/not-an-id", 400),
        ("mails", 404),
        ("settings/imap", 501),
    ],
)
def test_what_the_documents_do_not_know_is_refused(
    google: FakeGoogle, target: str, status: int
) -> None:
    token = google.oauth.token_for(ANNA, [READ])
    url = f"{google.url}/gmail/v1/users/me/{target}"
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status, answer.text


def test_every_api_is_there(google: FakeGoogle, client: Client) -> None:
    google.person(ANNA)
    assert client("calendar.v3", CALENDAR_SCOPE).calendarList().list().execute()["items"]
    assert client("tasks.v1", TASKS_SCOPE).tasklists().list().execute()["items"]
    assert client("gmail.v1", MAIL_SCOPE).users().labels().list(userId="me").execute()["labels"]
    assert [one.method for one in google.calls] == [
        "calendar.calendarList.list",
        "tasks.tasklists.list",
        "gmail.users.labels.list",
    ]
    assert {one.account for one in google.calls} == {ANNA}


def test_a_batch_answers_each_of_its_requests(google: FakeGoogle, client: Client) -> None:
    mails = [google.person(ANNA).mail.receive(subject=f"n{number}") for number in range(3)]
    service = client("gmail.v1", READ)
    got: dict[str, Any] = {}

    def keep(name: str, answer: Any, error: HttpError | None) -> None:
        got[name] = error.status_code if error else answer

    batch = service.new_batch_http_request(callback=keep)
    for mail in mails:
        request = service.users().messages().get(userId="me", id=mail.id, format="minimal")
        batch.add(request, request_id=mail.id)
    batch.add(service.users().messages().get(userId="me", id="ffff"), request_id="missing")
    google.faults.next("gmail.users.messages.get", status=429)
    batch.execute()
    assert got.pop("missing") == 404
    assert got.pop(mails[0].id) == 429
    assert {name: answer["id"] for name, answer in got.items()} == {m.id: m.id for m in mails[1:]}


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_method_fails_as_often_as_was_ordered(
    google: FakeGoogle, client: Client, status: int
) -> None:
    google.faults.next(LIST, status=status, reason="rateLimitExceeded", retry_after=7, times=2)
    request = client("gmail.v1", READ).users().messages().list(userId="me")
    for _ in range(2):
        with pytest.raises(HttpError) as caught:
            request.execute()
        assert caught.value.resp["retry-after"] == "7"
        assert (
            json.loads(caught.value.content)["error"]["errors"][0]["reason"] == "rateLimitExceeded"
        )
    assert request.execute() == {"resultSizeEstimate": 0}
    assert not google.faults.left


@pytest.mark.parametrize("lost", [{"status": 503}, {"cut": True}, {"short": True}])
@pytest.mark.parametrize("acted", [True, False])
def test_a_request_can_be_carried_out_and_its_answer_lost(
    google: FakeGoogle, lost: dict[str, Any], acted: bool
) -> None:
    google.faults.next("tasks.tasks.insert", acted=acted, **lost)
    token = google.oauth.token_for(ANNA, [TASKS_SCOPE])
    address = google.url.removeprefix("http://")
    there = http.client.HTTPConnection(address, timeout=20)
    there.request(
        "POST",
        "/tasks/v1/lists/@default/tasks",
        json.dumps({"title": "Once"}),
        {"Authorization": f"Bearer {token}"},
    )
    if lost == {"status": 503}:
        assert there.getresponse().status == 503
    else:
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            there.getresponse().read()
    there.close()
    assert len(google.person(ANNA).tasks.default.tasks) == int(acted)
    assert google.count("tasks.tasks.insert") == 1


def test_a_request_hangs_until_it_is_let_go(google: FakeGoogle, client: Client) -> None:
    held = google.faults.next(LIST, hang=True)
    request = client("gmail.v1", READ).users().messages().list(userId="me")
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(request.execute()))
    thread.start()
    google.wait_for(LIST)
    assert not answers
    held.release()
    thread.join(20)
    assert answers == [{"resultSizeEstimate": 0}]


def test_the_fake_ends_though_somebody_waits() -> None:
    with FakeGoogle() as google:
        google.faults.next(LIST, hang=True)
        token = google.oauth.token_for(ANNA, [READ])
        there = http.client.HTTPConnection(google.url.removeprefix("http://"), timeout=20)
        there.request(
            "GET", "/gmail/v1/users/me/messages", headers={"Authorization": f"Bearer {token}"}
        )
        google.wait_for(LIST)
    there.close()
