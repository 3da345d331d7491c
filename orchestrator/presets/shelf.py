"""The presets that are kept: made, replaced, deleted, exchanged. Pure, as snapshots are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from orchestrator.domain.presets import MAX_PRESETS, Preset, PresetsDocument
from orchestrator.domain.servers import repeated
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import Conflict, NotFound
from orchestrator.presets.snapshots import snapshot
from orchestrator.store.document_folder import Contents

OnConflict = Literal["refuse", "replace", "skip"]


def named(now: Contents, name: str) -> Preset:
    """Return the preset of that name. Raises NotFound."""
    for preset in now.presets.presets:
        if preset.name == name:
            return preset
    raise NotFound(f"There is no preset {name!r}.")


def added(now: Contents, name: str) -> Contents:
    """Keep what is chosen now under a new name. Raises Conflict when it is taken."""
    if any(preset.name == name for preset in now.presets.presets):
        raise Conflict(f"There is a preset {name!r} already. Update it, or take another name.")
    at = now_rfc3339()
    return _with(now, (*now.presets.presets, snapshot(now, name, created_at=at, updated_at=at)))


def updated(now: Contents, name: str) -> Contents:
    """Put what is chosen now in place of a preset. Raises NotFound."""
    old = named(now, name)
    new = snapshot(now, name, created_at=old.created_at, updated_at=now_rfc3339())
    return _with(now, [new if preset is old else preset for preset in now.presets.presets])


def removed(now: Contents, name: str) -> Contents:
    """Forget a preset. Raises NotFound, and Conflict for the default one."""
    old = named(now, name)
    if now.presets.default == name:
        raise Conflict(f"{name!r} is the default preset. Choose another default first.")
    return _with(now, [preset for preset in now.presets.presets if preset is not old])


def with_default(now: Contents, name: str | None) -> Contents:
    """Make a preset the one to go back to; None leaves no default. Raises NotFound."""
    if name is not None:
        named(now, name)
    return replace(now, presets=now.presets.model_copy(update={"default": name}))


def with_imported(now: Contents, presets: Sequence[Preset], on_conflict: OnConflict) -> Contents:
    """Add presets that were exported elsewhere. Raises Conflict where a name is taken."""
    if twice := repeated(preset.name for preset in presets):
        raise Conflict(f"The import has presets of the same name: {', '.join(twice)}.")
    taken = {preset.name for preset in now.presets.presets}
    if on_conflict == "refuse" and (twice := sorted(taken & {preset.name for preset in presets})):
        raise Conflict(f"There are presets of these names already: {', '.join(twice)}.")
    given = {preset.name: preset for preset in presets}
    kept = [
        given[preset.name] if on_conflict == "replace" and preset.name in given else preset
        for preset in now.presets.presets
    ]
    return _with(now, [*kept, *(preset for preset in presets if preset.name not in taken)])


def _with(now: Contents, presets: Sequence[Preset]) -> Contents:
    if len(presets) > MAX_PRESETS:
        raise Conflict(f"There is room for {MAX_PRESETS} presets. Delete some first.")
    document = PresetsDocument(default=now.presets.default, presets=tuple(presets))
    return replace(now, presets=document)
