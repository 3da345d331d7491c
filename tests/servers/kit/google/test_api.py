"""Calls of Google's API: real accounts, Google's own request builder, real HTTP."""

import asyncio
import os
from contextlib import suppress
from typing import Any

import pytest

from servers.kit.accounts import Accounts
from servers.kit.errors import (
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    SignInRequired,
    TooLarge,
    Unavailable,
)
from servers.kit.gate.current import begin_call
from servers.kit.google import api as google_api
from servers.kit.google.api import GoogleApi
from servers.kit.google.errors import OutcomeUnknown, Refusal
from tests.fakes.google import FakeGoogle
from tests.servers.kit.google.conftest import ANNA, OpenAccounts, sign_in

GET = "gmail.users.messages.get"
TRASH = "gmail.users.messages.trash"
CREATE = "gmail.users.labels.create"
FIND = "gmail.users.labels.list"


def label(service: Any, name: str = "Bills") -> Any:
    return service.users().labels().create(userId="me", body={"name": name})


async def test_a_hundred_and_twenty_calls_at_once_are_all_right(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    mails = [google.person(ANNA).mail.receive(subject=f"Mail {i}") for i in range(120)]

    async def read(mail_id: str) -> str:
        account = await api.account(None, "read")
        messages = account.service.users().messages()
        found = await account.execute(messages.get(userId="me", id=mail_id, format="metadata"))
        assert found["id"] == mail_id
        return next(h["value"] for h in found["payload"]["headers"] if h["name"] == "Subject")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(mail.id)) for mail in mails]

    assert [task.result() for task in tasks] == [f"Mail {i}" for i in range(120)]


async def test_ten_calls_with_an_expired_token_renew_it_once(
    open_accounts: OpenAccounts, google: FakeGoogle
) -> None:
    google.oauth.access_life_s = 30  # less than is left for use
    mail = google.person(ANNA).mail.receive()
    async with open_accounts() as accounts:
        await sign_in(accounts)
        google.oauth.access_life_s = 3599
        async with GoogleApi(accounts, "gmail", "v1") as api:

            async def read() -> str:
                account = await api.account(None, "read")
                messages = account.service.users().messages()
                return str((await account.execute(messages.get(userId="me", id=mail.id)))["id"])

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(read()) for _ in range(10)]

    assert {task.result() for task in tasks} == {mail.id}
    assert google.oauth.count("refresh") == 1


