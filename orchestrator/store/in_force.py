"""Which model settings are in force, and which layer says so.

What a turn says beats its session, that the environment, that `.env`, that
`data/model_settings.json`, and that what is built in: field by field, so one layer may name the
model and another the temperature. What a layer leaves null is left to the next.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.domain.model_settings import (
    ModelChoice,
    ModelId,
    ModelRole,
    ModelSettings,
    Parameters,
    ProviderRouting,
    RoleModels,
    SessionSettings,
)
from orchestrator.domain.values import Value
from orchestrator.settings import Layer, Settings, layer_of, variable_of

DOCUMENT = "data/model_settings.json"
LayerName = Literal["turn", "session", "environment", ".env", "data/model_settings.json", "default"]
PRACTICE_MODEL = "flotilla/practice"
"""What `flotilla up` puts into the environment while there is no key."""
OPENROUTER_URL: str = Settings.model_fields["openrouter_base_url"].default
DEFAULT_MODEL: str = Settings.model_fields["openrouter_default_model"].default
FIELDS_OF_VARIABLES = {
    "model": "openrouter_default_model",
    "fallback_models": "openrouter_fallback_models",
    "system_prompt": "openrouter_system_prompt",
}
"""Those of the document that the environment has a word in, by their field of Settings."""
_GROUPS = {"parameters": Parameters, "provider": ProviderRouting, "roles": RoleModels}
_SINGLE = ("model", "fallback_models", "system_prompt", "disabled_servers")
KEYS: tuple[str, ...] = (
    *("model", "fallback_models", "system_prompt"),
    *(f"{group}.{name}" for group, kind in _GROUPS.items() for name in kind.model_fields),
)
"""Every setting of the document, in dots."""


@dataclass(frozen=True, slots=True)
class SettingsLayer:
    """What one place says, by keys such as `model` and `parameters.temperature`."""

    name: LayerName
    says: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings that count."""

    model: ModelId
    fallback_models: tuple[ModelId, ...]
    parameters: Parameters
    provider: ProviderRouting
    roles: RoleModels
    system_prompt: str | None
    """The owner's own; None means the one built in."""
    disabled_servers: frozenset[str]
    layers: Mapping[str, LayerName]
    """Who says it, for each setting that is not built in."""

    def model_for(self, role: ModelRole) -> ModelId:
        """Return the model that does this kind of work."""
        match role:
            case "chat":
                return self.model
            case "title":
                return self.roles.title or self.model
            case "worker":
                return self.roles.worker or self.model


def in_force(layers: Iterable[SettingsLayer]) -> InForce:
    """Return what `layers` amount to, the strongest first."""
    says: dict[str, Any] = {}
    names: dict[str, LayerName] = {}
    for layer in layers:
        for key, value in layer.says.items():
            if key not in says:
                says[key], names[key] = value, layer.name
    return InForce(
        model=says.get("model", DEFAULT_MODEL),
        fallback_models=says.get("fallback_models", ()),
        parameters=Parameters(**_grouped("parameters", says)),
        provider=ProviderRouting(**_grouped("provider", says)),
        roles=RoleModels(**_grouped("roles", says)),
        system_prompt=says.get("system_prompt"),
        disabled_servers=frozenset(says.get("disabled_servers", ())),
        layers=names,
    )


def first_said(layers: Iterable[SettingsLayer], key: str) -> Any:
    """Return what the strongest of `layers` that knows it says of one setting, None if none does.

    Costs a fraction of `in_force`.
    """
    return next((layer.says[key] for layer in layers if key in layer.says), None)


def environment_layers(
    settings: Settings, where: Callable[[str], Layer] = layer_of
) -> tuple[SettingsLayer, ...]:
    """Return what the variables say, of the environment and of `.env`; `where` tells them apart."""
    said: dict[LayerName, dict[str, Any]] = {"environment": {}, ".env": {}}
    for key, field in FIELDS_OF_VARIABLES.items():
        if field in settings.model_fields_set:
            is_in_file = where(variable_of(field)) == ".env"
            said[".env" if is_in_file else "environment"][key] = getattr(settings, field)
    return tuple(SettingsLayer(name, says) for name, says in said.items())


def is_practising(settings: Settings) -> bool:
    """Return whether `flotilla up` lets the practice model answer: there is nobody to ask."""
    asks_openrouter = settings.openrouter_base_url == OPENROUTER_URL
    return asks_openrouter and settings.openrouter_api_key is None


def document_layer(document: ModelSettings) -> SettingsLayer:
    """Return what `data/model_settings.json` says."""
    return SettingsLayer(DOCUMENT, _said(document))


def lasting_layers(
    environment: Iterable[SettingsLayer], document: ModelSettings
) -> tuple[SettingsLayer, ...]:
    """Return the layers that count for all sessions.

    The practice model stands in for OpenRouter: it does not beat a model that the document has at
    an endpoint of the owner's.
    """
    layers = (*environment, document_layer(document))
    if (document.model or "").partition(":")[0] not in document.endpoints:
        return layers
    return tuple(_without_practice(layer) for layer in layers)


def _without_practice(layer: SettingsLayer) -> SettingsLayer:
    if layer.says.get("model") != PRACTICE_MODEL:
        return layer
    return SettingsLayer(layer.name, {key: layer.says[key] for key in layer.says if key != "model"})


def session_layer(settings: SessionSettings) -> SettingsLayer:
    """Return what a session does differently."""
    return SettingsLayer("session", _said(settings))


def turn_layer(settings: SessionSettings) -> SettingsLayer:
    """Return what one turn does differently."""
    return SettingsLayer("turn", _said(settings))


def _said(choice: ModelChoice) -> dict[str, Any]:
    said = {
        name: getattr(choice, name)
        for name in _SINGLE
        if name in choice.model_fields_set and getattr(choice, name) is not None
    }
    for group in _GROUPS:
        chosen: Value | None = getattr(choice, group, None)
        if chosen is not None and chosen.model_fields_set:
            said |= {f"{group}.{name}": value for name, value in chosen if value is not None}
    return said


def _grouped(group: str, says: Mapping[str, Any]) -> dict[str, Any]:
    start = f"{group}."
    return {key.removeprefix(start): says[key] for key in says if key.startswith(start)}
