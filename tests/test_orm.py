"""Models on our own statements: what holds for a statement holds for what a model sends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.exceptions import DoesNotExist

from app import db, ids, models, outdials
from app.auth import Viewer
from app.db import statements, units
from app.db.transactions import Transaction
from app.errors import Unavailable
from app.lifecycle import UnconfirmedAction
from app.records import OutdialDraft, PolicyDraft
from tests.conftest import Databases, Kind
from tests.support import factories

ROUND_SECOND = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""Without microseconds, which Python leaves out of an instant's text."""


async def keep(tx: Transaction, viewer: Viewer, key: str, **fields: Any) -> models.IdempotencyKey:
    values = {"mutation": "m", "input_hash": "h", "answer": ["a", "b"], "tm_create": ROUND_SECOND} | fields
    return await models.IdempotencyKey.create(using_db=tx.orm, customer_id=viewer.customer_id, key=key, **values)


async def read(tx: Transaction, viewer: Viewer, key: str) -> models.IdempotencyKey | None:
    return await models.IdempotencyKey.get_or_none(using_db=tx.orm, customer_id=viewer.customer_id, key=key)


async def raw(viewer: Viewer) -> list[dict[str, Any]]:
    columns = "customer_id, key, answer, tm_create"
    found = await db.fetch(f"SELECT {columns} FROM idempotency_key WHERE customer_id = $1", viewer.customer_id)
    return [dict(row) for row in found]


async def test_what_a_model_writes_is_there_once_its_unit_is_committed(database: str, viewer: Viewer) -> None:
    made = await db.transaction(keep, viewer, "k")
    found = await db.transaction(read, viewer, "k")
    assert found is not None
    assert (found.key, str(found.customer_id), found.answer) == (made.key, viewer.customer_id, ["a", "b"])
    assert found.tm_create == ROUND_SECOND
    assert found.tm_create.utcoffset() == timedelta(0)


async def test_what_a_model_writes_is_gone_with_its_unit(database: str, viewer: Viewer) -> None:
    class WouldRollBackError(Exception):
        pass

    async def work(tx: Transaction) -> None:
        await keep(tx, viewer, "k")
        assert await read(tx, viewer, "k") is not None
        assert await tx.fetch("SELECT key FROM idempotency_key WHERE customer_id = $1", viewer.customer_id)
        raise WouldRollBackError

    with pytest.raises(WouldRollBackError):
        await db.transaction(work)
    assert await db.transaction(read, viewer, "k") is None


async def test_a_model_and_a_statement_spell_the_same(database: str, viewer: Viewer) -> None:
    """Ids, instants and JSON: a model finds what a statement wrote, and what it wrote compares as text does."""
    await db.transaction(keep, viewer, "by model")

    async def by_statement(tx: Transaction) -> None:
        await tx.fetch(
            """
            INSERT INTO idempotency_key (customer_id, mutation, key, input_hash, answer, tm_create)
            VALUES ($1, 'm', 'by statement', 'h', $2, $3)
            """,
            viewer.customer_id,
            '["a","b"]',
            ROUND_SECOND,
        )

    await db.transaction(by_statement)
    one, other = await raw(viewer)
    assert {type(value) for value in one.values()} == {str, datetime}
    for name in ("customer_id", "answer", "tm_create"):
        assert one[name] == other[name], name
    if not db.is_postgres():
        spelled = await db.fetch(
            "SELECT CAST(tm_create AS TEXT) AS text, answer FROM idempotency_key WHERE customer_id = $1",
            viewer.customer_id,
        )
        assert [row["text"] for row in spelled] == ["2026-03-01 12:00:00.000000+00:00"] * 2

    async def compared(tx: Transaction) -> list[int]:
        return [
            await models.IdempotencyKey.filter(customer_id=viewer.customer_id, tm_create__lt=instant)
            .using_db(tx.orm)
            .count()
            for instant in (ROUND_SECOND, ROUND_SECOND + timedelta(microseconds=1))
        ]

    assert await db.transaction(compared) == [0, 2]


async def test_a_model_says_how_many_rows_it_changed(database: str, viewer: Viewer) -> None:
    async def work(tx: Transaction) -> list[int]:
        for number in range(3):
            await keep(tx, viewer, f"k{number}")
        mine = models.IdempotencyKey.filter(customer_id=viewer.customer_id).using_db(tx.orm)
        other = models.IdempotencyKey.filter(customer_id=ids.new()).using_db(tx.orm)
        return [
            await mine.update(input_hash="i"),
            await other.update(input_hash="i"),
            await mine.filter(key="k1").delete(),
            await mine.delete(),
            await mine.delete(),
        ]

    assert await db.transaction(work) == [3, 0, 1, 2, 0]


