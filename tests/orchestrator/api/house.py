"""All real routes and rooms in this process, so that a test can reach into the store."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.app import create_api
from orchestrator.settings import Settings
from orchestrator.store.principals import ensure_owner
from tests.orchestrator.api.doorway import Door, serving


@contextmanager
def whole_house(
    folder: Path, servers: Sequence[dict[str, Any]] = (), **more: Any
) -> Iterator[Door]:
    """The application on `folder`/data, with these servers in its document, and `more` settings."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    document = {"version": 1, "servers": list(servers)}
    (data / "mcp_servers.json").write_text(json.dumps(document))
    usual = {
        "openrouter_base_url": "http://127.0.0.1:9/api/v1",
        "public_origins": ("https://flotilla.example.org",),
        "private_server_hosts": ("127.0.0.1",),
    }
    settings = Settings(data_dir=data, frontend_dir=folder, **(usual | more))
    with serving(data, folder, create_api(settings)) as door:
        yield door


def token_of(door: Door, name: str) -> dict[str, str]:
    """The header with the token that the orchestrator made for a server."""
    token = (door.data_dir / "tokens" / f"{name}.api").read_text().strip()
    return {"Authorization": f"Bearer {token}"}


def owner_of(door: Door) -> str:
    """The id of the owner."""
    return door.run(door.api.state.database.write(ensure_owner)).id
