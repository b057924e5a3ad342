"""The clock is set two hours forward, and then three back: no attempt is doubled, and everything goes on."""

from app import attempts, db
from app.auth import Viewer
from app.errors import UserErrorCode
from app.lifecycle import AttemptState, TargetStatus
from tests.support import factories, rows

HOUR_SECONDS = 3600


async def test_a_clock_that_jumps_ends_leases_early_or_late_but_doubles_no_attempt(
    database: str, viewer: Viewer
) -> None:
    policy = {"lease_seconds": 60, "retry_interval_seconds": 0}
    outdial = await factories.make_outdial(viewer, policy=policy)
    [first] = await factories.make_targets(viewer, outdial.id, 1)
    before = await factories.claim(viewer, outdial.id)

    await factories.expire(2 * HOUR_SECONDS)
    assert (await factories.read_attempt(viewer, before.id)).state is AttemptState.EXPIRED
    assert factories.code(await factories.complete(viewer, before.id)) is UserErrorCode.LEASE_LOST
    ahead = await factories.claim(viewer, outdial.id)  # the target is free again, at once
    assert (ahead.target_id, ahead.try_number) == (first.id, 2)

    await factories.expire(-3 * HOUR_SECONDS)
    assert list(await attempts.claim(viewer, outdial.id)) == []  # still leased, and for longer
    factories.one(await factories.start(viewer, ahead.id))
    factories.one(await factories.extend(viewer, ahead.id))  # from now on by the clock as it is
    factories.one(await factories.complete(viewer, ahead.id))
    [second] = await factories.make_targets(viewer, outdial.id, 1)
    late = await attempts.claim(viewer, outdial.id, limit=2)
    assert second.id in {attempt.target_id for attempt in late}
    await factories.expire(61)
    left = await db.fetch("SELECT id FROM target WHERE status = $1", TargetStatus.PROGRESSING.value)
    assert list(left) == []
    tables = await rows.of(database, viewer.customer_id)
    rows.check(tables)
    rows.check_events(tables)
