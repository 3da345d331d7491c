"""Mail as programs really write it: nested, misnamed, in the wrong charset, with mails inside."""

import base64
from email.header import Header

import pytest

from servers.gmail import parts, texts
from servers.gmail.addresses import addresses_in
from servers.gmail.compose import Answered, references, reply_subject
from tests.fakes.google.mailbox import Mailbox
from tests.servers.gmail.conftest import Call

HEAD = b"From: bo@example.org\r\nTo: anna@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


def multipart(kind: str, *inner: bytes, mark: str = "b") -> bytes:
    joined = b"".join(b"--" + mark.encode() + b"\r\n" + part + b"\r\n" for part in inner)
    head = f'Content-Type: multipart/{kind}; boundary="{mark}"\r\n\r\n'.encode()
    return head + joined + b"--" + mark.encode() + b"--\r\n"


def part(kind: str, content: bytes, *, head: str = "") -> bytes:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    lines = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n{head}\r\n"
    return lines.encode() + encoded


async def test_the_text_of_a_nested_mail_is_found_and_its_files_are_told_apart(
    box: Mailbox, call: Call
) -> None:
    alternative = multipart(
        "alternative",
        part("text/plain", "Grüße".encode("latin-1")).replace(
            b"text/plain", b"text/plain; charset=iso-8859-1"
        ),
        multipart("related", part("text/html", b"<p>no</p>"), part("image/png", b"png"), mark="r"),
        mark="a",
    )
    attached = part("application/pdf", b"1", head="Content-Disposition: attachment\r\n")
    signature = part("application/pkcs7-signature", b"2")
    mail = box.receive_raw(
        HEAD + multipart("signed", multipart("mixed", alternative, attached, mark="m"), signature)
    )

    read = await call("get_message", message_id=mail.id)

    assert read["untrusted_body"] == "Grüße"
    assert [(one["part_id"], one["mime"]) for one in read["attachments"]] == [
        ("0.0.1.1", "image/png"),
        ("0.1", "application/pdf"),
        ("1", "application/pkcs7-signature"),
    ]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="plain.pdf"', "plain.pdf"),
        ('attachment; filename="=?utf-8?q?Gr=C3=B6=C3=9Fe.pdf?="', "Größe.pdf"),
        ('attachment; filename="=?iso-8859-1?b?R3L232UucGRm?="', "Größe.pdf"),
        ("attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe%20%E2%82%AC.pdf", "Größe €.pdf"),
        ("attachment; filename*0*=utf-8''Gr%C3%B6; filename*1=\"sse.pdf\"", "Grösse.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\x.txt"', "x.txt"),
        ("attachment; filename*=utf-8''invoice%E2%80%AEfdp.exe", "invoicefdp.exe"),
        ("attachment", "attachment"),
    ],
)
async def test_names_of_files_are_read_in_each_form(
    box: Mailbox, call: Call, disposition: str, name: str
) -> None:
    file = part("application/pdf", b"1", head=f"Content-Disposition: {disposition}\r\n")
    mail = box.receive_raw(HEAD + multipart("mixed", part("text/plain", b"x"), file))

    read = await call("get_message", message_id=mail.id)

    assert [one["untrusted_name"] for one in read["attachments"]] == [name]


async def test_a_mail_within_a_mail_is_a_file_and_not_the_text(box: Mailbox, call: Call) -> None:
    inner = HEAD + multipart(
        "mixed",
        part("text/plain", b"inner text"),
        part("image/png", b"i", head='Content-Disposition: attachment; filename="i.png"\r\n'),
        mark="i",
    )
    enclosed = b"Content-Type: message/rfc822\r\n\r\n" + inner
    mail = box.receive_raw(HEAD + multipart("mixed", part("text/html", b"<p>outer"), enclosed))

    read = await call("get_message", message_id=mail.id)

    assert read["untrusted_body"] == "outer"
    assert [one["untrusted_name"] for one in read["attachments"]] == ["mail.eml", "i.png"]


