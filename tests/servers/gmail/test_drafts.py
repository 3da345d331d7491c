"""Drafts: written, changed, sent only as they were approved, and at most once."""

import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from servers.gmail.server import mcp
from tests.fakes.google import FakeGoogle
from tests.fakes.google.mailbox import Mail, Mailbox
from tests.servers.gmail.conftest import ANNA, Call, Person


def parsed(mail: Mail) -> EmailMessage:
    return message_from_bytes(mail.raw, _class=EmailMessage, policy=policy.default)


def sending(draft: dict[str, Any]) -> dict[str, Any]:
    """The arguments that send a draft as it was told."""
    return {
        "draft_id": draft["draft_id"],
        "version": draft["version"],
        "recipients": draft["recipients"],
        "subject": draft["untrusted_subject"],
    }


async def test_a_draft_is_written_in_both_forms_with_its_files(box: Mailbox, call: Call) -> None:
    stored = await mcp.files.save("Größe.pdf", b"%PDF-1", mime="application/pdf")

    draft = await call(
        "create_draft",
        to=["Bo Bérg <bo@example.org>"],
        cc=["cy@example.org"],
        bcc=["dee@example.org"],
        subject="Grüße",
        body_markdown="Dear **Bo**,\n\n- one\n\n<script>alert(1)</script>\n\n![](https://x.example/y)",
        attachment_ids=[stored.attachment_id],
    )

    [mail] = box.draft_mails()
    message = parsed(mail)
    assert message["To"].addresses[0].display_name == "Bo Bérg"
    assert (message["Cc"], message["Bcc"], message["Subject"]) == (
        "cy@example.org",
        "dee@example.org",
        "Grüße",
    )
    assert "From" not in message
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().startswith("Dear **Bo**,\r\n")
    assert "<strong>Bo</strong>" in html.get_content()
    assert "&lt;script&gt;" in html.get_content()
    assert "<script" not in html.get_content()
    assert "<img" not in html.get_content()
    [file] = message.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("Größe.pdf", b"%PDF-1")
    assert draft["recipients"] == ["bo@example.org", "cy@example.org", "dee@example.org"]
    assert draft["attachments"][0]["untrusted_name"] == "Größe.pdf"
    assert draft["version"]


async def test_an_answer_stands_in_its_thread_and_goes_to_who_asked(
    box: Mailbox, call: Call
) -> None:
    asked = box.receive(
        sender="Bo <bo@example.org>",
        to=f"{ANNA}, Cy <cy@example.org>",
        subject="Plan",
        headers={"Cc": f"dee@example.org, bo@example.org, {ANNA.upper()}", "Message-ID": "<q@x>"},
    )

    one = await call("create_draft", reply_to_message_id=asked.id, body_markdown="Yes")
    everyone = await call(
        "create_draft", reply_to_message_id=asked.id, reply_all=True, body_markdown="Yes"
    )

    assert (one["to"], one["cc"]) == (["bo@example.org"], [])
    assert (everyone["to"], everyone["cc"]) == (
        ["bo@example.org"],
        ["cy@example.org", "dee@example.org"],
    )
    assert one["thread_id"] == everyone["thread_id"] == asked.thread_id
    message = parsed(box.draft_mails()[0])
    assert (message["In-Reply-To"], message["References"]) == ("<q@x>", "<q@x>")
    assert message["Subject"] == "Re: Plan"


async def test_an_answer_goes_where_the_mail_says_and_to_others_for_ones_own(
    box: Mailbox, call: Call
) -> None:
    listed = box.receive(headers={"Reply-To": "list@example.org"})
    own = box.receive(sender=ANNA, to="bo@example.org", labels=["SENT"])

    to_list = await call("create_draft", reply_to_message_id=listed.id, body_markdown="x")
    again = await call("create_draft", reply_to_message_id=own.id, body_markdown="x")

    assert (to_list["to"], again["to"]) == (["list@example.org"], ["bo@example.org"])


