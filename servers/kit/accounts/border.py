"""Turns a missing sign-in into a question to the right person, or into an error that helps."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastmcp.exceptions import ToolError
from fastmcp.server.context import Context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams

from servers.kit.accounts import Accounts, Waited, asking
from servers.kit.accounts.addresses import SignInAddresses
from servers.kit.accounts.asking import AskedNow, Question
from servers.kit.accounts.provider import NotConfigured
from servers.kit.errors import SignInRequired, UpstreamError
from servers.kit.gate.elicitation import is_modern
from servers.kit.gate.incoming import AskState, call_meta_of
from servers.kit.gate.permit import NeedsSignIn
from servers.kit.gate.refusals import sign_in_required
from servers.kit.manifest import Manifest
from servers.kit.settings import KitSettings

PATIENCE_S = 300.0
"""How long a call waits for a person who went to sign in."""
PROGRESS_EVERY_S = 5.0
MAX_QUESTIONS = 3
"""In one call: a tool that wants another sign-in again and again gets no more."""


class SignInBorder(Middleware):
    """Lets a call that needs a sign-in go on by itself once there is one, where a client can ask.

    Outside of the gate, which remembers what the same call goes on with.
    """

    def __init__(self, manifest: Manifest, accounts: Accounts) -> None:
        self._manifest = manifest
        self._accounts = accounts
        self._addresses = SignInAddresses(manifest.name, accounts)
        self._asked_at_s: dict[str, float] = {}
        """By capability: when a person was last sent to sign in."""

    def use_settings(self, settings: KitSettings) -> None:
        """Says which orchestrator the server belongs to."""
        self._addresses.use_settings(settings)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Sign-ins may come back meanwhile."""
        async with self._addresses.opened():
            yield

    @property
    def provider(self) -> str:
        """The title of where the owner signs in."""
        return self._accounts.provider.title

    async def account_of(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """The account that a call of this tool is for; None where it needs none.

        Raises UpstreamError when that account does not work.
        """
        tool = self._manifest.tools[name]
        if tool.capability is None:
            return None
        named = arguments.get(tool.account) if tool.account is not None else None
        named = named if isinstance(named, str) else None
        return (await self._accounts.access(named, tool.capability)).account

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        ctx = context.fastmcp_context
        answer = asking.answer_in(context.message)
        questions_left = MAX_QUESTIONS
        while True:
            try:
                return await call_next(context)
            except ToolError as error:
                if ctx is None or not isinstance(error.__cause__, SignInRequired):
                    raise
                needed = error.__cause__
                state = error.state if isinstance(error, NeedsSignIn) else None
            try:
                ended = await self._dealt_with(needed, state, ctx, answer, questions_left)
            except (NotConfigured, UpstreamError, OSError) as error:
                raise ToolError(f"{needed} {error}") from error
            if ended is not None:
                return ended
            answer, questions_left = None, questions_left - 1
            context = context.copy(message=_again(context.message, state))

    async def _dealt_with(
        self,
        needed: SignInRequired,
        state: AskState | None,
        ctx: Context,
        answer: bool | None,
        questions_left: int,
    ) -> ToolResult | None:
        """What the client gets instead of the result; None: the same call goes on now."""
        if call_meta_of(ctx).caller_asks:
            url = self._addresses.at_orchestrator(needed.capability, needed.account)
            return self._refused(needed, state, "Nothing was done.", url)
        waited: Waited | None = None
        if answer is None:
            url = await self._addresses.address(needed.capability, needed.account)
            question = Question(f"{self._manifest.title}: {needed}", url)
            if asking.can_open(ctx) and questions_left > 0:
                self._asked_at_s[needed.capability] = time.time()
                if is_modern(ctx):
                    return asking.asking_result(question, state and state.model_dump_json())
                asked = AskedNow(ctx, question)
                answer = await asked.answer()
                waited = await self._waited(needed, ctx) if answer else None
                if waited == "ready":
                    await asked.close()
        elif answer:
            waited = await self._waited(needed, ctx)
        if waited == "ready":
            return None
        return await self._not_signed_in(needed, state, answer, waited)

    async def _not_signed_in(
        self,
        needed: SignInRequired,
        state: AskState | None,
        answer: bool | None,
        waited: Waited | None,
    ) -> ToolResult:
        if answer is False:
            text = (
                "The person at the client did not want to; nothing was done. Do not call it again."
            )
            return self._refused(needed, state, text, None)
        url = await self._addresses.address(needed.capability, needed.account)
        why = ""
        if waited == "late":
            why = f"Nobody did within {PATIENCE_S / 60:.0f} minutes. "
        elif waited == "in_vain":
            why = "The person came back without permitting it, or with another account. "
        text = f"{why}Nothing was done. Sign in at {url} and make exactly this call again then."
        return self._refused(needed, state, text, url)

    async def _waited(self, needed: SignInRequired, ctx: Context) -> Waited:
        """How the sign-in went that a person was sent to, here or in another process."""
        text = f"Waiting for the sign-in to {self._accounts.provider.title}."
        since_s = self._asked_at_s.get(needed.capability, time.time())
        waited_s = 0.0
        while waited_s < PATIENCE_S:
            await ctx.report_progress(waited_s, PATIENCE_S, text)
            step_s = min(PROGRESS_EVERY_S, PATIENCE_S - waited_s)
            waited = await self._accounts.wait_until_ready(
                needed.account, needed.capability, step_s, since_s=since_s
            )
            if waited != "late":
                return waited
            waited_s += step_s
        return "late"

    def _refused(
        self, needed: SignInRequired, state: AskState | None, text: str, url: str | None
    ) -> ToolResult:
        result = sign_in_required(
            needed,
            server=self._manifest.name,
            provider=self._accounts.provider.title,
            how=text,
            sign_in_url=url,
            call_id=state.call_id if state is not None else None,
        )
        return ToolResult.from_mcp_result(result)


def _again(message: CallToolRequestParams, state: AskState | None) -> CallToolRequestParams:
    """The same call, as a modern client would make it after its answer."""
    if state is None:
        return message
    return message.model_copy(update={"request_state": state.model_dump_json()})
