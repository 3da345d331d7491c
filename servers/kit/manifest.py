"""What a server says about itself: the one place for its name, port and tools' labels."""

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FLEET_DIR = Path(__file__).resolve().parent.parent
FIRST_PORT = 9101
MAX_QUALIFIED_NAME = 64

ServerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
ToolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
CapabilityName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,31}$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class ManifestError(Exception):
    """A manifest is missing or wrong; the message names the file and the field."""


class Label(StrEnum):
    """What a tool can do to the owner's world; policy and annotations follow from it."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"
    PRIVATE = "private"
    UNTRUSTED = "untrusted"
    EGRESS = "egress"


class Effect(StrEnum):
    """What a tool that writes does, as limits count it."""

    CHANGE = "change"
    SEND = "send"
    DELETE = "delete"
    SHARE = "share"


ASKS = 2
"""The lowest level that needs an approval."""


class ToolManifest(BaseModel):
    """Labels, approval level and what the gate has to know of one tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: frozenset[Label]
    level: Literal[0, 1, 2, 3] = 0
    title: str | None = None
    idempotent: bool | None = None
    effect: Effect | None = None
    """Only where the labels do not say it: see `kind_of_effect`."""
    counted_by: str | None = None
    """The argument whose length is the number of effects: the ids of a bulk tool."""
    destinations: tuple[str, ...] = ()
    """Arguments that say where something goes: recipients, channels, addresses."""
    account: str | None = None
    """The argument that names the account, shown on approval."""
    undo: ToolName | None = None
    """The tool of this server that reverses it; without one it cannot be undone."""
    capability: CapabilityName | None = None
    """What the account has to permit, one of `sign_in.capabilities`; None: no account is needed."""

    @model_validator(mode="after")
    def _labels_fit_level(self) -> Self:
        if not self.labels & {Label.READ, Label.WRITE}:
            raise ValueError("labels must hold `read` or `write`")
        if Label.DESTRUCTIVE in self.labels and Label.WRITE not in self.labels:
            raise ValueError("a `destructive` tool also has the label `write`")
        lowest = 2 if Label.DESTRUCTIVE in self.labels else 0 if self.is_read_only else 1
        if self.level < lowest:
            raise ValueError(
                f"level {self.level} is too low for these labels: use {lowest} or more"
            )
        return self

    @model_validator(mode="after")
    def _only_changes_have_effects(self) -> Self:
        for field in ("effect", "counted_by", "undo"):
            if self.is_read_only and getattr(self, field) is not None:
                raise ValueError(f"`{field}` is for tools with the label `write`")
        return self

    @property
    def is_read_only(self) -> bool:
        return Label.WRITE not in self.labels

    @property
    def is_gated(self) -> bool:
        """Whether calls are journalled and audited: it changes or sends something, or asks."""
        return self.level >= ASKS or bool(self.labels & {Label.WRITE, Label.EGRESS})

    @property
    def kind_of_effect(self) -> Effect | None:
        """What limits count it as: the declared effect, else what the labels suggest."""
        if self.is_read_only or self.effect is not None:
            return self.effect
        if Label.DESTRUCTIVE in self.labels:
            return Effect.DELETE
        return Effect.SEND if Label.EGRESS in self.labels else Effect.CHANGE

    @property
    def policy(self) -> dict[str, Any]:
        """What a client that knows Flotilla reads in `_meta` of the listed tool."""
        effect = self.kind_of_effect
        policy: dict[str, Any] = {"labels": sorted(self.labels), "level": self.level}
        policy |= {"effect": effect.value} if effect else {}
        policy |= {"destinations": list(self.destinations)} if self.destinations else {}
        policy |= {"account": self.account} if self.account else {}
        policy |= {"undoable": True} if self.undo else {}
        policy |= {"capability": self.capability} if self.capability else {}
        return policy

    @property
    def annotations(self) -> ToolAnnotations:
        return ToolAnnotations(
            read_only_hint=self.is_read_only,
            destructive_hint=Label.DESTRUCTIVE in self.labels,
            idempotent_hint=self.is_read_only if self.idempotent is None else self.idempotent,
            open_world_hint=bool(self.labels & {Label.UNTRUSTED, Label.EGRESS}),
        )


class Capability(BaseModel):
    """What the owner permits a server to do with an account, asked for when it is first needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    """What the owner reads: "read your mail"."""
    scopes: tuple[str, ...] = Field(min_length=1)
    """All that the provider must have granted for it, in the provider's words."""


class SignIn(BaseModel):
    """How the owner signs in to the accounts a server works with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Literal["google"]
    capabilities: dict[CapabilityName, Capability] = Field(min_length=1)
    """The first is asked for when nothing else is said."""


class Manifest(BaseModel):
    """The content of `servers/<name>/manifest.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ServerName
    title: str
    description: str
    version: str | None = None
    port: int = Field(ge=FIRST_PORT, le=65535)
    tier: Literal["bronze", "silver", "gold"]
    extra: str | None = None
    environment: tuple[EnvironmentName, ...] = ()
    enabled_by_default: bool = False
    sign_in: SignIn | None = None
    tools: dict[ToolName, ToolManifest]

    @model_validator(mode="after")
    def _qualified_names_fit(self) -> Self:
        for tool in self.tools:
            qualified = f"{self.name}__{tool}"
            if len(qualified) > MAX_QUALIFIED_NAME:
                raise ValueError(f"{qualified!r} is over {MAX_QUALIFIED_NAME} characters")
        for tool, said in self.tools.items():
            if said.undo is not None and said.undo not in self.tools:
                raise ValueError(f"{tool!r} is undone by {said.undo!r}, which is no tool")
        return self

    @model_validator(mode="after")
    def _capabilities_are_known(self) -> Self:
        known = self.sign_in.capabilities if self.sign_in is not None else {}
        for tool, said in self.tools.items():
            if said.capability is not None and said.capability not in known:
                raise ValueError(f"{tool!r} needs the capability {said.capability!r}: not listed")
        return self

    def title_of(self, tool: str) -> str:
        return self.tools[tool].title or tool.replace("_", " ").capitalize()


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file. Raises ManifestError when it is missing or wrong."""
    try:
        manifest = Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ManifestError(f"there is no manifest at {path}") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ManifestError(f"{path}: {error}") from error
    if manifest.name != path.parent.name:
        raise ManifestError(f"{path}: name is {manifest.name!r} but the folder is not")
    return manifest


def load_manifest(name: str, fleet_dir: Path = FLEET_DIR) -> Manifest:
    """The manifest of one server. Raises ManifestError when there is no such server."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ManifestError(f"{name!r} cannot be the name of a server")
    return read_manifest(fleet_dir / name / "manifest.toml")


def all_manifests(fleet_dir: Path = FLEET_DIR) -> tuple[Manifest, ...]:
    """Every server's manifest, sorted by name. Raises ManifestError if any of them is wrong."""
    return tuple(read_manifest(path) for path in sorted(fleet_dir.glob("*/manifest.toml")))
