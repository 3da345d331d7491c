"""A server keeps the files of its tools with the real orchestrator, and finds them there again."""

import hashlib
from collections.abc import Iterator

import httpx2
import pytest

from servers.kit.files.local import files_folder
from servers.kit.orchestrator import api_token_file
from tests.fakes.files_server import NAME
from tests.installation import Installation, free_port, practice_model, running
from tests.servers.kit.files_process import called, kept_in, refusal, running_files
from tests.servers.kit.process import ServerProcess

MEGABYTES = 20
LIMIT_BYTES = MEGABYTES << 20


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, ServerProcess]]:
    """The orchestrator, and the files server that belongs to it."""
    folder = tmp_path_factory.mktemp("house")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    data_dir = folder / "data"
    data_dir.mkdir()
    with (
        running_files(data_dir, {"FLOTILLA_ORCHESTRATOR_URL": url}) as server,
        practice_model("--pace-ms", "0") as model_url,
    ):
        config = {
            "id": NAME, "title": "Files", "url": server.url, "token_file": f"tokens/{NAME}",
            "trust": "fleet", "call_timeout_s": 20,
        }  # fmt: skip
        more = {"ATTACHMENTS_MAX_SIZE_BYTES": str(LIMIT_BYTES)}
        installation = Installation(folder, model_url, servers=[config], port=port, more=more)
        with running(installation):
            yield installation, server


async def test_a_file_of_a_tool_is_an_attachment_of_the_owner(
    house: tuple[Installation, ServerProcess],
) -> None:
    installation, server = house
    async with server.client() as client:
        kept = await called(client, "save_text", name='../"Größe" 100%25.txt', text="0123456789")
        whole = await called(client, "fetch_file", attachment_id=kept["attachment_id"])
        part = await called(client, "fetch_file", attachment_id=kept["attachment_id"], start=7)
        end = await called(client, "fetch_file", attachment_id=kept["attachment_id"], start=10)
        copy = await called(client, "copy_file", attachment_id=kept["attachment_id"], name="b.txt")
    path = f"{installation.url}/api/attachments/{kept['attachment_id']}"
    with httpx2.Client(trust_env=False, headers=installation.bearer) as owner:
        about = owner.get(path).json()
        content = owner.get(f"{path}/content").content
    with httpx2.Client(trust_env=False) as anybody:
        linked = anybody.get(kept["link"].uri)

    assert (about["name"], about["mime"]) == (kept["name"], "text/plain")
    assert about["name"] == "'Größe' 100%25.txt"
    assert about["source"] == "server"
    assert content == linked.content == b"0123456789"
    assert whole["sha256"] == about["sha256"]
    assert part["sha256"] == hashlib.sha256(b"789").hexdigest()
    assert end["size_bytes"] == 0
    assert copy["attachment_id"] != kept["attachment_id"]
    assert kept_in(installation.data_dir) == []


async def test_what_the_orchestrator_refuses_is_told_and_leaves_nothing(
    house: tuple[Installation, ServerProcess],
) -> None:
    installation, server = house
    async with server.client() as client:
        large = await called(client, "make_report", name="l.txt", megabytes=MEGABYTES)
        too_large = await refusal(client, "make_report", name="xl.txt", megabytes=MEGABYTES + 1)
        empty = await refusal(client, "save_text", name="x.txt", text="")
        broken = await refusal(client, "break_upload", name="x.txt")
        unknown = await refusal(client, "fetch_file", attachment_id="att_0")
        read = await called(client, "fetch_file", attachment_id=large["attachment_id"])
    with httpx2.Client(trust_env=False, headers=installation.bearer) as owner:
        items = owner.get(f"{installation.url}/api/attachments").json()["items"]

    assert read["size_bytes"] == LIMIT_BYTES
    assert "bytes" in too_large
    assert empty.startswith("The file 'x.txt' was not kept")
    assert broken == "The source broke off."
    assert unknown.startswith("The file att_0 cannot be read")
    assert large["attachment_id"] in {item["id"] for item in items}
    assert {"xl.txt", "x.txt"}.isdisjoint(item["name"] for item in items)


async def test_a_revoked_token_is_told(house: tuple[Installation, ServerProcess]) -> None:
    installation, server = house
    path = installation.data_dir / api_token_file(NAME)
    token = path.read_text(encoding="ascii")
    with httpx2.Client(trust_env=False, headers=installation.bearer) as owner:
        tokens = owner.get(f"{installation.url}/api/auth/tokens").json()["items"]
        (mine,) = (each for each in tokens if each["name"] == path.name)
        assert owner.delete(f"{installation.url}/api/auth/tokens/{mine['id']}").is_success
    async with server.client() as client:
        message = await refusal(client, "save_text", name="x.txt", text="x")

    assert path.read_text(encoding="ascii") == token
    assert message.startswith("The orchestrator does not take this server's token any more")


async def test_an_orchestrator_that_is_away_is_told(
    house: tuple[Installation, ServerProcess],
) -> None:
    installation, server = house
    installation.stop()
    async with server.client() as client:
        message = await refusal(client, "save_text", name="x.txt", text="x")

    assert message.startswith(f"The orchestrator at {installation.url} keeps this server's files")
    assert not (installation.data_dir / files_folder(NAME)).exists()
