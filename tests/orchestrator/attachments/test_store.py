"""Rows of attachments."""

from datetime import timedelta

import pytest

from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.domain.attachments import Attachment
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.errors import NotFound
from orchestrator.store import attachments, sessions
from tests.orchestrator.attachments.desk import ANN, BO, Desk, opened


@pytest.fixture
async def desk(tmp_path, local: LocalBlobStore):
    async with opened(tmp_path, local) as desk:
        yield desk


async def test_a_claim_binds_files_to_the_session_and_counts_as_a_use(desk: Desk) -> None:
    first, second = await desk.save(name="1.png"), await desk.save(name="2.png")
    await desk.age(first.id, days=3)
    session_id = await desk.session()
    ids = [second.id, first.id, second.id]
    claimed = await desk.database.write(attachments.claim, ANN, ids, session_id)
    assert [one.id for one in claimed] == [second.id, first.id]
    assert {one.session_id for one in claimed} == {session_id}
    assert claimed[1].last_used_at > to_rfc3339(utc_now() - timedelta(minutes=1))
    again = await desk.database.write(attachments.claim, ANN, [first.id], session_id)
    assert [one.id for one in again] == [first.id]


async def test_a_claim_of_what_is_not_ours_is_refused_whole(desk: Desk) -> None:
    session_id, other_id = await desk.session(), await desk.session()
    mine = await desk.save()
    taken = await desk.save(session_id=other_id)
    foreign = await desk.save(owner_id=BO)
    deleted = await desk.save()
    await desk.change(deleted.id, state="deleting", retry_at="9999")
    for wrong in (taken.id, foreign.id, deleted.id, "att_none", ""):
        with pytest.raises(NotFound):
            await desk.database.write(attachments.claim, ANN, [mine.id, wrong], session_id)
    for wrong in (await desk.session(BO), "ses_none"):
        with pytest.raises(NotFound):
            await desk.database.write(attachments.claim, ANN, [mine.id], wrong)
    assert (await desk.files.get(ANN, mine.id)).session_id is None
    assert await desk.database.write(attachments.claim, ANN, [], session_id) == []


async def test_named_keeps_the_order_and_leaves_out_what_is_gone(desk: Desk) -> None:
    made = [await desk.save(name=f"{number}.png") for number in range(3)]
    await desk.files.delete(ANN, [made[1].id])
    wanted = [made[2].id, "att_none", made[1].id, made[0].id, made[2].id]
    found = await desk.database.read(attachments.named, ANN, wanted)
    assert [one.id for one in found] == [made[2].id, made[0].id]
    assert await desk.database.read(attachments.named, BO, wanted) == []


async def test_pages_hold_every_ready_file_once_the_newest_first(desk: Desk) -> None:
    session_id = await desk.session()
    made = [await desk.save(session_id=session_id if n % 2 else None) for n in range(7)]
    await desk.save(owner_id=BO)
    coming = made[0].model_copy(update={"id": new_id("att")})
    await desk.database.write(attachments.begin, ANN, coming)
    for one in made[:3]:
        await desk.change(one.id, created_at=made[0].created_at)
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page, cursor = await desk.database.read(attachments.page, ANN, limit=2, cursor=cursor)
        seen += [one.id for one in page]
    assert cursor is None
    assert seen == [one.id for one in reversed(made)]
    page, _ = await desk.database.read(attachments.page, ANN, limit=9, session_id=session_id)
    assert [one.id for one in page] == [made[5].id, made[3].id, made[1].id]
    for owner_id, wrong in ((BO, session_id), (ANN, "ses_none")):
        with pytest.raises(NotFound):
            await desk.database.read(attachments.page, owner_id, limit=9, session_id=wrong)


async def test_a_foreign_session_takes_no_file(desk: Desk) -> None:
    for session_id in (await desk.session(BO), "ses_none", ""):
        with pytest.raises(NotFound):
            await desk.save(session_id=session_id)
    assert await desk.until(lambda rows: not rows) == {}


async def test_what_was_deleted_while_it_came_in_never_becomes_ready(desk: Desk) -> None:
    session_id = await desk.session()
    now = now_rfc3339()
    coming = Attachment(
        id=new_id("att"),
        name="a.png",
        mime="image/png",
        size_bytes=0,
        sha256="",
        session_id=session_id,
        source="tool",
        tool_call_id="call_1",
        created_at=now,
        last_used_at=now,
    )
    with desk.reaper.spared(coming.id):
        await desk.database.write(attachments.begin, ANN, coming)
        with pytest.raises(NotFound):
            await desk.files.get(ANN, coming.id)
        await desk.database.write(sessions.remove, ANN, session_id)
        with pytest.raises(NotFound):
            await desk.database.write(
                attachments.finish, ANN, coming.id, size_bytes=1, sha256="0" * 64
            )
    assert await desk.rows() == {coming.id: "deleting"}


async def test_deleting_a_session_dooms_its_files_and_no_others(desk: Desk) -> None:
    session_id, other_id = await desk.session(), await desk.session()
    doomed = await desk.save(session_id=session_id)
    kept = [await desk.save(session_id=other_id), await desk.save(owner_id=BO)]
    with pytest.raises(NotFound):
        await desk.database.write(sessions.remove, BO, session_id)
    assert (await desk.rows())[doomed.id] == "ready"
    with desk.reaper.spared(doomed.id):
        await desk.database.write(sessions.remove, ANN, session_id)
        rows = await desk.rows()
        assert rows == {doomed.id: "deleting", **{one.id: "ready" for one in kept}}
        with pytest.raises(NotFound):
            await desk.files.get(ANN, doomed.id)


async def test_pinning_shows_and_unpinning_counts_as_a_use(desk: Desk) -> None:
    session_id = await desk.session()
    one = await desk.save(session_id=session_id)
    assert not one.pinned
    await desk.database.write(sessions.pin, ANN, session_id, pinned=True)
    await desk.age(one.id, days=300)
    assert (await desk.files.get(ANN, one.id)).pinned
    await desk.database.write(sessions.pin, ANN, session_id, pinned=False)
    again = await desk.files.get(ANN, one.id)
    assert not again.pinned
    assert again.last_used_at > to_rfc3339(utc_now() - timedelta(minutes=1))


async def test_nobody_reads_touches_or_deletes_the_file_of_another(desk: Desk) -> None:
    one = await desk.save()
    await desk.age(one.id, days=3)
    before = await desk.files.get(ANN, one.id)
    await desk.database.write(attachments.touch, BO, [one.id])
    with pytest.raises(NotFound):
        await desk.files.get(BO, one.id)
    with pytest.raises(NotFound):
        await desk.files.delete(BO, [one.id])
    assert await desk.files.get(ANN, one.id) == before
    assert await desk.files.owner_of(one.id) == ANN
