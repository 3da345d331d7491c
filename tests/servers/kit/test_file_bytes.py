"""Tools take and return ids of files, not files."""

import base64
import hashlib
import json
import random
import time

import pytest
from fastmcp.tools import ToolResult
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)

from servers.kit.errors import InvalidInput, TooLarge
from servers.kit.output import MAX_FILE_BYTES, check_arguments, check_result

SENTENCE = "save them in the file store of its server and return the attachment_id"


def encoded(size_bytes: int) -> str:
    return base64.b64encode(random.Random(6).randbytes(size_bytes)).decode()


def image(size_bytes: int) -> ImageContent:
    return ImageContent(type="image", data=encoded(size_bytes), mime_type="image/png")


def audio(size_bytes: int) -> AudioContent:
    return AudioContent(type="audio", data=encoded(size_bytes), mime_type="audio/wav")


def blob(size_bytes: int) -> EmbeddedResource:
    contents = BlobResourceContents(uri="file:///x", blob=encoded(size_bytes))
    return EmbeddedResource(type="resource", resource=contents)


@pytest.mark.parametrize("make", [image, audio, blob])
def test_media_over_4_kb_is_refused_and_a_small_one_passes(
    make: type[ContentBlock],
) -> None:
    check_result(ToolResult(content=[make(3_900)]))

    with pytest.raises(TooLarge, match=SENTENCE):
        check_result(ToolResult(content=[make(MAX_FILE_BYTES + 3)]))
    with pytest.raises(TooLarge, match=SENTENCE):
        check_result(ToolResult(content=[make(40_000)]))


def test_several_small_pictures_count_together() -> None:
    with pytest.raises(TooLarge, match=SENTENCE):
        check_result(ToolResult(content=[image(2_000), image(2_000), image(2_000)]))


@pytest.mark.parametrize(
    "text",
    [
        encoded(MAX_FILE_BYTES + 3),
        base64.urlsafe_b64encode(base64.b64decode(encoded(8_000))).decode(),
        base64.encodebytes(base64.b64decode(encoded(8_000))).decode(),
        f"data:image/png;base64,{encoded(8_000)}",
        f"Here it is: {encoded(8_000)} That was it.",
    ],
)
def test_base64_in_texts_is_refused(text: str) -> None:
    for result in (
        ToolResult(content=[TextContent(type="text", text=text)]),
        ToolResult(structured_content={"items": [{"content": text}]}),
    ):
        with pytest.raises(TooLarge, match=SENTENCE):
            check_result(result)
    with pytest.raises(InvalidInput, match="Tools take the attachment_id of a stored file"):
        check_arguments({"items": [{"content": text}]})


@pytest.mark.parametrize(
    "text",
    [
        encoded(4_000),
        "9" * 20_000,
        "The quick brown fox. " * 1_000,
        "\n".join(f"https://example.org/Things/{number:08}" for number in range(600)),
        "\n".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(256)),
        json.dumps([{"id": f"Item_{number:012}", "size": number} for number in range(500)]),
        "Größe" * 2_000,
    ],
)
def test_what_is_no_file_passes(text: str) -> None:
    check_result(ToolResult(content=[TextContent(type="text", text=text)]))
    check_arguments({"text": text})


@pytest.mark.parametrize(
    "text", ["Ab1" * 1_800 + " ", ("Ab" * 37 + "\n") * 70 + "\n", "A" * 77 + "\n"]
)
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    began_s = time.process_time()
    check_arguments({"text": text * (1_000_000 // len(text))})

    assert time.process_time() - began_s < 1


def test_there_may_be_no_arguments() -> None:
    check_arguments(None)
    check_arguments({})
