"""Gmail in the fake, seen by Google's own client."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload

from tests.fakes.google import FakeGoogle
from tests.servers.fake_google.conftest import ANNA, MAIL_SCOPE, Client


@pytest.fixture
def users(client: Client) -> Any:
    return client("gmail.v1", MAIL_SCOPE).users()


def raw(to: str = "bo@example.org", subject: str = "Hi", **headers: str) -> str:
    message = EmailMessage()
    for name, value in {"To": to, "Subject": subject, **headers}.items():
        message[name.replace("_", "-")] = value
    # base64: the client cannot upload what has bytes beyond ASCII in it
    message.set_content("Grüße", cte="base64")
    return base64.urlsafe_b64encode(message.as_bytes()).decode()


def refusal(request: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        request.execute()
    error = json.loads(caught.value.content)["error"]
    return caught.value.status_code, error["message"]


def test_a_mail_is_taken_apart_as_gmail_does_it(google: FakeGoogle, users: Any) -> None:
    mail = google.person(ANNA).mail.receive(
        sender="Jürgen <j@example.org>",
        subject="Rechnung für März",
        text="Tom & Jerry",
        html="<p>Tom &amp; Jerry</p>",
        files=[("rechnung.pdf", "application/pdf", b"%PDF-1.7")],
    )
    found = users.messages().get(userId="me", id=mail.id).execute()
    assert found["snippet"].startswith("Tom &amp; Jerry")
    assert found["labelIds"] == ["INBOX", "UNREAD"]
    headers = {one["name"]: one["value"] for one in found["payload"]["headers"]}
    assert headers["Subject"] == "Rechnung für März"
    assert headers["From"] == "Jürgen <j@example.org>"
    bodies, file = found["payload"]["parts"]
    assert [(part["partId"], part["mimeType"]) for part in bodies["parts"]] == [
        ("0.0", "text/plain"),
        ("0.1", "text/html"),
    ]
    assert base64.urlsafe_b64decode(bodies["parts"][0]["body"]["data"]) == b"Tom & Jerry\r\n"
    assert (file["partId"], file["filename"], file["body"]["size"]) == ("1", "rechnung.pdf", 8)

    again = users.messages().get(userId=ANNA, id=mail.id).execute()
    ids = [one["payload"]["parts"][1]["body"]["attachmentId"] for one in (found, again)]
    assert ids[0] != ids[1]
    for attachment_id in ids:
        got = users.messages().attachments().get(userId="me", messageId=mail.id, id=attachment_id)
        assert base64.urlsafe_b64decode(got.execute()["data"]) == b"%PDF-1.7"

    brief = users.messages().get(
        userId="me", id=mail.id, format="metadata", metadataHeaders=["From", "date"]
    )
    names = [one["name"] for one in brief.execute()["payload"]["headers"]]
    assert names == ["From", "Date"]
    whole = users.messages().get(userId="me", id=mail.id, format="raw", fields="raw").execute()
    assert base64.urlsafe_b64decode(whole.pop("raw")) == mail.raw
    assert not whole


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["invoice", "lunch", "news"]),
        ("from:bo", ["invoice"]),
        ("from:(bo OR carl)", ["invoice", "lunch"]),
        ("{from:bo from:carl} -subject:lunch", ["invoice"]),
        ("invoi", []),
        ('"due on friday"', ["invoice"]),
        ('"due friday"', []),
        ("has:attachment filename:pdf", ["invoice"]),
        ("is:unread", ["invoice", "news"]),
        ("label:big-news", ["news"]),
        ("older_than:1m", ["news"]),
        ("newer_than:2d -is:unread", ["lunch"]),
        ("after:2026/11/10 before:2026/11/15", ["invoice"]),
        ("rfc822msgid:<one@example.org>", ["lunch"]),
        ("in:trash", ["gone"]),
        ("in:anywhere gone", ["gone"]),
        ("larger:1M", []),
    ],
)
def test_search(google: FakeGoogle, users: Any, query: str, found: list[str]) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    google.clock = lambda: now
    box = google.person(ANNA).mail
    file = ("a.pdf", "application/pdf", b"x")
    day = timedelta(days=1)
    named = {"Message-ID": "<one@example.org>"}
    big = box.label("Big news")
    box.receive("Carl <carl@example.org>", "lunch", at=now - day, labels=["INBOX"], headers=named)
    box.receive(subject="invoice", text="Due on Friday", files=[file], at=now - 7 * day)
    box.receive("n@example.org", "news", at=now - 40 * day, labels=["INBOX", "UNREAD", big])
    box.receive("x@example.org", "gone", labels=["TRASH"])
    answer = users.messages().list(userId="me", q=query).execute()
    subjects = [box.messages[one["id"]].subject for one in answer.get("messages", [])]
    assert sorted(subjects) == sorted(found)


def test_pages_follow_each_other(google: FakeGoogle, users: Any) -> None:
    mails = [google.person(ANNA).mail.receive(subject=str(number)) for number in range(5)]
    request = users.messages().list(userId="me", maxResults=2)
    seen: list[str] = []
    while request is not None:
        answer = request.execute()
        seen += [one["id"] for one in answer["messages"]]
        request = users.messages().list_next(request, answer)
    assert seen == [mail.id for mail in reversed(mails)]
    assert users.messages().list(userId="me", q="nobody").execute() == {"resultSizeEstimate": 0}
    assert refusal(users.messages().list(userId="me", pageToken="x"))[0] == 400


def test_a_draft_changes_its_message_and_is_sent_once(google: FakeGoogle, users: Any) -> None:
    bo = google.person("bo@example.org").mail
    first = users.drafts().create(userId="me", body={"message": {"raw": raw()}}).execute()
    second = users.drafts().update(
        userId="me", id=first["id"], body={"message": {"raw": raw(Bcc="eve@example.org")}}
    ).execute()  # fmt: skip
    assert second["id"] == first["id"]
    assert second["message"]["id"] != first["message"]["id"]
    assert second["message"]["threadId"] == first["message"]["threadId"]
    assert refusal(users.messages().get(userId="me", id=first["message"]["id"]))[0] == 404

    for words, count in (("hi", 1), ("-hi", 0)):
        listed = users.drafts().list(userId="me", q=words).execute()
        assert listed["resultSizeEstimate"] == count
    sent = users.drafts().send(userId="me", body={"id": first["id"]}).execute()
    assert sent["labelIds"] == ["SENT"]
    assert refusal(users.drafts().send(userId="me", body={"id": first["id"]}))[0] == 404
    [out] = google.sent
    assert out.recipients == ["bo@example.org", "eve@example.org"]
    assert b"eve@example.org" not in out.raw
    assert "Grüße" in out.text
    [received] = bo.in_label("INBOX")
    assert received.subject == "Hi"
    assert not google.person(ANNA).mail.drafts


def test_an_answer_joins_a_thread_only_if_it_refers_to_it(google: FakeGoogle, users: Any) -> None:
    box = google.person(ANNA).mail
    mail = box.receive(subject="Thursday?", headers={"Message-ID": "<q@example.org>"})
    for expected, subject, headers in (
        (mail.thread_id, "Re: Thursday?", {"References": "<q@example.org>"}),
        (None, "Re: Friday?", {"References": "<q@example.org>"}),
        (None, "Re: Thursday?", {}),
    ):
        body = {"raw": raw(subject=subject, **headers), "threadId": mail.thread_id}
        sent = users.messages().send(userId="me", body=body).execute()
        assert sent["threadId"] == (expected or sent["id"])
    assert [one.subject for one in box.thread(mail.thread_id)] == ["Thursday?", "Re: Thursday?"]
    thread = users.threads().get(userId="me", id=mail.thread_id, format="minimal").execute()
    assert len(thread["messages"]) == 2


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"raw": raw(to="")}, "Recipient address required"),
        ({"raw": raw(to="nobody")}, "Invalid To header"),
        ({}, "'raw' RFC822"),
        ({"raw": "***"}, "Invalid value at 'raw'"),
        ({"raw": raw(), "subject": "x"}, 'Unknown name "subject"'),
        ({"raw": raw(), "labelIds": "SENT"}, "Invalid value at 'labelIds'"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    google: FakeGoogle, users: Any, message: dict[str, Any], complaint: str
) -> None:
    status, said = refusal(users.messages().send(userId="me", body=message))
    assert (status, complaint in said) == (400, True), said
    assert not google.sent


def test_uploads_carry_the_mail_beside_the_json(google: FakeGoogle, users: Any) -> None:
    content = base64.urlsafe_b64decode(raw(subject="Up")).replace(b"\n", b"\r\n")
    media = MediaIoBaseUpload(BytesIO(content), "message/rfc822")
    users.messages().send(userId="me", media_body=media).execute()
    users.drafts().create(userId="me", body={"message": {}}, media_body=media).execute()
    assert [one.subject for one in google.sent] == ["Up"]
    assert [one.subject for one in google.person(ANNA).mail.draft_mails()] == ["Up"]


def test_labels(google: FakeGoogle, users: Any) -> None:
    box = google.person(ANNA).mail
    mails = [box.receive() for _ in range(3)]
    ids = [mail.id for mail in mails]
    own = users.labels().create(userId="me", body={"name": "Later"}).execute()
    assert refusal(users.labels().create(userId="me", body={"name": "later"}))[0] == 409
    assert refusal(users.labels().create(userId="me", body={"name": "INBOX"}))[0] == 400
    body = {"ids": ids, "addLabelIds": [own["id"]], "removeLabelIds": ["UNREAD"]}
    assert not users.messages().batchModify(userId="me", body=body).execute()
    counts = users.labels().get(userId="me", id=own["id"]).execute()
    assert (counts["messagesTotal"], counts["messagesUnread"]) == (3, 0)
    assert users.labels().get(userId="me", id="INBOX").execute()["threadsTotal"] == 3
    for wrong in (["Nowhere"], ["SENT"]):
        change = {"addLabelIds": wrong}
        assert refusal(users.messages().modify(userId="me", id=ids[0], body=change))[0] == 400
    too_many = {"ids": ["1"] * 1_001, "addLabelIds": ["STARRED"]}
    assert refusal(users.messages().batchModify(userId="me", body=too_many))[0] == 400

    assert "TRASH" in users.messages().trash(userId="me", id=ids[0]).execute()["labelIds"]
    assert len(users.messages().list(userId="me").execute()["messages"]) == 2
    back = users.messages().untrash(userId="me", id=ids[0]).execute()
    assert "INBOX" not in back["labelIds"]
    assert refusal(users.messages().delete(userId="me", id=ids[0]))[0] == 403
    users.labels().delete(userId="me", id=own["id"]).execute()
    assert box.messages[ids[1]].labels == {"INBOX"}


def test_the_history_tells_what_changed(google: FakeGoogle, users: Any) -> None:
    start = users.getProfile(userId="me").execute()["historyId"]
    mail = google.person(ANNA).mail.receive()
    body = {"removeLabelIds": ["UNREAD"]}
    users.messages().modify(userId="me", id=mail.id, body=body).execute()
    history = users.history()
    changes = history.list(userId="me", startHistoryId=start).execute()["history"]
    assert [set(one) - {"id", "messages"} for one in changes] == [
        {"messagesAdded"},
        {"labelsRemoved"},
    ]
    assert refusal(history.list(userId="me", startHistoryId="1"))[0] == 404


def test_broken_mail_is_shown_all_the_same(google: FakeGoogle, users: Any) -> None:
    box = google.person(ANNA).mail
    for content in (
        b"",
        b"Subject: =?utf-8?q?=ff?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n",
    ):
        mail = box.receive_raw(content)
        assert users.messages().get(userId="me", id=mail.id).execute()["id"] == mail.id
