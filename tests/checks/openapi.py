"""The OpenAPI document as the front end gets it."""

import json
from pathlib import Path
from typing import Any

from orchestrator.app import create_api
from orchestrator.settings import Settings
from tests.processes import ROOT

FILE = ROOT / "frontend" / "openapi.json"
METHODS = ("get", "put", "post", "delete", "patch")


def document() -> dict[str, Any]:
    """What the application says about itself; it is built but not started."""
    return create_api(Settings.model_validate({})).openapi()


def text(content: dict[str, Any]) -> str:
    """`content` as it is kept in git: sorted, so that a change shows as itself."""
    return json.dumps(content, indent="\t", sort_keys=True, ensure_ascii=False) + "\n"


def is_current(file: Path = FILE) -> bool:
    """Whether the committed document is the application's."""
    return file.exists() and file.read_text() == text(document())


def routes() -> list[tuple[str, str, str]]:
    """Method, path and first line of every documented route, sorted by path."""
    return [
        (method.upper(), path, operation.get("description", "").partition("\n")[0])
        for path, operations in sorted(document()["paths"].items())
        for method, operation in operations.items()
        if method in METHODS
    ]
