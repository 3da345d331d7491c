"""The questions that turns wait with: sign-ins that their calls need."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from orchestrator.api.deps import PrincipalDep, QuestionsDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.questions import Question, QuestionState

router = APIRouter(prefix="/api/questions", tags=["questions"])


class QuestionList(BaseModel):
    """Questions, the newest first."""

    items: list[Question]


@router.get("", responses=problem_responses())
async def list_questions(
    principal: PrincipalDep,
    questions: QuestionsDep,
    state: QuestionState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> QuestionList:
    """List questions, the newest first; `state=pending` is what waits for a sign-in."""
    return QuestionList(items=await questions.newest(principal.owner_id, limit=limit, state=state))


@router.post("/{question_id}/decline", responses=problem_responses(404, 409, 507))
async def decline_question(
    question_id: str, principal: PrincipalDep, questions: QuestionsDep
) -> Question:
    """Go on without signing in: the call fails; the same again changes nothing."""
    return await questions.decline(principal.owner_id, question_id, by=principal.means)
