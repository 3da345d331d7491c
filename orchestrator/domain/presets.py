"""Presets and suggestions: the content of `data/presets.json` and `data/suggestions.json`."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StringConstraints,
    field_validator,
    model_validator,
)

from orchestrator.domain.model_settings import ModelChoice, RoleModels, SystemPromptText, Word
from orchestrator.domain.servers import MAX_SERVERS, ToolNames, repeated
from orchestrator.domain.values import Value

MAX_PRESETS = 200


def _is_part_of_a_path(name: str) -> str:
    """Refuse what clients leave out of an address."""
    if name in (".", ".."):
        raise ValueError("must not be '.' or '..', which mean something else in an address")
    return name


PresetName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^/\\\x00-\x1f\x7f-\x9f]+$"
    ),
    AfterValidator(_is_part_of_a_path),
]


class PresetServer(Value):
    """A server as a preset switches it."""

    id: Word
    enabled: StrictBool
    disabled_tools: ToolNames = ()


class Preset(ModelChoice):
    """A snapshot of what the owner chose: the model, how it is asked, and which tools it has."""

    name: PresetName
    roles: RoleModels = RoleModels()
    system_prompt: SystemPromptText | None = None
    servers: Annotated[tuple[PresetServer, ...], Field(max_length=MAX_SERVERS)] = ()
    created_at: Word
    updated_at: Word

    @field_validator("servers")
    @classmethod
    def _servers_are_unique(cls, value: tuple[PresetServer, ...]) -> tuple[PresetServer, ...]:
        if twice := repeated(server.id for server in value):
            raise ValueError(f"each server may occur once, found again: {', '.join(twice)}")
        return value


class PresetsDocument(Value):
    """The content of `data/presets.json`."""

    version: Literal[1] = 1
    default: str | None = None
    """Name of the preset to go back to."""
    presets: Annotated[tuple[Preset, ...], Field(max_length=MAX_PRESETS)] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [preset.name for preset in self.presets]
        if twice := repeated(names):
            raise ValueError(f"each preset name may occur once, found again: {', '.join(twice)}")
        if self.default is not None and self.default not in names:
            raise ValueError(f"the default preset {self.default!r} is not among the presets")
        return self


class Suggestion(Value):
    """A prompt that the page offers."""

    id: str
    label: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class SuggestionsDocument(Value):
    """The content of `data/suggestions.json`, in the order they are shown."""

    version: Literal[1] = 1
    suggestions: Annotated[tuple[Suggestion, ...], Field(max_length=100)] = ()
