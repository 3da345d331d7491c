"""Suggestions: prompts that the page offers, in the owner's order."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.api.deps import DocumentsDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.ids import new_id
from orchestrator.domain.presets import Suggestion, SuggestionsDocument
from orchestrator.errors import Conflict, NotFound
from orchestrator.store.document_folder import Contents

router = APIRouter(prefix="/api/suggestions", tags=["suggestions"])

MOST = 100
Id = Annotated[str, Path(min_length=1, max_length=64)]


class NewSuggestion(BaseModel):
    """A short label, and the prompt behind it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"label": "Plan my day", "text": "What is on today, and when am I free?"}]
        },
    )

    label: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class SuggestionList(BaseModel):
    """All suggestions, in the order they are shown."""

    items: list[Suggestion]


class SuggestionOrder(BaseModel):
    """All ids, in the order in which they shall be shown."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"ids": ["sug_01a1fa0a8220b3828f07ae22de", "sug_01a1fa0a8220b3828f07ae22df"]}
            ]
        },
    )

    ids: Annotated[list[str], Field(max_length=MOST)]


@router.get("", responses=problem_responses())
async def list_suggestions(_principal: PrincipalDep, documents: DocumentsDep) -> SuggestionList:
    """List the suggestions."""
    return _listed(documents.current)


@router.post("", status_code=201, responses=problem_responses(409, 507))
async def add_suggestion(
    body: NewSuggestion, _principal: PrincipalDep, documents: DocumentsDep
) -> Suggestion:
    """Add a suggestion at the end."""
    added = Suggestion(id=new_id("sug"), label=body.label, text=body.text)

    def change(now: Contents) -> Contents:
        kept = now.suggestions.suggestions
        if len(kept) >= MOST:
            raise Conflict(f"There are {MOST} suggestions. Delete one first.")
        return _with(now, [*kept, added])

    await documents.change(change)
    return added


@router.put("/order", responses=problem_responses(409, 507))
async def order_suggestions(
    body: SuggestionOrder, _principal: PrincipalDep, documents: DocumentsDep
) -> SuggestionList:
    """Put the suggestions in another order; 409 unless exactly those that exist are named."""

    def change(now: Contents) -> Contents:
        by_id = {suggestion.id: suggestion for suggestion in now.suggestions.suggestions}
        if sorted(body.ids) != sorted(by_id):
            raise Conflict("The suggestions have changed. Read them again, then order them.")
        return _with(now, [by_id[key] for key in body.ids])

    return _listed(await documents.change(change))


@router.put("/{suggestion_id}", responses=problem_responses(404, 507))
async def replace_suggestion(
    suggestion_id: Id, body: NewSuggestion, _principal: PrincipalDep, documents: DocumentsDep
) -> Suggestion:
    """Replace a suggestion; its place stays."""
    new = Suggestion(id=suggestion_id, label=body.label, text=body.text)

    def change(now: Contents) -> Contents:
        _refuse_unknown(now, suggestion_id)
        kept = now.suggestions.suggestions
        return _with(now, [new if old.id == suggestion_id else old for old in kept])

    await documents.change(change)
    return new


@router.delete("/{suggestion_id}", status_code=204, responses=problem_responses(404, 507))
async def delete_suggestion(
    suggestion_id: Id, _principal: PrincipalDep, documents: DocumentsDep
) -> Response:
    """Delete a suggestion."""

    def change(now: Contents) -> Contents:
        _refuse_unknown(now, suggestion_id)
        kept = now.suggestions.suggestions
        return _with(now, [old for old in kept if old.id != suggestion_id])

    await documents.change(change)
    return Response(status_code=204)


def _refuse_unknown(now: Contents, suggestion_id: str) -> None:
    if all(suggestion.id != suggestion_id for suggestion in now.suggestions.suggestions):
        raise NotFound(f"There is no suggestion {suggestion_id!r}.")


def _with(now: Contents, suggestions: Sequence[Suggestion]) -> Contents:
    return replace(now, suggestions=SuggestionsDocument(suggestions=tuple(suggestions)))


def _listed(now: Contents) -> SuggestionList:
    return SuggestionList(items=list(now.suggestions.suggestions))
