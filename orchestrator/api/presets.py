"""Presets: keep what is chosen now under a name, see what it would change, put it in force."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.deps import DocumentsDep, PrincipalDep
from orchestrator.api.model_ids import models_in
from orchestrator.api.problems import problem_responses
from orchestrator.domain.presets import MAX_PRESETS, Preset, PresetName, PresetsDocument
from orchestrator.errors import Conflict, InvalidRequest, NotFound, UnknownEndpoint
from orchestrator.llm.model_ids import split_model_id
from orchestrator.presets import shelf
from orchestrator.presets.shelf import OnConflict, named
from orchestrator.presets.snapshots import Difference, applied, differences

router = APIRouter(prefix="/api/presets", tags=["presets"])

Name = Annotated[str, Path(min_length=1, max_length=64, examples=["Work"])]
RESERVED = frozenset({"default", "export", "import", ".", ".."})
"""Names that are routes, or that clients make something else of."""


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class PresetEntry(Preset):
    """A preset, and whether it is the one to go back to."""

    is_default: bool


class PresetList(BaseModel):
    """All presets, in the order they were made."""

    items: list[PresetEntry]


class NewPreset(Body):
    """The name under which to keep what is chosen now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Work"}]})

    name: PresetName


class DefaultPreset(Body):
    """Which preset is the one to go back to; null for none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Work"}]})

    name: str | None


class PresetDifferences(BaseModel):
    """What applying the preset would change; empty when it is in force."""

    items: list[Difference]


class PresetImport(Body):
    """What an export gave, and what happens to names that are taken."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": 1,
                    "presets": [
                        {
                            "name": "Work",
                            "model": "anthropic/claude-sonnet-4.5",
                            "parameters": {"temperature": 0.3},
                            "servers": [{"id": "weather", "enabled": True}],
                            "created_at": "2026-11-20T10:30:00.123Z",
                            "updated_at": "2026-11-20T10:30:00.123Z",
                        }
                    ],
                    "on_conflict": "skip",
                }
            ]
        }
    )

    presets: Annotated[list[Preset], Field(min_length=1, max_length=MAX_PRESETS)]
    on_conflict: OnConflict = "refuse"
    version: Annotated[int, Field(ge=1, le=1)] = 1
    default: str | None = None
    """Part of an export; the default here stays as it is."""


@router.get("", responses=problem_responses())
async def list_presets(_principal: PrincipalDep, documents: DocumentsDep) -> PresetList:
    """List the presets."""
    return _listed(documents.current.presets)


@router.post("", status_code=201, responses=problem_responses(409, 507))
async def create_preset(
    body: NewPreset, _principal: PrincipalDep, documents: DocumentsDep
) -> PresetEntry:
    """Keep what is chosen now under a new name; 409 when it is taken."""
    _refuse_reserved(body.name)
    now = await documents.change(partial(shelf.added, name=body.name))
    return _entry(now.presets, named(now, body.name))


@router.get("/export", responses=problem_responses())
async def export_presets(_principal: PrincipalDep, documents: DocumentsDep) -> PresetsDocument:
    """Return all presets as one JSON document, for another installation."""
    return documents.current.presets


@router.post("/import", responses=problem_responses(409, 507))
async def import_presets(
    body: PresetImport, _principal: PrincipalDep, documents: DocumentsDep
) -> PresetList:
    """Add exported presets, all or none; 409 where a name is taken, unless told otherwise."""
    for preset in body.presets:
        _refuse_reserved(preset.name)
    change = partial(shelf.with_imported, presets=tuple(body.presets), on_conflict=body.on_conflict)
    return _listed((await documents.change(change)).presets)


@router.get("/default", responses=problem_responses(404))
async def get_default_preset(_principal: PrincipalDep, documents: DocumentsDep) -> PresetEntry:
    """Return the preset to go back to; 404 when none is chosen."""
    now = documents.current
    if now.presets.default is None:
        raise NotFound("No preset is the default. Choose one with PUT /api/presets/default.")
    return _entry(now.presets, named(now, now.presets.default))


@router.put("/default", responses=problem_responses(404, 507))
async def set_default_preset(
    body: DefaultPreset, _principal: PrincipalDep, documents: DocumentsDep
) -> PresetList:
    """Choose the preset to go back to."""
    now = await documents.change(partial(shelf.with_default, name=body.name))
    return _listed(now.presets)


@router.get("/{name}", responses=problem_responses(404))
async def get_preset(name: Name, _principal: PrincipalDep, documents: DocumentsDep) -> PresetEntry:
    """Return one preset."""
    now = documents.current
    return _entry(now.presets, named(now, name))


@router.put("/{name}", responses=problem_responses(404, 507))
async def update_preset(
    name: Name, _principal: PrincipalDep, documents: DocumentsDep
) -> PresetEntry:
    """Put what is chosen now in place of the preset."""
    now = await documents.change(partial(shelf.updated, name=name))
    return _entry(now.presets, named(now, name))


@router.delete("/{name}", status_code=204, responses=problem_responses(404, 409, 507))
async def delete_preset(name: Name, _principal: PrincipalDep, documents: DocumentsDep) -> Response:
    """Forget a preset; 409 for the default one."""
    await documents.change(partial(shelf.removed, name=name))
    return Response(status_code=204)


@router.get("/{name}/diff", responses=problem_responses(404))
async def compare_preset(
    name: Name, _principal: PrincipalDep, documents: DocumentsDep
) -> PresetDifferences:
    """Say what applying the preset would change."""
    now = documents.current
    return PresetDifferences(items=differences(now, named(now, name)))


@router.post("/{name}/apply", responses=problem_responses(404, 409, 507))
async def apply_preset(
    name: Name, _principal: PrincipalDep, documents: DocumentsDep
) -> PresetDifferences:
    """Put the preset in force, all of it or nothing, and say what changed.

    Servers that it does not know are switched off; 409 when it needs one that is gone, or a model
    endpoint.
    """
    changed: list[Difference] = []

    def change(now: shelf.Contents) -> shelf.Contents:
        preset = named(now, name)
        _refuse_lost_endpoints(now, preset)
        changed[:] = differences(now, preset)
        return applied(now, preset)

    await documents.change(change)
    return PresetDifferences(items=changed)


def _listed(document: PresetsDocument) -> PresetList:
    return PresetList(items=[_entry(document, preset) for preset in document.presets])


def _entry(document: PresetsDocument, preset: Preset) -> PresetEntry:
    return PresetEntry(**dict(preset), is_default=preset.name == document.default)


def _refuse_lost_endpoints(now: shelf.Contents, preset: Preset) -> None:
    """Raise Conflict for models that nobody could be asked for."""
    for _, model in models_in(preset):
        try:
            split_model_id(model, now.model_settings.endpoints)
        except UnknownEndpoint as error:
            raise Conflict(f"The preset {preset.name!r} cannot be applied: {error}") from error


def _refuse_reserved(name: str) -> None:
    if name in RESERVED:
        raise InvalidRequest(f"A preset cannot be called {name!r}: that is an address here.")