@pytest.mark.parametrize(
    "address",
    ["bo", "bo@", "bo@example", "a@b.org, c@d.org", "a@b.org\nBcc: c@d.org", "<>", "a@@b.org", ""],
)
async def test_what_is_not_one_address_is_refused(call: Call, address: str) -> None:
    with pytest.raises(ToolError, match="is no address"):
        await call("create_draft", to=[address], subject="x", body_markdown="x")


async def test_a_subject_cannot_begin_another_header(box: Mailbox, call: Call) -> None:
    with pytest.raises(ToolError, match="line end"):
        await call("create_draft", subject="x\r\nBcc: evil@example.org", body_markdown="x")

    assert box.draft_mails() == []


async def test_a_changed_draft_keeps_what_was_not_given(box: Mailbox, call: Call) -> None:
    stored = await mcp.files.save("a.bin", bytes(range(256)))
    draft = await call(
        "create_draft",
        to=["bo@example.org"],
        bcc=["dee@example.org"],
        subject="Plan",
        body_markdown="Old",
        attachment_ids=[stored.attachment_id],
    )

    changed = await call(
        "update_draft",
        draft_id=draft["draft_id"],
        version=draft["version"],
        bcc=[],
        body_markdown="New",
    )
    renamed = await call(
        "update_draft", draft_id=draft["draft_id"], version=changed["version"], subject="Pläne"
    )

    message = parsed(box.draft_mails()[0])
    body, html = message.get_body(("plain",)), message.get_body(("html",))
    assert body is not None
    assert html is not None
    assert body.get_content().strip() == "New"
    assert "New" in html.get_content()
    assert [file.get_content() for file in message.iter_attachments()] == [bytes(range(256))]
    assert (message["To"], message["Bcc"], message["Subject"]) == ("bo@example.org", None, "Pläne")
    assert len({draft["version"], changed["version"], renamed["version"]}) == 3
    assert draft["draft_id"] == changed["draft_id"]


async def test_a_draft_that_was_changed_elsewhere_is_neither_changed_nor_thrown_away(
    box: Mailbox, call: Call
) -> None:
    draft = await call("create_draft", to=["bo@example.org"], subject="x", body_markdown="x")
    await call(
        "update_draft",
        draft_id=draft["draft_id"],
        version=draft["version"],
        body_markdown="mine",
    )

    for tool in ("update_draft", "discard_draft"):
        with pytest.raises(ToolError, match="was changed since that version"):
            await call(tool, draft_id=draft["draft_id"], version=draft["version"])

    assert "mine" in box.draft_mails()[0].text


async def test_a_mail_is_sent_once_as_the_owner_saw_it(
    google: FakeGoogle, call: Call, person: Person
) -> None:
    draft = await call(
        "create_draft",
        to=["bo@example.org"],
        bcc=["dee@example.org"],
        subject="Plan",
        body_markdown="Thursday it is.",
    )

    sent = await call("send_draft", **sending(draft))

    assert [(one.subject, sorted(one.recipients)) for one in google.sent] == [
        ("Plan", ["bo@example.org", "dee@example.org"])
    ]
    assert b"dee@" not in google.sent[0].raw
    assert sent["recipients"] == ["bo@example.org", "dee@example.org"]
    assert (sent["message_id"], sent["notes"]) == (google.sent[0].id, [])
    [question] = person.asked
    for fact in ("To: bo@example.org", "Bcc: dee@example.org", "Subject: Plan", "Thursday it is."):
        assert fact in question


async def test_a_mail_that_is_not_approved_is_not_sent(
    google: FakeGoogle, call: Call, person: Person
) -> None:
    draft = await call("create_draft", to=["bo@example.org"], subject="x", body_markdown="x")
    person.agrees = False

    with pytest.raises(ToolError):
        await call("send_draft", **sending(draft))

    assert google.sent == []


@pytest.mark.parametrize(
    "other",
    [
        {"version": "0123456789abcdef"},
        {"recipients": ["bo@example.org"]},
        {"recipients": ["bo@example.org", "cy@example.org", "evil@example.org"]},
        {"subject": "Another"},
    ],
)
async def test_a_draft_that_is_not_what_was_approved_is_not_sent(
    google: FakeGoogle, call: Call, other: dict[str, Any]
) -> None:
    draft = await call(
        "create_draft", to=["bo@example.org", "cy@example.org"], subject="x", body_markdown="x"
    )

    with pytest.raises(ToolError):
        await call("send_draft", **{**sending(draft), **other})

    assert google.sent == []


