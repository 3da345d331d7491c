"""Labels of mails: changed, put back, moved to the trash and out of it.

What is reported as changed is the difference between the labels before and after, so that undoing
it puts back what was there, and nothing else.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from servers.gmail.client import GmailClient
from servers.gmail.labels import ids_of
from servers.gmail.models import Changed, Failure
from servers.kit.errors import InvalidInput, UpstreamError
from servers.kit.google.errors import OutcomeUnknown

_CHANGE = re.compile(r"([0-9a-fA-F]{1,32})((?: [+-][A-Za-z0-9_]{1,60}){1,40})")
_FIXED = frozenset({"SENT", "DRAFT", "CHAT"})

Labelled = dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool tells, and the arguments of `restore_labels` that put everything back."""

    result: Changed
    changes: list[str]


async def modify(
    client: GmailClient, ids: Sequence[str], add: Sequence[str], remove: Sequence[str]
) -> Outcome:
    """Raises InvalidInput for labels that there are not, or that are no matter of this tool."""
    adding, removing = await checked_labels(client, add, remove)
    before = await _labelled(client, ids)
    wanted = {
        one: (labels | adding) - removing
        for one, labels in before.items()
        if adding - labels or removing & labels
    }
    if wanted:
        await client.modify(list(wanted), sorted(adding), sorted(removing))
    return await _outcome(client, ids, before, wanted)


async def checked_labels(
    client: GmailClient, add: Sequence[str], remove: Sequence[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The ids of labels to add and to remove. Raises InvalidInput and NotFound."""
    if not add and not remove:
        raise InvalidInput("Say what to change: add_labels, remove_labels, archive, read or star.")
    known = await client.labels()
    adding, removing = ids_of(known, add), ids_of(known, remove)
    if both := adding & removing:
        raise InvalidInput(f"These would be added and removed: {', '.join(sorted(both))}.")
    if "TRASH" in adding | removing:
        raise InvalidInput("Use trash and untrash for the trash.")
    if fixed := (adding | removing) & _FIXED:
        raise InvalidInput(f"Gmail sets these labels itself: {', '.join(sorted(fixed))}.")
    return adding, removing


async def restore(client: GmailClient, changes: Sequence[str]) -> Outcome:
    """Raises InvalidInput for what is not as `restore_labels` is told it."""
    parsed = parsed_changes(changes)
    before = await _labelled(client, list(parsed))
    wanted: Labelled = {}
    groups: defaultdict[tuple[frozenset[str], frozenset[str]], list[str]] = defaultdict(list)
    for message_id, labels in before.items():
        add, remove = parsed[message_id]
        wanted[message_id] = (labels | add) - remove
        if add or remove - {"TRASH"}:
            groups[add, remove - {"TRASH"}].append(message_id)
    trashed = [one for one in before if "TRASH" in before[one] - wanted[one]]
    errors = await _moved(client, trashed, "untrash")
    for (add, remove), members in groups.items():
        try:
            await client.modify(members, sorted(add), sorted(remove))
        except (UpstreamError, OutcomeUnknown) as error:
            errors.append(error)
    return await _outcome(client, list(parsed), before, wanted, errors)


async def move(
    client: GmailClient, ids: Sequence[str], where: Literal["trash", "untrash"]
) -> Outcome:
    before = await _labelled(client, ids)
    wanted = {
        one: labels | {"TRASH"} if where == "trash" else labels - {"TRASH"}
        for one, labels in before.items()
        if ("TRASH" in labels) is (where == "untrash")
    }
    errors = await _moved(client, list(wanted), where)
    return await _outcome(client, ids, before, wanted, errors)


async def _moved(
    client: GmailClient, ids: Sequence[str], where: Literal["trash", "untrash"]
) -> list[Exception]:
    """Moves each on its own; what went wrong, for the rest has happened."""
    errors: list[Exception] = []

    async def move_one(message_id: str) -> None:
        try:
            await client.move(message_id, where)
        except (UpstreamError, OutcomeUnknown) as error:
            errors.append(error)

    async with asyncio.TaskGroup() as group:
        for one in ids:
            group.create_task(move_one(one))
    return errors


async def _labelled(client: GmailClient, ids: Sequence[str]) -> Labelled:
    """The labels of those mails that are there."""
    asked = list(dict.fromkeys(ids))
    found = await client.labels_of(asked)
    return {one: labels for one, labels in zip(asked, found, strict=True) if labels is not None}


async def _outcome(
    client: GmailClient,
    ids: Sequence[str],
    before: Labelled,
    wanted: Labelled,
    errors: Sequence[Exception] = (),
) -> Outcome:
    """What is different now. Raises the first of `errors` when nothing is."""
    try:
        after = await _labelled(client, list(wanted))
    except UpstreamError as error:
        if errors:
            raise OutcomeUnknown("some mails were changed, and it is not known which") from error
        # Google confirmed the change: that it cannot be read now does not unmake it.
        after = wanted
    changes = [
        _change(one, back_in=before[one] - labels, back_out=labels - before[one])
        for one, labels in after.items()
        if labels != before[one]
    ]
    if errors and not changes:
        raise errors[0]
    changed = [change.partition(" ")[0] for change in changes]
    failed = [
        Failure(message_id=one, reason="There is no such mail (any more).")
        for one in dict.fromkeys(ids)
        if one not in before or (one in wanted and one not in after)
    ]
    if errors:
        left = [one for one in after if one not in changed and wanted[one] != before[one]]
        failed += [Failure(message_id=one, reason=str(errors[0])[:200]) for one in left]
    names = {one.message_id for one in failed}.union(changed)
    unchanged = [one for one in before if one not in names]
    result = Changed(account=client.account, changed=changed, unchanged=unchanged, failed=failed)
    return Outcome(result, changes)


def _change(message_id: str, *, back_in: frozenset[str], back_out: frozenset[str]) -> str:
    added = [f"+{label}" for label in sorted(back_in)]
    return " ".join([message_id, *added, *(f"-{label}" for label in sorted(back_out))])


def parsed_changes(
    changes: Sequence[str],
) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Ids of labels to add and to remove, by the id of the mail. Raises InvalidInput."""
    return {message_id: (add, remove) for message_id, add, remove in map(_parsed, changes)}


def _parsed(change: str) -> tuple[str, frozenset[str], frozenset[str]]:
    match = _CHANGE.fullmatch(change)
    words = match[2].split() if match else []
    add = frozenset(word[1:] for word in words if word[0] == "+")
    remove = frozenset(word[1:] for word in words if word[0] == "-")
    if match is None or add & (_FIXED | {"TRASH"}) or remove & _FIXED or add & remove:
        raise InvalidInput(
            f"changes: {change[:80]!r} cannot be used; an entry is as '18c2f0 +INBOX -STARRED',"
            " and +TRASH is for trash."
        )
    return match[1], add, remove
