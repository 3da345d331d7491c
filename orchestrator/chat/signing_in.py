"""The sign-ins that calls of one round wait for, each asked for when its server wants it."""

from collections import Counter
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.chat.events import QuestionAnswered, QuestionAsked
from orchestrator.chat.open_round import OpenRound
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.watching import Watching
from orchestrator.domain.accounts import AccountName, CapabilityName
from orchestrator.domain.chat import Turn
from orchestrator.domain.ids import new_id
from orchestrator.domain.questions import Question, SignInReason, start_path
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.domain.tools import ToolResult
from orchestrator.store import questions

SIGN_IN_REQUIRED = "sign_in_required"
MAX_QUESTIONS_PER_CALL = 3
"""A server that wants one sign-in after the other is not believed for ever."""
_TITLES: dict[SignInReason, str] = {
    "no_account": "Sign in to {}",
    "ended": "Sign in to {} again",
    "scope": "Allow more at {}",
}


class SignInNeeded(BaseModel):
    """Why a server did not run a call: somebody has to sign in first."""

    model_config = ConfigDict(frozen=True)

    message: str
    provider: Annotated[str, Field(min_length=1, max_length=80)]
    account: AccountName | None = None
    capability: CapabilityName
    reason: SignInReason

    def as_result(self) -> ToolResult:
        """Return the result of a call about which nobody is asked any more."""
        text = self.message
        return ToolResult("failed", text, error=text, error_code=SIGN_IN_REQUIRED)


def sign_in_needed(result: ToolResult) -> SignInNeeded | None:
    """Return what the result of a call asks the owner for; None when it asks for no sign-in."""
    if result.error_code != SIGN_IN_REQUIRED:
        return None
    try:
        return SignInNeeded.model_validate(result.structured["error"])
    except ValidationError:
        return None  # Its own sentence is all that can be told of it.


class SignIns(Watching[Question, Question]):
    """Asks and waits; use it as an async context manager around the round."""

    def __init__(
        self,
        owner_id: str,
        turn: Turn,
        log: TurnLog,
        desk: QuestionDesk,
        *,
        lifetime_h: float,
        open_round: OpenRound | None = None,
    ) -> None:
        """Ask in this turn; `open_round` holds what was asked before a restart."""
        before = open_round.questions if open_round else ()
        super().__init__({question.tool_call_id: question for question in before})
        self._owner_id = owner_id
        self._turn = turn
        self._log = log
        self._desk = desk
        self._lifetime = timedelta(hours=lifetime_h)
        self._times = Counter(question.tool_call_id for question in before)
        self._told = open_round.told if open_round else frozenset[str]()

    def may_ask(self, call: PlannedCall) -> bool:
        """Return whether the owner may be asked about this call (once more)."""
        return self._times[call.id] < MAX_QUESTIONS_PER_CALL

    def ask(self, call: PlannedCall, needed: SignInNeeded) -> Question:
        """Add the event that asks, and return the row that the next commit must `store`."""
        question_id, server = new_id("ques"), call.request.server
        now = utc_now()
        question = Question(
            id=question_id,
            state="pending",
            tool_call_id=call.id,
            server=server,
            tool=call.request.tool,
            title=_TITLES[needed.reason].format(needed.provider),
            message=needed.message,
            url=start_path(server, question_id),
            account=needed.account,
            capability=needed.capability,
            reason=needed.reason,
            session_id=self._turn.session_id,
            turn_id=self._turn.id,
            created_at=to_rfc3339(now),
            expires_at=to_rfc3339(now + self._lifetime),
        )
        self._asked[call.id] = question
        self._times[call.id] += 1
        self._log.add(_asked(question))
        return question

    def store(self, conn: Connection, question: Question) -> None:
        """Store what was asked, in the transaction that stores why."""
        questions.insert(conn, self._owner_id, question)

    async def _ended(self, row: Question) -> Question:
        self._desk.note([row])
        question = await self._desk.wait(self._owner_id, row.id)
        if row.id not in self._told:
            self._log.emit(answered(question))
        return question


def answered(question: Question) -> QuestionAnswered:
    """Return the event that tells how a question ended."""
    if question.state == "pending":
        raise ValueError(f"nobody has answered {question.id!r} yet")
    return QuestionAnswered(
        question_id=question.id, tool_call_id=question.tool_call_id, answer=question.state
    )


def not_signed_in(question: Question) -> ToolResult:
    """Return the result of a call that waited for a sign-in which did not come."""
    if question.state == "declined":
        text, error = "The owner did not want to sign in.", "You did not sign in."
    elif question.state == "expired":
        text = error = "This did not run: nobody signed in in time."
    else:
        text = error = "This did not run: the turn was stopped before anybody signed in."
    code = f"sign_in_{question.state}"
    return ToolResult(
        "denied", f"{text} Do not try again unless asked.", error=error, error_code=code
    )


def _asked(question: Question) -> QuestionAsked:
    return QuestionAsked(
        question_id=question.id,
        tool_call_id=question.tool_call_id,
        server=question.server,
        title=question.title,
        message=question.message,
        url=question.url,
        account=question.account,
        capability=question.capability,
        reason=question.reason,
        expires_at=question.expires_at,
    )