async def test_a_mail_whose_answer_was_lost_is_found_and_not_sent_again(
    google: FakeGoogle, call: Call
) -> None:
    draft = await call("create_draft", to=["bo@example.org"], subject="x", body_markdown="x")
    google.faults.next("gmail.users.drafts.send", cut=True, acted=True)

    sent = await call("send_draft", **sending(draft))

    assert [one.id for one in google.sent] == [sent["message_id"]]
    assert google.count("gmail.users.drafts.send") == 1
    assert "found among those sent" in sent["notes"][0]


async def test_a_send_that_nobody_knows_the_end_of_is_said_to_be_unknown(
    google: FakeGoogle, client: Client[Any], call: Call
) -> None:
    draft = await call("create_draft", to=["bo@example.org"], subject="x", body_markdown="x")
    google.faults.next("gmail.users.drafts.send", cut=True)

    result = await client.call_tool("send_draft", sending(draft), raise_on_error=False)

    assert (result.structured_content or {})["error"]["code"] == "outcome_unknown"
    assert google.count("gmail.users.drafts.send") == 1
    assert google.sent == []


async def test_a_draft_whose_answer_was_lost_is_found_by_its_own_id(
    google: FakeGoogle, box: Mailbox, call: Call
) -> None:
    google.faults.next("gmail.users.drafts.create", cut=True, acted=True)

    draft = await call("create_draft", to=["bo@example.org"], subject="x", body_markdown="x")

    assert list(box.drafts) == [draft["draft_id"]]


async def test_a_draft_that_is_written_is_never_told_to_have_failed(
    google: FakeGoogle, box: Mailbox, call: Call
) -> None:
    google.faults.next("gmail.users.drafts.get", status=404)

    draft = await call("create_draft", to=["bo@example.org"], subject="x", body_markdown="x")

    assert (draft["draft_id"], draft["version"]) == (next(iter(box.drafts)), None)
    assert "is written, but could not be read again" in draft["notes"][0]


async def test_writing_a_draft_can_be_undone(box: Mailbox, undo: Any) -> None:
    gone = await undo("create_draft", {"to": ["bo@example.org"], "body_markdown": "x"})

    assert gone["is_gone_for_good"]
    assert box.draft_mails() == []


async def test_drafts_are_listed_and_read(box: Mailbox, call: Call) -> None:
    for i in range(3):
        await call("create_draft", to=["bo@example.org"], subject=f"n{i}", body_markdown=f"t{i}")

    first = await call("list_drafts", limit=2)
    rest = await call("list_drafts", limit=2, cursor=first["next_cursor"])
    draft = await call("get_draft", draft_id=rest["items"][0]["draft_id"])

    rows = first["items"] + rest["items"]
    assert {row["untrusted_subject"] for row in rows} == {"n0", "n1", "n2"}
    assert draft["untrusted_body"] == "t" + rest["items"][0]["untrusted_subject"][1:]


async def test_files_that_are_too_much_for_a_mail_are_refused_before_they_are_read(
    box: Mailbox, call: Call
) -> None:
    large = await mcp.files.save("large.bin", bytes(26 * 1024 * 1024))

    with pytest.raises(ToolError, match="Gmail sends 26,214,400 at most"):
        await call(
            "create_draft", to=["a@b.org"], body_markdown="x", attachment_ids=[large.attachment_id]
        )

    assert box.draft_mails() == []


async def test_a_large_file_goes_out_whole(google: FakeGoogle, call: Call) -> None:
    content = bytes(range(256)) * 4096 * 6
    stored = await mcp.files.save("film.bin", content)
    draft = await call(
        "create_draft",
        to=["a@b.org"],
        subject="x",
        body_markdown="x",
        attachment_ids=[stored.attachment_id],
    )

    await call("send_draft", **sending(draft))

    assert google.sent[0].files == [("film.bin", content)]
    assert len(json.dumps(draft)) < 32_000
