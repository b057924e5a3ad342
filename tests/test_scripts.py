"""Scripts: claims and reports take one and two trips to PostgreSQL, and lose nothing of what a transaction promises."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from app import attempts, clock, codes, db, outdials
from app.auth import Viewer
from app.db import connections, units
from app.db.configuration import POSTGRES
from app.errors import Rejected, Unavailable, UserErrorCode
from app.lifecycle import AttemptState, Disposition
from app.records import Attempt, AttemptResult, AttemptStart, ResultCodeDraft
from tests.support import factories, postgres


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    await db.connect(postgres_url, pool_size=4)
    yield postgres_url
    await db.close()


@pytest.fixture
async def outdial_id(url: str, viewer: Viewer) -> str:
    del url
    outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
    await factories.make_targets(viewer, outdial.id, 3)
    return outdial.id


async def states(viewer: Viewer, made: list[Attempt]) -> list[AttemptState]:
    found = await attempts.get_many(viewer, [attempt.id for attempt in made])
    return [found[attempt.id].state for attempt in made]


# ---------------------------------------------------------------- trips


async def test_a_claim_is_one_trip_and_a_report_two(postgres_url: str, viewer: Viewer) -> None:
    """The first of a kind makes its script, so the second is looked at."""
    await db.connect(postgres_url, pool_size=1)
    try:
        outdial = await factories.make_outdial(viewer, policy={"retry_interval_seconds": 0})
        await factories.make_targets(viewer, outdial.id, 4)
        await codes.set_all(viewer, drafts=[ResultCodeDraft("LINE", "Line busy", Disposition.BUSY)])
        heard: list[str] = []
        async with connections.connection(POSTGRES) as connection:
            connection.add_query_logger(lambda record: heard.append(" ".join(record.query.split())))
        for trips in (None, [1, 2, 2, 2]):
            made = await attempts.claim(viewer, outdial.id, limit=2, idempotency_key=f"claim {trips}")
            counted = [len(heard)]
            for work in (
                attempts.start(viewer, starts=[AttemptStart(made[0].id)]),
                attempts.complete(viewer, results=[AttemptResult(made[0].id, Disposition.BUSY, code="LINE")]),
                attempts.release(viewer, attempt_ids=[made[1].id]),
            ):
                heard.clear()
                await work
                counted.append(len([query for query in heard if not query.startswith("SELECT pg_notify")]))
            assert trips is None or counted == trips, heard
            heard.clear()
    finally:
        await db.close()


# ---------------------------------------------------------------- what is decided about stays as it is


async def test_a_claim_that_waited_for_a_pause_finds_the_list_paused(url: str, viewer: Viewer, outdial_id: str) -> None:
    """Its statement sees what was committed while its lock was waited for."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def pause(tx: db.Transaction) -> None:
        await tx.lock(viewer.customer_id, exclusive=[outdial_id])
        await tx.fetch("UPDATE outdial SET state = 'PAUSED' WHERE customer_id = $1", viewer.customer_id)
        entered.set()
        await leave.wait()

    pausing = asyncio.create_task(db.transaction(pause))
    await entered.wait()
    claiming = asyncio.create_task(attempts.claim(viewer, outdial_id))
    await _until_waiting()
    leave.set()
    await pausing
    with pytest.raises(Rejected) as refused:
        await claiming
    assert refused.value.errors[0].code is UserErrorCode.PAUSED


