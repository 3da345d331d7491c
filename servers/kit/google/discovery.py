"""The requests of an API, built by Google's client from the document it ships.

Imports 6 MB, so it is imported with the first call and not with the server.
"""

import json
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, cast

from googleapiclient.discovery import (  # pyright: ignore[reportMissingTypeStubs]  # it has none
    build_from_document,  # pyright: ignore[reportUnknownVariableType]
)

_DOCUMENTS = "googleapiclient.discovery_cache.documents"
_OK = SimpleNamespace(status=200)


def built_service(api: str, version: str, root: str | None) -> Any:
    """The resource of an API: builds requests, and sends none.

    `root` replaces where the API is. The result has no types: Google's client makes its methods
    from the document.
    """
    text = files(_DOCUMENTS).joinpath(f"{api}.{version}.json").read_text(encoding="utf-8")
    document = json.loads(text)
    if root is not None:
        document["rootUrl"] = f"{root.rstrip('/')}/"
        document["baseUrl"] = document["rootUrl"] + document["servicePath"]
    # There is no certificate of a client here, whatever the environment says.
    document.pop("mtlsRootUrl", None)
    return cast("Any", build_from_document(document, http=_NoWire()))


def read_answer(request: Any, content: bytes) -> Any:
    """What Google's client makes of an answer to its request; text where it is no JSON."""
    return request.postproc(_OK, content)


class _NoWire:
    """Takes the place of httplib2, which would send a write again by itself."""

    def request(self, *_: object, **__: object) -> Any:
        raise RuntimeError("requests are sent by GoogleAccount.execute, not by Google's client")

    def close(self) -> None:
        """There is nothing to close."""