async def test_what_a_model_sends_is_counted_and_seen(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    run = statements.run

    async def listening(connection: Any, sql: str, args: Any) -> Any:
        seen.append(sql)
        return await run(connection, sql, args)

    monkeypatch.setattr(statements, "run", listening)

    async def work(tx: Transaction) -> None:
        before = statements.sent
        await keep(tx, viewer, "k")
        await read(tx, viewer, "k")
        await models.IdempotencyKey.filter(customer_id=viewer.customer_id).using_db(tx.orm).update(mutation="l")
        await models.IdempotencyKey.filter(customer_id=viewer.customer_id).using_db(tx.orm).delete()
        assert statements.sent - before == 4

    await db.transaction(work)
    await models.EventEpoch.get_or_none(using_db=db.reader(), epoch=1)
    assert [sql.split()[0] for sql in seen] == ["INSERT", "SELECT", "UPDATE", "DELETE", "SELECT"]
    assert all("customer_id" in sql for sql in seen[:4])


async def test_a_model_that_names_no_connection_is_refused(database: str, viewer: Viewer) -> None:
    """On SQLite it would wait for the unit that holds the connection, which waits for it."""

    async def work(tx: Transaction) -> None:
        with pytest.raises(RuntimeError, match="IdempotencyKey names no connection"):
            await models.IdempotencyKey.get_or_none(key="k")
        with pytest.raises(RuntimeError, match="Outdial names no connection"):
            await models.Outdial.filter(customer_id=viewer.customer_id).update(name="x")
        with pytest.raises(RuntimeError, match="EventEpoch names no connection"):
            await models.EventEpoch.create(customer_id=viewer.customer_id, epoch=9, last_tx=0, closed_at=ROUND_SECOND)

    async with asyncio.timeout(20):
        await db.transaction(work)


async def test_a_reader_does_not_write(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    mine = {"customer_id": viewer.customer_id, "id": outdial.id}
    with pytest.raises(RuntimeError, match="unit of work"):
        await models.EventEpoch.create(
            using_db=db.reader(), customer_id=viewer.customer_id, epoch=9, last_tx=0, closed_at=ROUND_SECOND
        )
    with pytest.raises(RuntimeError, match="unit of work"):
        await models.Outdial.filter(**mine).using_db(db.reader()).update(name="another")
    with pytest.raises(DoesNotExist):
        await models.EventEpoch.get(using_db=db.reader(), epoch=9)
    assert (await models.Outdial.get(using_db=db.reader(), **mine)).name == outdial.name


async def test_a_model_holds_a_row_as_a_statement_does(postgres_url: str, viewer: Viewer) -> None:
    await db.connect(postgres_url)
    try:
        outdial = await factories.make_outdial(viewer)
        held, may_go = asyncio.Event(), asyncio.Event()
        order: list[str] = []

        async def hold(tx: Transaction) -> None:
            mine = models.Outdial.filter(customer_id=viewer.customer_id, id=outdial.id)
            await mine.select_for_update().using_db(tx.orm).get()
            held.set()
            await may_go.wait()
            order.append("first")

        async def write(tx: Transaction) -> None:
            mine = models.Outdial.filter(customer_id=viewer.customer_id, id=outdial.id)
            await mine.using_db(tx.orm).update(name="second")
            order.append("second")

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(db.transaction(hold))
            await held.wait()
            group.create_task(db.transaction(write))
            await asyncio.sleep(0.2)
            may_go.set()
        assert order == ["first", "second"]
    finally:
        await db.close()


async def test_a_database_that_fails_a_model_is_unavailable(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> Any:
        raise OSError("the connection is gone")

    async def work(tx: Transaction) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(statements, "run", gone)
            await keep(tx, viewer, "k")

    with pytest.raises(Unavailable):
        await db.transaction(work)


async def test_units_with_models_that_are_left_in_the_middle_leak_nothing(database: str, viewer: Viewer) -> None:
    """300 callers that hang up at any moment: each unit is carried out, and the database stays usable."""

    async def work(tx: Transaction, number: int) -> None:
        await keep(tx, viewer, f"k{number}")
        await read(tx, viewer, f"k{number}")

    for number in range(300):
        task = asyncio.create_task(db.transaction(work, number))
        await asyncio.sleep(0.0002 * (number % 7))
        task.cancel()
        await asyncio.wait([task])
    await units.settle(30)
    assert len(await raw(viewer)) == 300
    async with asyncio.timeout(10):
        await db.transaction(keep, viewer, "last")


def test_a_process_may_serve_one_kind_of_database_after_the_other(databases: Databases, viewer: Viewer) -> None:
    """Tortoise keeps the text of statements for a process, and the two databases spell parameters differently."""

    async def use(kind: Kind) -> None:
        async with databases.fresh(kind) as url:
            await db.connect(url)
            try:
                await db.transaction(keep, viewer, "k")
                assert await db.transaction(read, viewer, "k") is not None
            finally:
                await db.close()

    kinds: tuple[Kind, ...] = ("sqlite", "postgres", "sqlite", "postgres")
    for kind in kinds:
        asyncio.run(use(kind))


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=255)
DRAFTS = st.builds(
    OutdialDraft,
    name=TEXT,
    detail=TEXT,
    data=TEXT,
    campaign_id=st.none() | st.uuids().map(str),
    dial_policy=st.none()
    | st.builds(
        PolicyDraft,
        max_try_counts=st.none() | st.tuples(*[st.integers(0, 9)] * 5),
        retry_interval_seconds=st.none() | st.integers(0, 86_400),
        on_unconfirmed=st.none() | st.sampled_from(UnconfirmedAction),
    ),
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(st.tuples(DRAFTS, DRAFTS), min_size=1, max_size=20))
def test_what_a_model_takes_a_statement_gives_back(
    many: list[tuple[OutdialDraft, OutdialDraft]], kind: Kind, databases: Databases
) -> None:
    """Any outdial that the rules allow, created and changed by its model, read by SQL."""

    async def compare() -> None:
        viewer = factories.make_viewer()
        for draft, other in many:
            made = await outdials.create(viewer, draft=draft)
            assert await outdials.get_many(viewer, [made.id]) == {made.id: made}
            assert (made.name, made.detail, made.data) == (draft.name, draft.detail, draft.data)
            changes = {"name": other.name, "data": other.data, "dial_policy": other.dial_policy}
            after = await outdials.update(viewer, made.id, changes=changes)
            assert await outdials.get_many(viewer, [made.id]) == {made.id: after}
            assert (after.name, after.detail, after.data) == (other.name, draft.detail, other.data)

    async def check() -> None:
        async with databases.fresh(kind) as url:
            await db.connect(url)
            try:
                await compare()
            finally:
                await db.close()

    asyncio.run(check())
