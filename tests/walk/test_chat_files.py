"""Files of a server's tools in the chat, with the real processes: uploaded by it, or fetched."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.files_server import NAME
from tests.installation import Installation, free_port, practice_model, running
from tests.servers.kit.files_process import running_files

TEXT = "Grown in Lisbon."
CALL = f"/call {NAME}__save_text " + json.dumps({"name": "a.txt", "text": TEXT})


@contextmanager
def house(folder: Path, *, is_shared: bool) -> Iterator[Installation]:
    """An orchestrator and a files server: of one data folder, or of one each."""
    port = free_port()
    data_dir = folder / "data"
    servers_dir = data_dir if is_shared else folder / "apart"
    (data_dir / "tokens").mkdir(parents=True)
    servers_dir.mkdir(exist_ok=True)
    more = {"FLOTILLA_ORCHESTRATOR_URL": f"http://127.0.0.1:{port}"}
    with (
        running_files(servers_dir, more) as server,
        practice_model("--pace-ms", "0") as model_url,
    ):
        token = (servers_dir / "tokens" / NAME).read_text()
        (data_dir / "tokens" / NAME).write_text(token)
        config = {
            "id": NAME, "url": server.url, "token_file": f"tokens/{NAME}", "trust": "fleet",
        }  # fmt: skip
        installation = Installation(folder, model_url, servers=[config], port=port)
        with running(installation):
            yield installation


def told(installation: Installation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let the model save a file; return what the event says of it, and what the API does."""
    with httpx2.Client(
        base_url=installation.url, headers=installation.bearer, trust_env=False, timeout=30
    ) as http:
        stream = http.post("/api/chat/stream", json={"message": CALL}).text
        lines = (line.removeprefix("data: ") for line in stream.splitlines())
        events = [json.loads(line) for line in lines if line.startswith("{")]
        (added,) = [event for event in events if event["type"] == "attachment_added"]
        about = http.get(f"/api/attachments/{added['attachment_id']}").json()
        assert http.get(f"/api/attachments/{added['attachment_id']}/content").text == TEXT
        assert about["session_id"] == events[0]["session_id"]
    return added, about


def test_what_a_server_uploads_for_a_call_belongs_to_its_chat(tmp_path: Path) -> None:
    with house(tmp_path, is_shared=True) as installation:
        added, about = told(installation)
    assert added["name"] == "a.txt"
    assert about["source"] == "server"


def test_what_a_server_keeps_itself_is_fetched_for_the_chat(tmp_path: Path) -> None:
    with house(tmp_path, is_shared=False) as installation:
        added, about = told(installation)
    assert added["name"] == "a.txt"
    assert (about["source"], about["tool_call_id"]) == ("tool", added["tool_call_id"])
