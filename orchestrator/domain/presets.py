"""Presets and suggestions: the content of `data/presets.json` and `data/suggestions.json`."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.model_settings import ModelChoice, RoleModels, SystemPromptText, Word
from orchestrator.domain.values import Value

PresetName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^/\\\x00-\x1f\x7f]+$"
    ),
]


class PresetServer(Value):
    """A server as a preset switches it."""

    id: Word
    enabled: bool
    disabled_tools: tuple[Word, ...] = ()


class Preset(ModelChoice):
    """A snapshot of what the owner chose: the model, how it is asked, and which tools it has."""

    name: PresetName
    roles: RoleModels = RoleModels()
    system_prompt: SystemPromptText | None = None
    servers: tuple[PresetServer, ...] = ()
    created_at: Word
    updated_at: Word


class PresetsDocument(Value):
    """The content of `data/presets.json`."""

    version: Literal[1] = 1
    default: str | None = None
    """Name of the preset to go back to."""
    presets: tuple[Preset, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [preset.name for preset in self.presets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
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
