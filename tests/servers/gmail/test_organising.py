"""Labels and trash: what is reported is what changed, and undo puts back just that."""

import asyncio
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.fakes.google import FakeGoogle
from tests.fakes.google.mailbox import Mailbox
from tests.servers.gmail.conftest import Call, Person


async def test_mails_are_labelled_archived_read_and_starred(box: Mailbox, call: Call) -> None:
    home = box.label("Home")
    mail = box.receive()

    await call("modify", message_ids=[mail.id], add_labels=["home"], archive=True, mark_read=True)
    assert mail.labels == {home}
    await call("modify", message_ids=[mail.id], remove_labels=[home], mark_read=False, star=True)
    assert mail.labels == {"UNREAD", "STARRED"}


async def test_what_was_so_already_is_not_reported_as_changed(box: Mailbox, call: Call) -> None:
    read, unread = box.receive(labels=["INBOX"]), box.receive()
    gone = "18aaaaaaaaaaaaaa"

    done = await call("modify", message_ids=[read.id, unread.id, gone], mark_read=True)

    assert (done["changed"], done["unchanged"]) == ([unread.id], [read.id])
    assert [one["message_id"] for one in done["failed"]] == [gone]


async def test_undo_puts_each_mail_back_as_it_was(box: Mailbox, undo: Any) -> None:
    mails = [
        box.receive(labels=labels)
        for labels in (["INBOX", "UNREAD"], ["INBOX"], ["UNREAD", "STARRED"], ["STARRED"])
    ]
    before = [set(mail.labels) for mail in mails]

    restored = await undo(
        "modify",
        {
            "message_ids": [one.id for one in mails],
            "archive": True,
            "mark_read": True,
            "star": True,
        },
    )

    assert [mail.labels for mail in mails] == before
    assert set(restored["changed"]) == {one.id for one in mails[:3]}


async def test_many_mails_are_changed_after_the_owner_saw_which(
    google: FakeGoogle, box: Mailbox, call: Call, person: Person
) -> None:
    mails = [box.receive(sender="news@example.org", subject=f"News {i}") for i in range(100)]

    done = await call("modify_many", message_ids=[one.id for one in mails], archive=True)

    assert len(done["changed"]) == 100
    assert google.count("gmail.users.messages.batchModify") == 1
    [question] = person.asked
    assert "Remove labels: INBOX" in question
    assert "Mails: 100" in question
    assert "news@example.org: News 0" in question


async def test_six_mails_are_too_many_for_modify(box: Mailbox, call: Call) -> None:
    with pytest.raises(ToolError, match="at most 5 items"):
        await call("modify", message_ids=[box.receive().id for _ in range(6)], archive=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Say what to change"),
        ({"add_labels": ["Nothing"]}, "There is no label 'Nothing'"),
        ({"add_labels": ["TRASH"]}, "Use trash and untrash"),
        ({"remove_labels": ["SENT"]}, "Gmail sets these labels itself: SENT"),
        ({"add_labels": ["STARRED"], "star": False}, "both|added and removed: STARRED"),
    ],
)
async def test_labels_that_cannot_be_changed_say_why(
    box: Mailbox, call: Call, arguments: dict[str, Any], sentence: str
) -> None:
    mail = box.receive()

    with pytest.raises(ToolError, match=sentence):
        await call("modify", message_ids=[mail.id], **arguments)

    assert mail.labels == {"INBOX", "UNREAD"}


async def test_trash_is_asked_for_and_undone_to_the_last_label(
    box: Mailbox, undo: Any, person: Person
) -> None:
    home = box.label("Home")
    first, second = box.receive(labels=["INBOX", "UNREAD", home]), box.receive(labels=["STARRED"])
    old = box.receive(labels=["TRASH"])

    restored = await undo("trash", {"message_ids": [first.id, second.id, old.id]})

    assert (first.labels, second.labels) == ({"INBOX", "UNREAD", home}, {"STARRED"})
    assert old.labels == {"TRASH"}
    assert set(restored["changed"]) == {first.id, second.id}
    assert "bo@example.org: Hello" in person.asked[0]


async def test_what_came_out_of_the_trash_goes_back_by_undo(box: Mailbox, undo: Any) -> None:
    mail = box.receive(labels=["TRASH"])

    await undo("untrash", {"message_ids": [mail.id]})

    assert "TRASH" in mail.labels


async def test_of_several_moves_those_that_went_well_are_told(
    google: FakeGoogle, box: Mailbox, call: Call
) -> None:
    mails = [box.receive() for _ in range(3)]
    google.faults.next("gmail.users.messages.trash", status=400)

    done = await call("trash", message_ids=[one.id for one in mails])

    trashed = {one.id for one in mails if "TRASH" in one.labels}
    assert len(trashed) == 2
    assert set(done["changed"]) == trashed
    assert {one["message_id"] for one in done["failed"]} == {one.id for one in mails} - trashed


async def test_a_change_whose_answer_was_lost_is_made_again_and_told_truly(
    google: FakeGoogle, box: Mailbox, call: Call
) -> None:
    mail = box.receive()
    google.faults.next("gmail.users.messages.batchModify", cut=True, acted=True)

    done = await call("modify", message_ids=[mail.id], archive=True)

    assert (done["changed"], mail.labels) == ([mail.id], {"UNREAD"})


async def test_a_change_that_cannot_be_read_afterwards_is_not_told_to_have_failed(
    google: FakeGoogle, box: Mailbox, call: Call
) -> None:
    mail = box.receive()
    held = google.faults.next("gmail.users.messages.batchModify", hang=True)
    task = asyncio.ensure_future(call("modify", message_ids=[mail.id], star=True))
    await asyncio.to_thread(google.wait_for, "gmail.users.messages.batchModify")
    google.faults.next("gmail.users.messages.get", status=400)
    held.release()

    assert (await task)["changed"] == [mail.id]
    assert "STARRED" in mail.labels


@pytest.mark.parametrize(
    "change", ["", "18", "18 INBOX", "zz +INBOX", "18 +TRASH", "18 -SENT", "18 +A -A", "18 +A\n-B"]
)
async def test_changes_that_cannot_be_put_back_are_refused(call: Call, change: str) -> None:
    with pytest.raises(ToolError, match="cannot be used"):
        await call("restore_labels", changes=[change])


async def test_labels_are_made_renamed_and_deleted(box: Mailbox, call: Call, undo: Any) -> None:
    made = await call("create_label", name="Home/Boiler")
    mail = box.receive(labels=["INBOX", made["label_id"]])

    with pytest.raises(ToolError, match="There is a label 'home/boiler' already"):
        await call("create_label", name="home/boiler")
    await undo("rename_label", {"label": made["label_id"], "name": "Heat"})
    assert [label.name for label in box.labels.values()] == ["Home/Boiler"]
    await call("delete_label", label="Home/Boiler")

    assert (box.labels, mail.labels) == ({}, {"INBOX"})
    await undo("create_label", {"name": "Short"})
    assert box.labels == {}


async def test_labels_of_gmail_itself_stay(call: Call) -> None:
    with pytest.raises(ToolError, match="is a label of Gmail itself"):
        await call("delete_label", label="INBOX")


async def test_no_tool_deletes_mail_for_good(
    google: FakeGoogle, box: Mailbox, call: Call, client: Client[Any]
) -> None:
    mail = box.receive()
    await call("trash", message_ids=[mail.id])

    assert mail.id in box.messages
    assert not [one for one in google.calls if "elete" in one.method]
