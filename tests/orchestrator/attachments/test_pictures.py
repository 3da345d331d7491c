"""How large a picture is, as it is shown."""

import io

import pytest
from PIL import Image, ImageOps

from orchestrator.attachments.pictures import Picture, picture_in
from tests.fakes import documents


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (documents.png(400, 300), "image/png"),
        (documents.jpeg(400, 300), "image/jpeg"),
        (documents.jpeg(400, 300, metadata=120_000), "image/jpeg"),
        (documents.gif(400, 300), "image/gif"),
        *((documents.webp(kind, 400, 300), "image/webp") for kind in ("VP8X", "VP8L", "VP8 ")),
    ],
)
def test_width_comes_before_height(content: bytes, mime: str) -> None:
    assert picture_in(content) == Picture(mime, 400, 300)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_photograph_on_its_side_is_as_wide_as_it_is_shown(orientation: int, order: str) -> None:
    held = documents.exif(orientation, "<" if order == "<" else ">")
    found = picture_in(documents.jpeg(400, 300, held=held))
    shown = (300, 400) if orientation in {5, 6, 7, 8} else (400, 300)
    assert found == Picture("image/jpeg", *shown)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_another_reader_sees_the_same_size(orientation: int) -> None:
    photograph = Image.new("RGB", (40, 30))
    marks = photograph.getexif()
    marks[0x010F], marks[0x0112], marks[0x0132] = "Maker", orientation, "2026:11:20 10:00:00"
    file = io.BytesIO()
    photograph.save(file, "JPEG", exif=marks)
    shown = ImageOps.exif_transpose(Image.open(file))
    assert picture_in(file.getvalue()) == Picture("image/jpeg", *shown.size)


def test_a_broken_block_of_exif_turns_nothing() -> None:
    whole = documents.exif(6)
    for end in range(len(whole)):
        broken = whole[:end]
        assert picture_in(documents.jpeg(400, 300, held=broken)) in (
            Picture("image/jpeg", 400, 300),
            Picture("image/jpeg", 300, 400),
        )
    for offset in (b"\xff" * 4, bytes(4)):
        held = whole[:10] + offset + whole[14:]
        assert picture_in(documents.jpeg(400, 300, held=held)) == Picture("image/jpeg", 400, 300)
