"""Questions to the owner in the middle of a call: a server needs somebody to sign in."""

from typing import Literal
from urllib.parse import urlencode

from orchestrator.domain.values import Value

QuestionState = Literal["pending", "done", "declined", "expired", "cancelled"]
SignInReason = Literal["no_account", "ended", "scope"]
"""Nobody has signed in; a sign-in ended; an account does not permit what the call needs."""


class Question(Value):
    """One call of a turn that waits, or waited, for a sign-in."""

    id: str
    state: QuestionState
    tool_call_id: str
    server: str
    tool: str
    """Qualified name."""
    title: str
    """What the owner is asked to do, in a few words."""
    message: str
    """The same in a sentence, with why."""
    url: str
    """Where he does it: a path of ours."""
    account: str | None
    """The account the call works on; null when any will do."""
    capability: str
    """What the account has to permit."""
    reason: SignInReason
    session_id: str
    turn_id: str
    created_at: str
    expires_at: str
    answered_at: str | None = None


def start_path(server: str, question_id: str) -> str:
    """Return where the owner signs in to answer a question."""
    return f"/oauth/{server}/start?question={question_id}"


def path_to_sign_in(server: str, capability: str, account: str | None) -> str:
    """Return where the owner signs in when no turn waits for it."""
    asked = {"capability": capability} | ({"account": account} if account else {})
    return f"/oauth/{server}/start?{urlencode(asked)}"
