"""Paging, cut texts and flat schemas."""

import pytest
from pydantic import BaseModel, TypeAdapter

from servers.kit.errors import InvalidInput
from servers.kit.output import text_part
from servers.kit.paging import Page, decode_cursor, encode_cursor
from servers.kit.schemas import inlined


class Position(BaseModel):
    start: int
    label: str


class Leaf(BaseModel):
    """A leaf."""

    size: int


class Branch(BaseModel):
    first: Leaf
    others: list[Leaf]


class Tree(BaseModel):
    children: list["Tree"]


def test_a_cursor_gives_back_what_went_in() -> None:
    position = Position(start=40, label="Größe / 100 %")

    assert decode_cursor(encode_cursor(position), Position) == position


def test_a_cursor_is_safe_in_a_url() -> None:
    assert (
        encode_cursor(Position(start=1, label="?&/+~")).replace("-", "").replace("_", "").isalnum()
    )


@pytest.mark.parametrize("cursor", ["", "abc", "!!", "ü", encode_cursor(Leaf(size=1)), "e30"])
def test_a_cursor_of_another_kind_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="leave it out to start again"):
        decode_cursor(cursor, Position)


def test_the_last_page_has_no_cursor() -> None:
    assert Page[int](items=[1]).model_dump() == {
        "items": [1],
        "next_cursor": None,
        "truncated": False,
    }


def test_a_long_text_comes_in_pieces_that_join_to_the_whole() -> None:
    text = "".join(chr(97 + number % 26) for number in range(20_500))
    first = text_part(text)
    second = text_part(text, first.next_offset or 0)
    third = text_part(text, second.next_offset or 0)

    assert first.text + second.text + third.text == text
    assert [part.truncated for part in (first, second, third)] == [True, True, False]
    assert third.next_offset is None
    assert third.total_chars == 20_500


def test_a_piece_is_never_longer_than_8000_characters() -> None:
    assert len(text_part("x" * 9_000, max_chars=9_000).text) == 8_000
    assert text_part("x" * 9_000, max_chars=10).next_offset == 10


@pytest.mark.parametrize("offset", [-1, 10])
def test_an_offset_outside_the_text_is_refused(offset: int) -> None:
    with pytest.raises(InvalidInput, match="use 0 to 9"):
        text_part("x" * 9, offset)


def test_definitions_take_the_place_of_their_references() -> None:
    leaf = {
        "description": "A leaf.",
        "properties": {"size": {"title": "Size", "type": "integer"}},
        "required": ["size"],
        "title": "Leaf",
        "type": "object",
    }

    assert inlined(TypeAdapter(Branch).json_schema())["properties"] == {
        "first": leaf,
        "others": {"items": leaf, "title": "Others", "type": "array"},
    }


def test_words_beside_a_reference_win() -> None:
    schema = {"$defs": {"A": {"title": "A", "type": "string"}}, "$ref": "#/$defs/A", "title": "B"}

    assert inlined(schema) == {"title": "B", "type": "string"}


def test_a_property_named_like_a_keyword_is_kept() -> None:
    schema = {"properties": {"$defs": {"type": "string"}, "discriminator": {"type": "string"}}}

    assert inlined(schema) == schema


def test_a_schema_that_contains_itself_is_refused() -> None:
    with pytest.raises(TypeError, match="contains itself"):
        inlined(TypeAdapter(Tree).json_schema())
