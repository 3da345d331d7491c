"""What goes along with the calls of one turn, so that their servers let them run."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from orchestrator.approvals.grants import GrantKeys, GrantScope
from orchestrator.domain.approvals import Approval
from orchestrator.domain.tools import Permit, ToolDefinition
from orchestrator.errors import ToolError
from orchestrator.store import approvals, principals, standing_approvals
from orchestrator.store.database import Database
from orchestrator.store.tool_calls import arguments_hash


@dataclass(frozen=True, slots=True)
class Consent:
    """How far the owner agreed, and where he said so."""

    scope: GrantScope
    by: str
    grant_id: str = field(default_factory=lambda: secrets.token_hex(13))
    account: str | None = None
    """For whom, as its server said; None where it needs no account, or did not say."""


def consent_of(approval: Approval, tool: ToolDefinition) -> Consent:
    """Return what an approval allows: its one call, for the account that it showed.

    An account that the owner wrote into the arguments himself comes before that.
    """
    named = named_account(tool, approval.arguments_to_run or {})
    return Consent(
        "once", approval.decided_by or "web", approval.id, account=named or approval.account
    )


def named_account(tool: ToolDefinition, arguments: Mapping[str, Any]) -> str | None:
    """Return the account that a call names; None when it leaves it to the server."""
    named = arguments.get(tool.account_argument or "")
    return named if isinstance(named, str) and named.strip() else None


class Permits:
    """Mints grants for the owner of a session, at the moment of sending."""

    def __init__(
        self, database: Database, grants: GrantKeys, owner_id: str, session_id: str | None
    ) -> None:
        self._database = database
        self._grants = grants
        self._owner_id = owner_id
        self._session_id = session_id
        self._owner_name: str | None = None

    async def standing_tools(self) -> frozenset[str]:
        """Return the tools that the owner need not be asked about in this session."""
        tools, self._owner_name = await self._database.read(
            _standing_tools, self._owner_id, self._session_id
        )
        return tools

    async def confirm(self, approval: Approval, arguments: Mapping[str, Any]) -> None:
        """Check that these arguments were approved, by what the audit trail noted at that moment.

        Raises ToolError: what is stored was damaged or changed since.
        """
        noted = await self._database.read(approvals.approved_hash, self._owner_id, approval.id)
        if noted != arguments_hash(dict(arguments)):
            raise ToolError("This did not run: its arguments are not those that were approved.")

    async def permit(
        self,
        tool: ToolDefinition,
        arguments: Mapping[str, Any],
        consent: Consent,
        *,
        call_id: str,
        base: Permit,
    ) -> Permit:
        """Return `base` with a grant for exactly this call. Raises ToolError."""
        if self._owner_name is None:
            self._owner_name = await self._database.read(principals.owner_name, self._owner_id)
        grant = self._grants.mint(
            tool.server,
            tool.name,
            owner=self._owner_name,
            call_id=call_id,
            arguments=arguments,
            scope=consent.scope,
            by=consent.by,
            taint=base.taint,
            grant_id=consent.grant_id,
            account=consent.account,
        )
        return replace(base, grant=grant)


def _standing_tools(
    conn: Connection, owner_id: str, session_id: str | None
) -> tuple[frozenset[str], str]:
    tools = standing_approvals.tools_of(conn, owner_id, session_id)
    return tools, principals.owner_name(conn, owner_id)