async def test_a_mail_without_text_says_so(box: Mailbox, call: Call) -> None:
    mail = box.receive_raw(HEAD + part("application/pdf", b"1"))

    read = await call("get_message", message_id=mail.id)

    assert (read["untrusted_body"], read["notes"]) == ("", ["This mail has no text."])
    assert read["attachments"][0]["untrusted_name"] == "attachment"


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        ("Grüße".encode(), "utf-8", "Grüße"),
        ("Grüße".encode(), "iso-8859-1", "Grüße"),  # converted, the header was left
        ("Grüße".encode(), "us-ascii", "Grüße"),
        ("Grüße".encode(), None, "Grüße"),
        ("Grüße".encode("latin-1"), "utf-8", "Grüße"),
        ("“Grüße”".encode("cp1252"), "x-unknown", "“Grüße”"),
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", "日本"),
        ("日本".encode("shift-jis"), '"Shift_JIS"', "日本"),
        (b"+ADw-script+AD4-", "utf-7", "+ADw-script+AD4-"),
        (b"abc", "base64", "abc"),
        (b"abc", "../x\x00", "abc"),
        (b"\x81\x8d\xff", "utf-8", "\ufffd\ufffd\ufffd"),
    ],
)
def test_text_is_read_whatever_the_charset_says(
    content: bytes, charset: str | None, text: str
) -> None:
    assert texts.decoded(content, charset) == text


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (Header("Grüße aus Köln", "utf-8").encode(), "Grüße aus Köln"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?iso-8859-1?q?Gr=FC=DFe?= Bo", "Grüße Bo"),
        ("=?x-none?q?abc?=", "=?x-none?q?abc?="),
        ("=?utf-8?b?broken!?=", "=?utf-8?b?broken!?="),
        ("two\r\n lines\u202e\u200b", "two lines"),
    ],
)
def test_headers_are_read_on_one_line(header: str, text: str) -> None:
    assert texts.header_text(header) == text


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes.\n\nOn 3 May 2026, Bo <b@c.de> wrote:\n> no\n> no", "Yes."),
        ("Ja.\n\nAm 3. Mai 2026 um 10:00\nschrieb Bo <b@c.de>:\n\n> nein", "Ja."),
        ("Yes.\n> why?\nBecause.", "Yes.\nBecause."),
        ("Yes.\n\n-----Original Message-----\nFrom: Bo\nSent: May\nSubject: x\n\nold", "Yes."),
        ("Ja\n________________\nVon: Bo\nGesendet: Mai\nBetreff: x\n\nalt", "Ja"),
        ("> only\n> quoted", "> only\n> quoted"),
        ("On Monday we wrote:\nthe plan", "On Monday we wrote:\nthe plan"),
        ("a\n---\nb", "a\n---\nb"),
        ("From: here to there\nis far", "From: here to there\nis far"),
    ],
)
def test_quoted_mails_are_left_out_and_nothing_else(text: str, own: str) -> None:
    assert texts.without_quotes(text) == own


def test_addresses_are_read_from_what_programs_write() -> None:
    header = '"Doe, Anna" <anna@example.org>, bo@example.org, Group: cy@example.org;, broken <'

    found = addresses_in(header)

    assert [(one.untrusted_name, one.address) for one in found][:2] == [
        ("Doe, Anna", "anna@example.org"),
        ("", "bo@example.org"),
    ]


def test_a_tree_without_end_is_walked_without_recursion() -> None:
    payload: dict[str, object] = {"mimeType": "text/plain", "partId": "last"}
    for _ in range(20_000):
        payload = {"mimeType": "multipart/mixed", "parts": [payload]}

    assert len(parts.parts_of({"payload": payload})) == parts.MAX_PARTS


def test_references_of_a_long_thread_keep_the_first_and_the_last() -> None:
    ids = [f"<{i}@x>" for i in range(60)]

    kept = references(Answered("t", "<60@x>", " ".join(ids), "x")).split()

    assert (kept[0], kept[-1], len(kept)) == ("<0@x>", "<60@x>", 20)


@pytest.mark.parametrize(
    ("subject", "answer"), [("Plan", "Re: Plan"), ("RE: Plan", "RE: Plan"), ("", "Re:")]
)
def test_the_subject_of_an_answer_is_marked_once(subject: str, answer: str) -> None:
    assert reply_subject(subject) == answer
