"""The branches of a session: versions of one message, the leaves below it, and which is shown."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import CTE, ColumnElement, Connection, and_, exists, func, or_, select, update

from orchestrator.domain.chat import Message, Role
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.values import Value
from orchestrator.errors import NotFound
from orchestrator.store.schema import messages


class Place(Value):
    """Where a message hangs."""

    id: str
    role: Role
    parent_id: str | None
    turn_id: str | None
    attachments: list[str]
    """The ids of its files."""


def place_of(conn: Connection, owner_id: str, session_id: str, message_id: str) -> Place:
    """Return where the message hangs. Raises NotFound."""
    columns = messages.c["id", "role", "parent_id", "turn_id", "attachments"]
    query = select(*columns).where(_is_in(owner_id, session_id), messages.c.id == message_id)
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no message {message_id!r} in this session.")
    return Place(**row)


def question_above(conn: Connection, owner_id: str, session_id: str, message_id: str) -> Place:
    """Return the message of the owner at `message_id` or next above it. Raises NotFound."""
    place = place_of(conn, owner_id, session_id, message_id)
    while place.role != "user":
        if place.parent_id is None:
            raise NotFound(f"No message of yours is above {message_id!r}.")
        place = place_of(conn, owner_id, session_id, place.parent_id)
    return place


def versions(
    conn: Connection, owner_id: str, session_id: str, items: Iterable[Message]
) -> dict[str, list[str]]:
    """Return for each of `items` that has siblings the ids of all versions, oldest first."""
    parents = {item.parent_id for item in items}
    hangs = messages.c.parent_id.in_({parent for parent in parents if parent is not None})
    if None in parents:
        hangs = or_(hangs, messages.c.parent_id.is_(None))
    rows = conn.execute(
        select(messages.c.id, messages.c.parent_id)
        .where(_is_in(owner_id, session_id), hangs)
        .order_by(messages.c.position)
    )
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for row in rows:
        children[row.parent_id].append(row.id)
    return {child: ids for ids in children.values() if len(ids) > 1 for child in ids}


def newest_child(
    conn: Connection, owner_id: str, session_id: str, parent_id: str | None
) -> str | None:
    """Return the youngest message that hangs there; None is the root."""
    return conn.execute(
        select(messages.c.id)
        .where(_is_in(owner_id, session_id), messages.c.parent_id.is_not_distinct_from(parent_id))
        .order_by(messages.c.position.desc())
        .limit(1)
    ).scalar_one_or_none()


def last_shown_leaf(conn: Connection, owner_id: str, session_id: str, message_id: str) -> str:
    """Return the end of the branch through `message_id` that was shown or written last."""
    below = subtree(owner_id, session_id, message_id)
    child = messages.alias("child")
    has_child = exists().where(child.c.parent_id == messages.c.id)
    return conn.execute(
        select(messages.c.id)
        .join(below, below.c.id == messages.c.id)
        .where(~has_child)
        .order_by(
            func.coalesce(messages.c.left_at, messages.c.created_at).desc(),
            messages.c.position.desc(),
        )
        .limit(1)
    ).scalar_one()


def leave(conn: Connection, owner_id: str, session_id: str, leaf_message_id: str | None) -> None:
    """Note that another branch than the one that ends here is about to be shown."""
    conn.execute(
        update(messages)
        .where(_is_in(owner_id, session_id), messages.c.id == leaf_message_id)
        .values(left_at=now_rfc3339())
    )


def subtree(owner_id: str, session_id: str, message_id: str) -> CTE:
    """Return the ids of the message and of all below it, as a table with the column `id`."""
    top = select(messages.c.id).where(_is_in(owner_id, session_id), messages.c.id == message_id)
    below = top.cte("below", recursive=True)
    child = messages.alias("descendant")
    return below.union_all(select(child.c.id).join(below, child.c.parent_id == below.c.id))


def _is_in(owner_id: str, session_id: str) -> ColumnElement[bool]:
    return and_(messages.c.owner_id == owner_id, messages.c.session_id == session_id)
