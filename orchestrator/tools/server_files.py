"""Files that a server of the fleet keeps for a while and links to in its results."""

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator
from urllib.parse import SplitResult, urlsplit

import httpx2
from mcp.types import ResourceLink

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import FileLink
from orchestrator.errors import ToolError
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.transport import refuse_redirects_and_encodings

ATTACHMENT_META = "flotilla/attachment_id"
_OURS = re.compile(r"att_[0-9a-f]{26}")
_OK = 200
_STEP_TIMEOUT_S = 10.0
_TIMEOUT_S = 60.0
_PORTS = {"http": 80, "https": 443}
_MAX_NAME_CHARS = 200


def file_link(block: ResourceLink, server: ServerConfig) -> FileLink | None:
    """Return the file that the link is to, None when it is anything else.

    Believed are servers of the fleet, about what they uploaded to us and about themselves.
    """
    if server.trust != "fleet":
        return None
    uri, known_as = str(block.uri), (block.meta or {}).get(ATTACHMENT_META)
    is_with_us = isinstance(known_as, str) and _OURS.fullmatch(known_as) is not None
    if not (is_with_us or _is_at(server, uri)):
        return None
    name = (block.title or block.name)[:_MAX_NAME_CHARS]
    return FileLink(uri, name, block.mime_type, known_as if is_with_us else None)


async def read_file(
    server: ServerConfig, uri: str, ssl_context: ssl.SSLContext
) -> AsyncGenerator[bytes]:
    """Yield the bytes behind a link of the server; our token does not go along.

    Raises ToolError when it does not answer with them, or takes too long. How much is read is for
    the caller to judge.
    """
    name = server.shown_title
    if not _is_at(server, uri):
        raise ToolError(f"The file is not on the server {name!r}.")
    transport = httpx2.AsyncHTTPTransport(verify=ssl_context, trust_env=False)
    ends_at = asyncio.get_running_loop().time() + _TIMEOUT_S
    try:
        async with (
            httpx2.AsyncClient(
                transport=transport, timeout=_STEP_TIMEOUT_S, trust_env=False
            ) as http,
            http.stream("GET", uri, headers={"accept-encoding": "identity"}) as response,
        ):
            refuse_redirects_and_encodings(response)
            if response.status_code != _OK:
                raise ExchangeFailed("http", f"it answered with HTTP {response.status_code}")
            async for chunk in response.aiter_raw():
                yield chunk
                if asyncio.get_running_loop().time() > ends_at:
                    raise ExchangeFailed("timeout", "it took too long")
    except ExchangeFailed as failure:
        raise ToolError(f"The server {name!r} did not give the file: {failure}.") from failure
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise ToolError(f"The file on the server {name!r} could not be fetched.") from error


def _is_at(server: ServerConfig, uri: str) -> bool:
    try:
        return _origin(urlsplit(uri)) == _origin(urlsplit(server.url))
    except ValueError:
        return False


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address of ours names no user")
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