async def test_a_token_that_google_stops_taking_is_renewed_once_for_all_requests(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    mails = [google.person(ANNA).mail.receive() for _ in range(20)]
    account = await api.account(None, "read")
    google.oauth.expire_access()

    messages = account.service.users().messages()
    found = await account.read_all([messages.get(userId="me", id=mail.id) for mail in mails])

    assert [one and one["id"] for one in found] == [mail.id for mail in mails]
    assert google.oauth.count("refresh") == 1


async def test_a_sign_in_that_ended_in_the_middle_asks_for_another(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    google.oauth.revoke(ANNA)

    with pytest.raises(SignInRequired) as caught:
        await account.execute(account.service.users().labels().list(userId="me"))
    assert (caught.value.reason, caught.value.account) == ("ended", ANNA)


async def test_an_account_whose_new_token_is_refused_is_not_told_to_work(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    google.faults.next(FIND, status=401, times=2)

    with pytest.raises(SignInRequired) as caught:
        await account.execute(account.service.users().labels().list(userId="me"))
    assert caught.value.reason == "ended"
    [told] = await accounts.listed()
    assert (told.state, told.problem) == (
        "needs_sign_in",
        "Google does not accept the sign-in any more.",
    )
    await sign_in(accounts)
    account = await api.account(None, "read")
    assert await account.execute(account.service.users().labels().list(userId="me"))


async def test_a_token_that_permits_too_little_asks_for_more(
    api: GoogleApi, accounts: Accounts
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")

    with pytest.raises(SignInRequired) as caught:
        await account.execute(label(account.service))
    assert (caught.value.reason, caught.value.capability) == ("scope", "read")


async def test_no_more_than_eight_requests_of_an_account_are_on_their_way(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    mail = google.person(ANNA).mail.receive()
    held = [google.faults.next(GET, hang=True) for _ in range(20)]

    messages = account.service.users().messages()
    requests = [messages.get(userId="me", id=mail.id) for _ in range(20)]
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(account.read_all(requests))
        await asyncio.to_thread(google.wait_for, GET, google_api.MAX_AT_ONCE)
        # Another account does not wait for this one.
        await sign_in(accounts, account="bo@example.org")
        other = await api.account("bo@example.org", "read")
        await other.execute(other.service.users().labels().list(userId="me"))
        assert google.count(GET) == google_api.MAX_AT_ONCE
        for fault in held:
            fault.release()
    assert [one and one["id"] for one in reading.result()] == [mail.id] * 20


async def test_what_is_gone_from_a_page_is_left_out(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    mail = google.person(ANNA).mail.receive()

    messages = account.service.users().messages()
    ids = [mail.id, "18f0000000000000"]
    found = await account.read_all([messages.get(userId="me", id=one) for one in ids])
    assert [one and one["id"] for one in found] == [mail.id, None]

    google.faults.next(GET, status=403, reason="dailyLimitExceeded")
    with pytest.raises(Unavailable, match="quota"):
        await account.read_all([messages.get(userId="me", id=one) for one in ids])


@pytest.mark.parametrize(
    ("status", "reason", "kind", "sentence"),
    [
        (400, "invalidArgument", InvalidInput, "Google refused this: Ordered by the test."),
        (403, "insufficientPermissions", SignInRequired, "not permitted this"),
        (403, "accessNotConfigured", NotAllowed, "not switched on"),
        (403, "forbidden", NotAllowed, "does not let anna@example.org"),
        (403, "quotaExceeded", Unavailable, "quota"),
        (404, "notFound", NotFound, "no such thing"),
        (410, "deleted", NotFound, "no such thing"),
        (409, "duplicate", Conflict, "changed meanwhile"),
        (412, "conditionNotMet", Conflict, "changed meanwhile"),
        (413, "uploadTooLarge", TooLarge, "too much"),
        (302, "", Unavailable, "unexpected way"),
    ],
)
async def test_a_refusal_says_what_to_do(
    api: GoogleApi,
    accounts: Accounts,
    google: FakeGoogle,
    status: int,
    reason: str,
    kind: type[Exception],
    sentence: str,
) -> None:
    await sign_in(accounts, "organise")
    account = await api.account(None, "organise")
    google.faults.next(CREATE, status=status, reason=reason)

    with pytest.raises(kind, match=sentence) as caught:
        await account.execute(label(account.service))
    assert type(caught.value) is kind
    assert google.count(CREATE) == 1


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 500}, {"cut": True}, {"short": True}]
)
async def test_a_read_is_repeated_until_it_goes_well(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle, fault: dict[str, Any]
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    google.faults.next(FIND, **fault)

    assert "labels" in await account.execute(account.service.users().labels().list(userId="me"))
    assert google.count(FIND) == 2


async def test_a_read_is_not_repeated_for_ever(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    request = account.service.users().labels().list(userId="me")
    google.faults.next(FIND, status=503, retry_after=0, times=4)

    with pytest.raises(Unavailable, match="503"):
        await account.execute(request)
    assert google.count(FIND) == 4

    google.faults.next(FIND, status=429, retry_after=31)
    with pytest.raises(Unavailable, match="Try again in 31 s"):
        await account.execute(request)
    assert google.count(FIND) == 5


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded", ""])
async def test_a_throttled_write_is_repeated_since_nothing_happened(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle, reason: str
) -> None:
    await sign_in(accounts, "organise")
    account = await api.account(None, "organise")
    status = 403 if reason else 429
    google.faults.next(CREATE, status=status, reason=reason, retry_after=0, times=2)

    assert (await account.execute(label(account.service)))["name"] == "Bills"
    assert google.count(CREATE) == 3
    assert [one.name for one in google.person(ANNA).mail.labels.values()] == ["Bills"]


LOST = [{"status": 503}, {"status": 500}, {"cut": True}, {"short": True}]


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("acted", [True, False])
async def test_a_write_whose_answer_is_lost_is_sent_once_and_not_called_a_failure(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle, fault: dict[str, Any], acted: bool
) -> None:
    await sign_in(accounts, "organise")
    account = await api.account(None, "organise")
    google.faults.next(CREATE, **fault, acted=acted)

    with pytest.raises(OutcomeUnknown):
        await account.execute(label(account.service))
    assert google.count(CREATE) == 1
    assert len(google.person(ANNA).mail.labels) == (1 if acted else 0)


@pytest.mark.parametrize("fault", LOST)
async def test_a_write_that_does_the_same_twice_is_repeated(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle, fault: dict[str, Any]
) -> None:
    await sign_in(accounts, "organise")
    account = await api.account(None, "organise")
    mail = google.person(ANNA).mail.receive()
    google.faults.next(TRASH, **fault, acted=True)

    request = account.service.users().messages().trash(userId="me", id=mail.id)
    assert "TRASH" in (await account.execute(request, may_repeat=True))["labelIds"]
    assert google.count(TRASH) == 2


async def test_a_repeated_write_that_is_refused_then_may_have_happened(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts, "organise")
    account = await api.account(None, "organise")
    found = await account.execute(label(account.service))
    request = account.service.users().labels().delete(userId="me", id=found["id"])
    google.faults.next("gmail.users.labels.delete", cut=True, acted=True)

    with pytest.raises(OutcomeUnknown) as caught:
        await account.execute(request, may_repeat=True)
    assert isinstance(caught.value.__cause__, NotFound)


async def test_a_write_that_could_not_be_sent_did_not_happen(
    accounts: Accounts, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(accounts, "organise")
    monkeypatch.setenv("GOOGLE_API_ROOT", "http://127.0.0.1:1")
    async with GoogleApi(accounts, "gmail", "v1") as nowhere:
        account = await nowhere.account(None, "organise")
        with pytest.raises(Unavailable, match="cannot be reached"):
            await account.execute(label(account.service))


async def test_answers_are_bounded(api: GoogleApi, accounts: Accounts, google: FakeGoogle) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    mail = google.person(ANNA).mail.receive(text="x" * 100_000)
    request = account.service.users().messages().get(userId="me", id=mail.id)

    with pytest.raises(TooLarge, match="50,000 bytes"):
        await account.execute(request, max_bytes=50_000)
    assert (await account.execute(request))["id"] == mail.id


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 700_001])
async def test_a_file_comes_piece_by_piece(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle, size: int
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    content = os.urandom(size)
    mail = google.person(ANNA).mail.receive_raw(content)
    request = account.service.users().messages().get(userId="me", id=mail.id, format="raw")

    pieces = [piece async for piece in account.bytes_of(request, field="raw")]
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) < 300_000


async def test_a_file_that_breaks_off_or_is_none_or_too_large_is_no_file(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle
) -> None:
    await sign_in(accounts)
    account = await api.account(None, "read")
    mail = google.person(ANNA).mail.receive(text="x" * 100_000)
    request = account.service.users().messages().get(userId="me", id=mail.id, format="raw")

    async def read(**options: Any) -> None:
        async for _ in account.bytes_of(request, **({"field": "raw"} | options)):
            pass

    google.faults.next(GET, short=True)
    with pytest.raises(Unavailable, match="broke off"):
        await read()
    with pytest.raises(Unavailable, match="does not hold the file"):
        await read(field="data")
    with pytest.raises(TooLarge):
        await read(max_bytes=50_000)
    google.faults.next(GET, status=404)
    with pytest.raises(NotFound):
        await read()


async def test_googles_own_client_never_sends(api: GoogleApi) -> None:
    request = api.service.users().labels().list(userId="me")

    with pytest.raises(RuntimeError, match="not by Google's client"):
        request.execute()


@pytest.mark.parametrize("fault", [None, {"status": 500}, {"cut": True}, {"status": 400}])
async def test_a_call_knows_that_it_may_not_run_twice_any_more(
    api: GoogleApi, accounts: Accounts, google: FakeGoogle, fault: dict[str, Any] | None
) -> None:
    await sign_in(accounts, "organise")
    account = await api.account(None, "organise")
    call = begin_call("call_1")
    messages = account.service.users().messages()
    mail = google.person(ANNA).mail.receive()
    await account.execute(messages.get(userId="me", id=mail.id))
    await account.execute(messages.trash(userId="me", id=mail.id), may_repeat=True)
    assert not call.has_acted
    if fault is not None:
        google.faults.next(CREATE, **fault)
    with suppress(InvalidInput, OutcomeUnknown):
        await account.execute(label(account.service))
    assert call.has_acted is (fault != {"status": 400})


def test_what_google_says_is_cleaned_of_what_cannot_be_seen() -> None:
    said = b'{"error": {"message": "Bad\\u200b \\u202ename\\n\\n of\\u2028it"}}'

    assert Refusal(400, None, said).said == ": Bad name of it"
