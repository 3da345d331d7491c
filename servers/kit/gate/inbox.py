"""Shows tickets to the owner in the orchestrator, where there is one, and asks what was decided."""

import logging
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servers.kit.gate.tickets import Ticket
from servers.kit.gate.wording import account_in
from servers.kit.manifest import Manifest
from servers.kit.orchestrator import Orchestrator
from servers.kit.previews import MAX_TEXT_CHARS
from servers.kit.settings import KitSettings

logger = logging.getLogger(__name__)

# A client waits for the answer to its call meanwhile.
TIMEOUT = httpx2.Timeout(2.0)
MAX_RESPONSE_BYTES = 1024 * 1024
_APPROVALS = "/api/approvals"


class Approval(BaseModel):
    """What the orchestrator says of a ticket; it has more fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")
    state: Literal["pending", "approved", "denied", "expired", "cancelled"]
    decided_by: str | None = None
    decision_reason: str | None = None
    url: str | None = None
    outcome: dict[str, object] | None = None
    """Set once the orchestrator ran the call, or could not."""


class Inbox:
    """The owner's list of approvals, in the orchestrator this server belongs to.

    It may be away, or never have been there: then every answer is None.
    """

    def __init__(self, manifest: Manifest, settings: KitSettings) -> None:
        self._manifest = manifest
        self._orchestrator = Orchestrator(manifest.name, settings)

    async def submit(self, ticket: Ticket) -> Approval | None:
        """The approval that was made for this ticket, now or before; it has a `url`."""
        call = ticket.call
        tool = self._manifest.tools[call.tool]
        body = {
            "ticket_id": call.call_id,
            "tool": call.tool,
            "title": self._manifest.title_of(call.tool),
            "arguments": ticket.arguments,
            "hash": call.hash,
            "level": call.level,
            "effect": call.effect,
            "reason": ticket.why,
            "account": call.account or account_in(ticket.arguments, tool),
            "undoable": tool.undo is not None,
            "client": call.client,
            "expires_at": _rfc3339(ticket.expires_at),
        }
        if ticket.preview is not None:
            body["preview"] = {"text": ticket.preview[:MAX_TEXT_CHARS]}
        return await self._ask("POST", _APPROVALS, body)

    async def look_up(self, approval_id: str) -> Approval | None:
        """What became of an approval that `submit` gave."""
        return await self._ask("GET", f"{_APPROVALS}/{quote(approval_id, safe='')}", None)

    async def _ask(self, method: str, path: str, body: object) -> Approval | None:
        if (token := self._orchestrator.token) is None:
            return None
        try:
            async with (
                self._orchestrator.client(token, TIMEOUT) as http,
                http.stream(method, path, json=body) as response,
            ):
                content = await _content(response)
            if response.status_code not in (200, 201):
                logger.warning("approval_not_shown status=%s", response.status_code)
                return None
            return Approval.model_validate_json(content)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValidationError) as error:
            logger.warning("approval_not_shown error=%s", type(error).__name__)
            return None


async def _content(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_RESPONSE_BYTES:
            raise httpx2.ReadError("the answer is too long")
    return bytes(content)


def _rfc3339(time_s: float) -> str:
    at = datetime.fromtimestamp(time_s, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
