"""The model that answers."""

from fastapi import APIRouter
from pydantic import BaseModel

from orchestrator.api.deps import ChatDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.store.in_force import PRACTICE_MODEL, in_force

router = APIRouter(prefix="/api/settings", tags=["models"])


class ModelSettings(BaseModel):
    """Which model answers a turn that names none."""

    model: str
    fallback_models: list[str]
    practice: bool
    """True when the practice model answers, because no API key is set."""


@router.get("/model", responses=problem_responses())
async def get_model_settings(_principal: PrincipalDep, chat: ChatDep) -> ModelSettings:
    """Return the model settings in force."""
    settings = in_force(chat.settings.model_layers())
    return ModelSettings(
        model=settings.model,
        fallback_models=list(settings.fallback_models),
        practice=settings.model == PRACTICE_MODEL,
    )
