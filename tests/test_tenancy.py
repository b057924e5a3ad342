"""Every statement on a tenant's rows is restricted by its customer, so that the tables can be distributed by it."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app import (
    attempts,
    clock,
    codes,
    db,
    events,
    idempotency,
    ids,
    imports,
    outdials,
    rates,
    stats,
    suppressions,
    targets,
)
from app.auth import Viewer
from app.figures import Grouping
from app.lifecycle import Disposition, DoneReason
from app.pacing import Breaker, BreakerState, Pacing
from app.pagination import PageRequest, Place
from app.rates import stored
from app.rates.bucket import Rule
from app.records import (
    AttemptFilter,
    DedupeScope,
    DuplicateAction,
    ImportFilter,
    ImportOptions,
    ImportState,
    OutdialFilter,
    PolicyDraft,
    ResultCodeDraft,
    SuppressionDraft,
    SuppressionFilter,
    SuppressionSource,
    TargetFilter,
)
from app.stats.woken import woken
from tests.support import factories

TENANT_TABLES = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO) \"?(?:customer|outdial|outdial_breaker|outdial_counter|target|attempt|target_event"
    r"|outdial_event|idempotency_key|import_job|import_reject|rate_limit|suppression|stats_cell|stats_place)\b"
)
OVER_ALL_CUSTOMERS = (
    "SELECT id, customer_id, outdial_id FROM attempt",  # leases that ran out
    "SELECT id, customer_id FROM outdial WHERE exhausted_to IS NOT NULL",  # limits that were lowered
    "SELECT customer_id, key FROM idempotency_key WHERE tm_create",  # expired keys
    "SELECT customer_id, id FROM import_job WHERE state IN",  # imports whose server is gone
    "SELECT customer_id, id FROM import_job WHERE finished_at",  # old ones
    "SELECT customer_id, outdial_id FROM outdial_breaker AS breaker WHERE is_watched = 1",  # those to be judged
    "SELECT customer_id FROM suppression WHERE is_pending = 1",  # new ones, whose targets are to be finished
    "SELECT customer_id FROM rate_limit WHERE filled_at",  # buckets that are full again
)
"""What housekeeping looks for without a lock; each row that it finds has its customer, whose rows are then changed."""


async def live_through_everything(viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer, policy={"lease_seconds": 5, "retry_interval_seconds": 0})
    drafts = [factories.target_draft(key=f"k{number}") for number in range(8)]
    await factories.create_many(viewer, outdial.id, drafts)
    for action in DuplicateAction:
        await targets.create_many(
            viewer, outdial.id, drafts=drafts[:2], on_duplicate_key=action, idempotency_key=action
        )
    claimed = await attempts.claim(viewer, outdial.id, limit=6, dialer="d", idempotency_key="once")
    await attempts.claim(viewer, outdial.id, limit=6, dialer="d", idempotency_key="once")
    await factories.start(viewer, claimed[0].id)
    await factories.extend(viewer, claimed[0].id)
    await factories.release(viewer, claimed[1].id)
    for label in ("Sold it", "It was a sale"):
        sale = ResultCodeDraft("SALE", label, Disposition.ANSWERED, is_conversion=True)
        await codes.set_all(viewer, drafts=[sale], idempotency_key=label)
    await codes.get_all(viewer)
    await factories.complete(viewer, claimed[0].id, Disposition.ANSWERED, code="SALE")
    await factories.complete(viewer, claimed[0].id, Disposition.DO_NOT_CALL)
    await targets.update(viewer, claimed[2].target_id, changes={"name": "another"})
    await targets.cancel(viewer, claimed[2].target_id)
    await targets.delete(viewer, claimed[3].target_id)
    await factories.expire(10)
    await outdials.update(viewer, outdial.id, changes={"dial_policy": PolicyDraft(max_try_counts=(1,) * 5)})
    await outdials.search_exhausted.go_on()
    await targets.reset(viewer, outdial.id, done_reasons=list(DoneReason), dry_run=True)
    await targets.reset(viewer, outdial.id, done_reasons=list(DoneReason))
    await change_many(viewer, outdial.id)
    place = Place(outdial.tm_create, outdial.id)
    await outdials.page(viewer, PageRequest(after=place), where=OutdialFilter(name_contains="x"))
    await outdials.count(viewer)
    where = TargetFilter(destination="+15550100000", key="k1")
    await targets.pages(viewer, [outdial.id], request=PageRequest(before=place, backward=True), where=where)
    await targets.counts(viewer, [outdial.id], where=where)
    await attempts.pages_of_outdials(viewer, [outdial.id], request=PageRequest(), where=AttemptFilter(dialer="d"))
    for given in (("SALE",), ("SALE", "LATER")):
        await attempts.counts_of_outdials(viewer, [outdial.id], where=AttemptFilter(codes=given))
    await attempts.counts_of_outdials(viewer, [outdial.id])
    await attempts.pages_of_targets(viewer, [claimed[0].target_id], request=PageRequest(after=place))
    await attempts.counts_of_targets(viewer, [claimed[0].target_id])
    start = events.cursor(outdial.id, events.Position(1, 0, 0))
    stream = events.tail(viewer, outdial.id, after=start)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await events.outdials_with_progress(viewer, [outdial.id])
    await events.prune(viewer.customer_id, await db.now(), limit=1_000)
    await idempotency.purge(limit=1_000)
    for spent in (10, 20):
        await stored.charge(viewer.customer_id, spent, Rule(1_000, 10_000))
    await suppress_something(viewer, outdial.id)
    await import_something(viewer, outdial.id)
    await break_something(viewer)
    await count_something(viewer, outdial.id)
    await outdials.delete(viewer, outdial.id)


async def count_something(viewer: Viewer, outdial_id: str) -> None:
    """Figures are made, read in each way, made again after they were lost, and those of minutes removed."""
    await stats.roll_up()
    now = (await db.now()).replace(minute=0, second=0, microsecond=0)
    for grouping in (None, *Grouping):
        wanted = stats.Request(now - timedelta(days=1), now + timedelta(days=5), grouping=grouping)
        await stats.of_customer(viewer, wanted)
        await stats.of_outdials(viewer, [outdial_id], request=wanted)
    await stats.of_campaign(viewer, ids.new(), wanted)
    woken.forget()
    await stats.roll_up()
    await factories.make_target(viewer, outdial_id)
    await factories.release(viewer, (await factories.claim(viewer, outdial_id)).id)
    await stats.roll_up()
    clock.shift += timedelta(hours=60)
    await stats.prune(viewer.customer_id, limit=1_000)


async def break_something(viewer: Viewer) -> None:
    """A breaker that opens, is read and closed, and is taken out of the policy; and one that is deleted while open."""
    pacing = Pacing(breaker=Breaker(failure_percent=1, window_seconds=60, min_calls=1, pause_seconds=1))
    for _ in range(2):
        outdial = await factories.make_outdial(viewer, policy={"pacing": pacing})
        await factories.make_target(viewer, outdial.id)
        claimed = await attempts.claim(viewer, outdial.id)
        await factories.complete(viewer, claimed[0].id, Disposition.FAILED)
        factories.pass_time(1)
        await outdials.judge_breakers()
        found = await outdials.breaker_statuses(viewer, [outdial.id])
        assert found[outdial.id].state is BreakerState.OPEN
        await attempts.claim(viewer, outdial.id)
    await outdials.delete(viewer, outdial.id)
    again = await factories.make_outdial(viewer)
    await outdials.update(viewer, again.id, changes={"dial_policy": PolicyDraft(pacing=pacing)})
    await outdials.close_breaker(viewer, again.id)
    await outdials.update(viewer, again.id, changes={"dial_policy": PolicyDraft(pacing=None)})
    clock.shift = timedelta(0)


async def change_many(viewer: Viewer, outdial_id: str) -> None:
    """By each kind of filter, with a key and without."""
    now = await db.now()
    changes: dict[str, Any] = {
        "priority": 3,
        "max_try_counts": (2,) * 5,
        "not_before": now,
        "time_zone": "Europe/Berlin",
    }
    filters = (TargetFilter(), TargetFilter(key="k1"), TargetFilter(destination="+15550100000"))
    for number, where in enumerate(filters):
        changes["priority"] = number
        await targets.update_many(viewer, outdial_id, where=where, changes=changes, dry_run=True)
        await targets.update_many(viewer, outdial_id, where=where, changes=changes, idempotency_key=str(number))
    await targets.cancel_many(viewer, outdial_id, where=TargetFilter(key="k2"))
    await targets.reset(viewer, outdial_id, where=TargetFilter(), not_before=now)


async def suppress_something(viewer: Viewer, outdial_id: str) -> None:
    """Claimed, dialed, idle and new targets at an address that must not be called, and such a wish of a callee."""
    address = factories.phone_number()
    for _ in range(3):
        await factories.make_target(viewer, outdial_id, address, priority=9)
    claimed = await attempts.claim(viewer, outdial_id, limit=2)
    await factories.start(viewer, claimed[0].id)
    [one] = await factories.suppress(viewer, address)
    await factories.start(viewer, claimed[1].id)
    await factories.finish_suppressed()
    await attempts.claim(viewer, outdial_id, limit=2)
    target = await factories.make_target(viewer, outdial_id, address, factories.phone_number())
    await targets.update(viewer, target.id, changes={"destination_1": None})
    await targets.reset(viewer, outdial_id, done_reasons=list(DoneReason))
    await factories.complete(viewer, claimed[0].id, Disposition.DO_NOT_CALL)
    request = PageRequest(after=Place(one.tm_create, one.id))
    for where in (
        SuppressionFilter(target=address),
        SuppressionFilter(sources=(SuppressionSource.OWNER,), expires=True),
        SuppressionFilter(sources=tuple(SuppressionSource)),
    ):
        await suppressions.page(viewer, request, where=where)
        await suppressions.count(viewer, where=where)
    async for _ in suppressions.walk(viewer, upto=one.tm_create, size=10):
        pass
    await suppressions.get_many(viewer, [one.id])
    await suppressions.remove(viewer, drafts=[SuppressionDraft(address)])
    await suppressions.remove(viewer, suppression_ids=[one.id])


async def import_something(viewer: Viewer, outdial_id: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"key,phone\nk1,+14155550100\nk9,+14155550101\nk8,nobody\n"

    for options in (
        ImportOptions(dedupe=DedupeScope.CUSTOMER, on_duplicate_key=DuplicateAction.UPDATE),
        ImportOptions(dedupe=DedupeScope.OUTDIAL, dry_run=True),
    ):
        for _ in range(2):
            job = await imports.run(
                viewer,
                outdial_id,
                options=options,
                pieces=pieces(),
                turns=imports.turns(),
                stopping=asyncio.Event(),
                idempotency_key=f"import {options.dry_run}",
            )
            assert job.state is ImportState.COMPLETED, job
    await imports.cancel(viewer, job.id)
    where = ImportFilter(states=(ImportState.COMPLETED,), idempotency_key="import True")
    await imports.pages(viewer, [outdial_id], request=PageRequest(), where=where)
    await imports.counts(viewer, [outdial_id], where=where)
    await imports.rejects(viewer, [job.id], request=PageRequest())
    await imports.reject_counts(viewer, [job.id])
    await imports.end_abandoned()
    clock.shift = timedelta(days=40)
    while await imports.prune(days=30):
        pass
    assert await rates.prune(limit=10) == 1
    clock.shift = timedelta(0)


def names_its_customer(sql: str) -> bool:
    """A new row brings its customer along; what is read or changed is chosen by it, and not only written to it."""
    return "customer_id" in (sql if sql.startswith("INSERT") else sql.partition(" WHERE ")[2])


def test_a_statement_that_writes_the_customer_and_does_not_ask_for_it_is_found() -> None:
    saved = (
        'UPDATE "outdial" SET "customer_id"=?,"name"=? WHERE "id"=? RETURNING 1 AS one'  # what a model's save() sends
    )
    assert TENANT_TABLES.search(saved)
    assert not names_its_customer(saved)
    assert names_its_customer('UPDATE "outdial" SET "name"=? WHERE "customer_id"=? AND "id"=?')


async def test_every_statement_on_a_tenants_rows_names_its_customer(
    database: str, viewer: Viewer, said: list[str]
) -> None:
    await live_through_everything(viewer)
    on_tenants = [sql for sql in said if TENANT_TABLES.search(sql)]
    assert len(set(on_tenants)) > 30
    unrestricted = {
        sql for sql in on_tenants if not names_its_customer(sql) and not sql.lstrip().startswith(OVER_ALL_CUSTOMERS)
    }
    assert unrestricted == set()
    # both ways of writing are among them, SQL and models
    assert {bool('"' in sql) for sql in on_tenants if sql.startswith(("INSERT", "UPDATE"))} == {True, False}
    for beginning in OVER_ALL_CUSTOMERS:
        assert any(sql.startswith(beginning) for sql in on_tenants), beginning


async def test_a_filter_that_no_database_could_hold_is_refused(database: str, viewer: Viewer) -> None:
    from app.errors import BadUserInput

    outdial = await factories.make_outdial(viewer)
    for bad in ("\x00", "a\x00b", "\ud800", "x" * 100_000):
        for question in (
            outdials.page(viewer, PageRequest(), where=OutdialFilter(name_contains=bad)),
            targets.pages(viewer, [outdial.id], request=PageRequest(), where=TargetFilter(key=bad)),
            targets.counts(viewer, [outdial.id], where=TargetFilter(destination=bad)),
            attempts.pages_of_outdials(viewer, [outdial.id], request=PageRequest(), where=AttemptFilter(dialer=bad)),
            attempts.counts_of_outdials(viewer, [outdial.id], where=AttemptFilter(call_id=bad)),
            attempts.counts_of_outdials(viewer, [outdial.id], where=AttemptFilter(codes=(bad,))),
        ):
            with pytest.raises(BadUserInput):
                await question
