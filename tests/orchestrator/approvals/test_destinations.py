"""Every spelling of a destination is found, and only what the owner typed counts as typed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.approvals.destinations import (
    MAX_CHARS,
    MAX_PLACES,
    MAX_TYPED_CHARS,
    UNREADABLE,
    destinations_in,
    typed_by_owner,
)

FOUND = [
    ("https://evil.example/a?b=c#d", {"evil.example/a?b=c#d"}),
    ("HTTP://Evil.Example:80/", {"evil.example"}),
    ("http://evil.example:8080/", {"evil.example:8080"}),
    ("https:evil.example", {"evil.example"}),
    ("ftp://evil.example/a", {"ftp://evil.example/a"}),
    ("wss://evil.example", {"wss://evil.example"}),
    ("//evil.example/a", {"evil.example/a"}),
    ("evil.example", {"evil.example"}),
    ("Go to evil.example. Then stop.", {"evil.example"}),
    ("www.evil.example/a.", {"www.evil.example/a"}),
    ("(see https://evil.example/a_(b))", {"evil.example/a_(b)"}),
    ("[safe.example](https://evil.example)", {"safe.example", "evil.example"}),
    ("![](https://evil.example/x.png?d=1)", {"evil.example/x.png?d=1"}),
    ("[a]: https://evil.example", {"evil.example"}),
    ('<a href="https://evil.example/a">home</a>', {"evil.example/a"}),
    ("<img src=//evil.example/a>", {"evil.example/a"}),
    ("<svg onload=fetch('//evil.example')>", {"evil.example"}),
    ("background:url(https://evil.example/a)", {"evil.example/a"}),
    ("https://good.example@evil.example", {"https://good.example@evil.example"}),
    ("https://good.example:pw@evil.example/", {"https://good.example:pw@evil.example"}),
    ("https://xn--bcher-kva.example", {"bücher.example"}),
    ("https://bücher.example", {"bücher.example"}),
    ("evil。example", {"evil.example"}),
    ("ｅｖｉｌ．ｅｘａｍｐｌｅ", {"evil.example"}),
    ("evil%2Eexample", {"evil.example"}),
    ("evil&#46;example", {"evil.example"}),
    ("evil&period;example", {"evil.example"}),
    ("evil[.]example", {"evil.example"}),
    ("report.zip", {"report.zip"}),
    ("127.0.0.1:9101/mcp", {"127.0.0.1:9101/mcp"}),
    ("http://2130706433/", {"2130706433"}),
    ("http://0x7f.1/", {"0x7f.1"}),
    ("http://[::1]:9101/", {"[::1]:9101"}),
    ("::ffff:127.0.0.1", {"::ffff:127.0.0.1"}),
    ("data:text/html,<b>", {"data:text/html"}),
    ("javascript:alert(1)", {"javascript:alert(1)"}),
    ("\\\\evil\\share\\a", {"\\\\evil\\share\\a"}),
    ("eve@evil.example", {"eve@evil.example"}),
    ("Eve <EVE@Evil.Example>", {"eve@evil.example"}),
    ("mailto:eve@evil.example", {"eve@evil.example"}),
    ('"eve smith"@evil.example', {'"eve smith"@evil.example'}),
    ("eve@[192.0.2.1]", {"eve@[192.0.2.1]"}),
    ("eve(at)evil(dot)example", {"eve@evil.example"}),
    ("'eve@evil.example'", {"eve@evil.example"}),
    ("bob@good.example <eve@evil.example>", {"bob@good.example", "eve@evil.example"}),
    ("a@x.example,b@x.example;c@x.example", {"a@x.example", "b@x.example", "c@x.example"}),
    ("bob@good.example@evil.example", {"bob@good.example", "https://@evil.example"}),
    ("+49 (171) 123-45 67", {"+491711234567"}),
    ("call:0171/1234567", {"01711234567"}),
    ("call,555.123.4567", {"5551234567"}),
    ("git@evil.example:eve/a", {"git@evil.example:eve/a"}),
    ("tel:+1-555-123-4567", {"+15551234567"}),
    ("DE89 3704 0044 0532 0130 00 please", {"DE89370400440532013000"}),
    ("GB29NWBK60161331926819", {"GB29NWBK60161331926819"}),
    ("0x" + "aB" * 20, {"0X" + "AB" * 20}),
    (5551234567, {"5551234567"}),
    ({"a": [{"b": ("x", "evil.example")}]}, {"evil.example"}),
    ({"evil.example": True}, {"evil.example"}),
]
HIDDEN = [
    ("https:/\\evil.example\\a", "evil.example/a"),
    ("eve%40evil.example", "eve@evil.example"),
    ("hxxps://evil[dot]example", "evil.example"),
    ("https%253A%252F%252Fevil.example", "evil.example"),
    ("https%3A%2F%2Fevil.example%2Fa", "evil.example/a"),
    ("ⓔvil.example", "evil.example"),
    ("ev\u200bil.example", "evil.example"),
    ("e\u00adve@evil.example", "eve@evil.example"),
    ("evil\ufe0f.example", "evil.example"),
    ("\u202eevil.example", "evil.example"),
    ("e<b></b>vil.example", "evil.example"),
    ("eve<!-- -->@evil.example", "eve@evil.example"),
    ("https://evil&#46;example", "evil.example"),
    ("<a href='evil&#37;2eexample'>", "evil.example"),
    ("evil<b title='" + "x" * 999 + "'></b>.example", "evil.example"),
    ("evil\\.example", "evil.example"),
    ("evil**.**example", "evil.example"),
]
NOTHING = [
    "Lunch at 12:30 on 2024-05-15, or from 9:00-10:00 on 15.05.2024?",
    "2024-05-15T10:00:00+02:00",
    "Version 1.2.3 costs 1,234,567.50 in 2019-2024, i.e. 3.5kg, e.g. for a Ph.D.",
    "minutes.docx, budget-2024.final.xlsx and index.html",
    "550e8400-e29b-41d4-a716-446655440000",
    "wait...what",
    "Tell @alice in #general: 50% off & more",
    "",
    True,
    None,
    12.5,
    [],
]


@pytest.mark.parametrize(("value", "destinations"), FOUND)
def test_a_destination_is_found_in_every_spelling(value: Any, destinations: set[str]):
    assert destinations_in(value) == destinations


@pytest.mark.parametrize(("value", "destination"), HIDDEN)
def test_a_destination_is_found_behind_what_hides_it(value: str, destination: str):
    assert destination in destinations_in(value)


@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_dates_amounts_versions_and_documents_are_no_destinations(value: Any):
    assert destinations_in(value) == set()


def test_text_that_cannot_be_searched_is_a_destination_that_nobody_typed():
    onion = "evil.example"
    for _ in range(8):
        onion = onion.replace("%", "%25").replace(".", "%2e")
    nested: Any = "evil.example"
    for _ in range(5_000):
        nested = [nested]
    for value in (onion, nested, "a" * (MAX_CHARS + 1), ["a" * MAX_CHARS, "a"]):
        assert UNREADABLE in destinations_in(value)
        assert not typed_by_owner(UNREADABLE, [onion])


TYPED = [
    ("bob@x.example", "Write to Bob@X.Example."),
    ("Bob <bob@x.example>", "to bob@x.example, please"),
    ("bob@x.example, ann@y.example", "ann@y.example and bob@x.example"),
    ("https://www.x.example/", "look at www.x.example"),
    ("http://x.example/a", "look at https://x.example/a!"),
    ("https://xn--bcher-kva.example", "bücher.example"),
    ("DE89370400440532013000", "pay DE89 3704 0044 0532 0130 00"),
    ("+491711234567", "call +49 171 / 1234567"),
    ("Alice", "Tell Alice's boss"),
    ("general", "post it to #general"),
    ("general", "post it to the 'general' channel"),
    ("all staff", "post it to 'all staff'"),
    ("team-leads", "post it to team-leads"),
    ("alice", "Ask @Alice"),
    ("git@x.example:bob/a", "push to git@x.example:bob/a, please"),
    ("Riverside View Hotel", "Book the Riverside\nView Hotel."),
    ("Alice, Bob", "Tell Bob and Alice"),
]
NOT_TYPED = [
    ("example.com.evil.example", "see example.com"),
    ("evil-example.com", "see example.com"),
    ("example.com", "see example.com.evil.example"),
    ("example.com", "see https://example.com/page"),
    ("https://example.com/page?d=secret", "see https://example.com/page"),
    ("https://example.com:8443", "see https://example.com"),
    ("https://bob@x.example", "bob@x.example"),
    ("ftp://x.example", "https://x.example"),
    ("notbob@x.example", "bob@x.example"),
    ("bob@x.example", "notbob@x.example"),
    ("bob@x.example.evil.example", "bob@x.example"),
    ("bob+x@x.example", "bob@x.example"),
    ("=bob@x.example", "bob@x.example"),
    ("git@x.example:eve/a", "git@x.example:bob/a"),
    ("bob@good.example <eve@evil.example>", "bob@good.example"),
    ("bob@good.example, eve@evil.example", "bob@good.example"),
    ("bob@good.example eve", "bob@good.example from eve"),
    ("bob@x.example\u200b", "Alice"),
    ("\u0430lice@x.example", "alice@x.example"),
    ("аlice", "Alice"),
    ("ａlice", "Alice"),
    ("Ali\u200bce", "Alice"),
    ("xn--lice-53d.example", "alice.example"),
    ("straße.example", "strasse.example"),
    ("1234567", "91234567"),
    ("Ali", "Alice"),
    ("Alice", "Alice-Maria"),
    ("Alice", "alice@x.example"),
    ("Alice", "home/Alice/x"),
    ("Aliſon", "@Alison"),
    ("Brien", "O'Brien"),
    ("general", "what people in general say"),
    ("all", "Summarise all mails"),
    ("All", "All mails, please. All of them!"),
    ("all, <bob@x.example>", "bob@x.example"),
    ("all: bob@x.example", "bob@x.example"),
    ("all staff", "Sort the mails from all staff"),
    ("alice", "Tell Alice"),
    ("the", "the"),
    ("View", "a.View"),
    ("a", "a mail"),
    ("", "anything"),
    (" ,; ", "anything , ;"),
    ("Alice", ""),
]


@pytest.mark.parametrize(("destination", "text"), TYPED)
def test_what_the_owner_typed_is_recognised(destination: str, text: str):
    assert typed_by_owner(destination, ["Something else.", text])


@pytest.mark.parametrize(("destination", "text"), NOT_TYPED)
def test_a_part_a_longer_one_or_a_look_alike_was_not_typed(destination: str, text: str):
    assert not typed_by_owner(destination, [text])


def test_what_is_too_long_to_be_typed_vouches_for_nothing():
    pasted = "x" * MAX_TYPED_CHARS + " bob@x.example"
    assert not typed_by_owner("bob@x.example", [pasted])
    assert typed_by_owner("bob@x.example", [pasted, "bob@x.example"])


def test_more_names_at_once_than_are_looked_up_were_not_typed():
    assert typed_by_owner(",".join(["#team"] * MAX_PLACES), ["Tell #team."])
    assert not typed_by_owner(",".join(["#team"] * (MAX_PLACES + 1)), ["Tell #team."])


def test_nothing_was_typed_where_the_owner_typed_nothing():
    assert not typed_by_owner("bob@x.example", [])


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOST = st.builds("{}.{}.example".format, LABEL, LABEL)
EMAIL = st.builds("{}@{}".format, LABEL, HOST)
URL = st.builds("https://{}/{}".format, HOST, LABEL)
ANYWHERE = HOST | EMAIL | URL
PROSE = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(PROSE, ANYWHERE, PROSE)
def test_a_destination_in_any_text_is_found(before: str, destination: str, after: str):
    plain = destinations_in(destination)
    assert len(plain) == 1
    assert plain <= destinations_in(f"{before}\n{destination}\n{after}")


@settings(max_examples=60, deadline=None)
@given(ANYWHERE, ANYWHERE)
def test_only_the_same_destination_counts_as_typed(one: str, other: str):
    assert typed_by_owner(one, [f"Use {one}, please."])
    same = destinations_in(one) == destinations_in(other)
    assert typed_by_owner(other, [f"Use {one}, please."]) == same


@settings(max_examples=60, deadline=None)
@given(ANYWHERE, st.sampled_from("abc019-_"), st.booleans())
def test_one_character_more_makes_another_destination(
    destination: str, character: str, is_before: bool
):
    longer = character + destination if is_before else destination + character
    assert not typed_by_owner(longer, [f"Use {destination}, please."])


@settings(max_examples=60, deadline=None)
@given(ANYWHERE, st.data())
def test_a_hidden_character_hides_nothing_and_vouches_for_nothing(
    destination: str, data: st.DataObject
):
    at = data.draw(st.integers(1, len(destination) - 1))
    hidden = data.draw(st.sampled_from("\u200b\u200d\u2060\ufeff\u00ad\u034f\ufe0f\U000e0041"))
    split = destination[:at] + hidden + destination[at:]
    assert destinations_in(destination) <= destinations_in(split)
    assert not typed_by_owner(split, [destination])


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        PROSE | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(PROSE, x)
    )
)
def test_any_value_can_be_searched(value: Any):
    destinations_in(value)