async def _until_waiting() -> None:
    """Until a session of this database waits for a lock."""
    waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
    for _ in range(500):
        if (await db.fetch(waiting))[0]["n"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


CHANGES = {
    "the attempt": "UPDATE attempt SET lease_seconds = lease_seconds + 1",
    "the target": "UPDATE target SET name = 'another'",
    "the policy": "UPDATE outdial SET retry_interval_seconds = 77",
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_report_is_decided_again_if_a_row_has_changed_since_it_was_read(
    url: str, viewer: Viewer, outdial_id: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [made] = await attempts.claim(viewer, outdial_id)
    at_once = units.at_once
    tries = []

    async def changed_before(*args: object, **kwargs: object) -> object:
        tries.append(1)
        await postgres.execute(url, CHANGES[what])
        return await at_once(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(db, "at_once", changed_before)
    await attempts.complete(viewer, results=[AttemptResult(made.id, Disposition.BUSY)])
    assert len(tries) == 1
    assert await states(viewer, [made]) == [AttemptState.COMPLETED]
    target = await factories.read(viewer, made.target_id)
    assert target.name == ("another" if what == "the target" else target.name)
    assert target.next_try_at is not None
    [attempt] = (await attempts.get_many(viewer, [made.id])).values()
    assert attempt.ended_at is not None
    waits = (target.next_try_at - attempt.ended_at).total_seconds()
    assert waits == (77 if what == "the policy" else 0)
    progress = (await outdials.progress(viewer, [outdial_id]))[outdial_id]
    assert (progress.idle, progress.progressing, progress.attempts) == (3, 0, 1)


async def test_twenty_reports_of_one_attempt_at_once_have_one_effect(url: str, viewer: Viewer, outdial_id: str) -> None:
    [made] = await attempts.claim(viewer, outdial_id)
    results = [AttemptResult(made.id, Disposition.BUSY)]
    batches = await asyncio.gather(*(attempts.complete(viewer, results=results) for _ in range(20)))
    assert [batch.errors for batch in batches] == [()] * 20
    rows = await db.fetch(
        "SELECT type FROM target_event WHERE customer_id = $1 AND attempt_id = $2", viewer.customer_id, made.id
    )
    assert sorted(row["type"] for row in rows) == ["CLAIMED", "COMPLETED"]


# ---------------------------------------------------------------- faults


async def test_a_script_that_fails_in_the_middle_leaves_nothing(url: str, viewer: Viewer, outdial_id: str) -> None:
    await postgres.execute(
        url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE 'no'; END $f$",
        "CREATE TRIGGER failing BEFORE INSERT ON target_event FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    with pytest.raises(Exception, match="no"):
        await attempts.claim(viewer, outdial_id)
    await postgres.execute(url, "DROP TRIGGER failing ON target_event")
    progress = (await outdials.progress(viewer, [outdial_id]))[outdial_id]
    assert (progress.idle, progress.attempts) == (3, 0)
    assert await db.fetch("SELECT 1 AS one FROM attempt WHERE customer_id = $1", viewer.customer_id) == []
    assert len(await attempts.claim(viewer, outdial_id, limit=9)) == 3


END_OF_SESSION = (
    "CREATE SEQUENCE goes",
    """
    CREATE FUNCTION go() RETURNS trigger LANGUAGE plpgsql AS $f$
    BEGIN
        IF nextval('goes') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
        RETURN NULL;
    END $f$
    """,
    """
    CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON target_event DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION go()
    """,
)
"""The session ends at the first commit of an event."""


async def test_a_claim_whose_connection_is_lost_at_the_commit_is_uncertain(
    url: str, viewer: Viewer, outdial_id: str
) -> None:
    await postgres.execute(url, *END_OF_SESSION)
    with pytest.raises(Unavailable) as refused:
        await attempts.claim(viewer, outdial_id)
    assert refused.value.message == units.UNCERTAIN
    assert len(await attempts.claim(viewer, outdial_id, limit=9)) == 3


async def test_a_claim_with_a_key_runs_again_if_its_connection_is_lost(
    url: str, viewer: Viewer, outdial_id: str
) -> None:
    await postgres.execute(url, *END_OF_SESSION)
    made = await attempts.claim(viewer, outdial_id, limit=2, idempotency_key="k")
    assert len(made) == 2
    assert await attempts.claim(viewer, outdial_id, limit=2, idempotency_key="k") == made


@pytest.mark.parametrize("was_saved", [False, True])
async def test_a_report_whose_connection_is_lost_runs_again(
    url: str, viewer: Viewer, outdial_id: str, was_saved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the first time was saved or not, it has its effect once."""
    made = await attempts.claim(viewer, outdial_id, limit=2)
    run_script = db.statements.run_script
    lost = []

    async def loses(connection: object, script: db.Script, args: object) -> object:
        if lost:
            return await run_script(connection, script, args)  # type: ignore[arg-type]
        lost.append(1)
        if was_saved:
            await run_script(connection, script, args)  # type: ignore[arg-type]
        raise ConnectionResetError

    monkeypatch.setattr(db.statements, "run_script", loses)
    reports: tuple[Awaitable[object], ...] = (
        attempts.start(viewer, starts=[AttemptStart(made[0].id)]),
        attempts.complete(viewer, results=[AttemptResult(made[0].id, Disposition.BUSY)]),
        attempts.release(viewer, attempt_ids=[made[1].id]),
    )
    for report in reports:
        lost.clear()
        batch = await report
        assert getattr(batch, "errors", None) == ()
    assert await states(viewer, made) == [AttemptState.COMPLETED, AttemptState.RELEASED]
    rows = await db.fetch("SELECT type FROM target_event WHERE customer_id = $1 ORDER BY seq", viewer.customer_id)
    types = [row["type"] for row in rows if row["type"] != "CREATED"]
    assert types == ["CLAIMED", "CLAIMED", "DIALING", "COMPLETED", "RELEASED"]


async def test_a_claim_that_no_standby_confirmed_is_not_acknowledged(url: str, viewer: Viewer, outdial_id: str) -> None:
    """PostgreSQL takes its answer back by a warning."""
    await postgres.execute(
        url,
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
        "RAISE WARNING 'canceling wait for synchronous replication due to user request'; RETURN NULL; END $f$",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON attempt DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION warn()",
    )
    with pytest.raises(Unavailable) as refused:
        await attempts.claim(viewer, outdial_id)
    assert refused.value.message == units.UNCERTAIN


# ---------------------------------------------------------------- time passes, and others hold locks


@pytest.mark.slow
@pytest.mark.parametrize("report", ["start", "extend"])
async def test_a_lease_that_ends_while_its_report_waits_is_lost(url: str, viewer: Viewer, report: str) -> None:
    """Somebody locks the target for longer than the lease: nobody may dial under a lease that has ended."""
    outdial = await factories.make_outdial(viewer, policy={"lease_seconds": 5})
    await factories.make_targets(viewer, outdial.id, 1)
    [made] = await attempts.claim(viewer, outdial.id, lease_seconds=5)
    async with _locked(url, made.target_id):
        if report == "start":
            reporting = asyncio.create_task(attempts.start(viewer, starts=[AttemptStart(made.id)]))
        else:
            reporting = asyncio.create_task(attempts.extend(viewer, attempt_ids=[made.id]))
        await _until_waiting()
        await asyncio.sleep(5.2)
    batch = await reporting
    assert [error.code for error in batch.errors] == [UserErrorCode.LEASE_LOST]
    assert await attempts.sweep() == 1


async def test_a_report_that_waited_begins_its_lease_when_it_is_saved(url: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer, policy={"lease_seconds": 60})
    await factories.make_targets(viewer, outdial.id, 1)
    [made] = await attempts.claim(viewer, outdial.id)
    async with _locked(url, made.target_id):
        starting = asyncio.create_task(attempts.start(viewer, starts=[AttemptStart(made.id)]))
        await _until_waiting()
        await asyncio.sleep(1.5)
    [started] = (await starting).attempts
    assert started.expires_at is not None
    assert (started.expires_at - await db.now()).total_seconds() > 59


async def test_a_locked_target_delays_its_own_report_alone(url: str, viewer: Viewer) -> None:
    """Reports that come together are saved together, but nobody waits for the lock of another's target."""
    outdial = await factories.make_outdial(viewer)
    await factories.make_targets(viewer, outdial.id, 12)
    made = await attempts.claim(viewer, outdial.id, limit=12)
    async with _locked(url, made[3].target_id):
        reports = [
            asyncio.create_task(attempts.complete(viewer, results=[AttemptResult(attempt.id, Disposition.BUSY)]))
            for attempt in made
        ]
        others = [report for number, report in enumerate(reports) if number != 3]
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*others)
        assert [answer.errors for answer in answers] == [()] * 11
        assert not reports[3].done()
    assert (await reports[3]).errors == ()


async def test_a_locked_target_holds_up_no_other_customers_sweep(url: str, viewer: Viewer, stranger: Viewer) -> None:
    made = []
    for one in (viewer, stranger):
        outdial = await factories.make_outdial(one, policy={"lease_seconds": 5})
        await factories.make_targets(one, outdial.id, 1)
        made += await attempts.claim(one, outdial.id)
    async with _locked(url, made[0].target_id):
        clock.shift = timedelta(seconds=10)
        async with asyncio.timeout(20):
            assert await attempts.sweep() == 1
        assert [attempt.state for attempt in (await attempts.get_many(stranger, [made[1].id])).values()] == [
            AttemptState.EXPIRED
        ]
    assert await attempts.sweep() == 1


@asynccontextmanager
async def _locked(url: str, target_id: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN")
        await connection.fetch("SELECT 1 FROM target WHERE id = $1 FOR UPDATE", target_id)
        yield
    finally:
        await connection.close()


# ---------------------------------------------------------------- other people's settings


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_a_role_with_another_isolation_level_changes_nothing(
    postgres_url: str, viewer: Viewer, level: str
) -> None:
    """At those levels a claim that waited for a pause would see the list as it was before."""
    name = postgres_url.rpartition("/")[2]
    await postgres.execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    await db.connect(postgres_url, pool_size=4)
    try:
        outdial = await factories.make_outdial(viewer)
        await factories.make_targets(viewer, outdial.id, 3)
        await test_a_claim_that_waited_for_a_pause_finds_the_list_paused(postgres_url, viewer, outdial.id)
    finally:
        await db.close()


async def test_a_role_that_may_not_make_temporary_objects_is_refused_in_one_line(postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    role = f"plain_{name[-8:]}"
    await postgres.execute(
        postgres_url, f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC", f"CREATE ROLE {role} LOGIN"
    )
    try:
        with pytest.raises(Unavailable, match=f"GRANT TEMPORARY ON DATABASE {name}"):
            await db.connect(postgres_url.replace("outdial@", f"{role}@"))
    finally:
        await postgres.execute(postgres_url, f"DROP ROLE {role}")
