"""A change of many targets does what the changes of single ones do, one after the other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, targets
from app.auth import Viewer
from app.lifecycle import Disposition, DoneReason, TargetStatus
from app.pagination import PageRequest
from app.records import AttemptFilter, ChangedTargets, Target, TargetFilter
from tests.conftest import Databases, Kind
from tests.support import factories as make
from tests.support import rows
from tests.support.folding import FoldingClient, progress_of, targets_of

FUTURE = datetime(2100, 5, 6, 7, 8, 9, tzinfo=UTC)
PAST = datetime(2001, 1, 1, tzinfo=UTC)
LISTED_MAX = 8
LIMITS = ((2,) * 5, (1, 1, 1, 1, 1), (0,) * 5, (0, 1, 0, 0, 0))
SHARED = "+15550300001"
"""Every list has targets with this address. It may be suppressed."""


@dataclass(frozen=True)
class Draft:
    """How a target of both lists comes to be."""

    life: str
    priority: int
    zone: str | None
    limits: tuple[int, ...] | None
    not_before: datetime | None
    is_shared: bool


DRAFTS = st.builds(
    Draft,
    life=st.sampled_from(("new", "new", "claimed", "started", "answered", "busy", "canceled", "deleted", "refused")),
    priority=st.integers(0, 2),
    zone=st.sampled_from((None, "Europe/Berlin")),
    limits=st.sampled_from((None, None, (2,) * 5, (1,) * 5)),
    not_before=st.sampled_from((None, None, FUTURE)),
    is_shared=st.booleans(),
)
FILTERS = st.builds(
    TargetFilter,
    statuses=st.lists(st.sampled_from(TargetStatus), max_size=2).map(tuple),
    done_reasons=st.just(()) | st.lists(st.sampled_from(DoneReason), max_size=2).map(tuple),
    key=st.none() | st.sampled_from(("key 0", "key 3", "nobody's")),
    destination=st.sampled_from((None, None, None, "+1 555 030-0001")),
)
UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 2),
        "time_zone": st.sampled_from((None, "Europe/Berlin")),
        "max_try_counts": st.none() | st.sampled_from(LIMITS),
        "not_before": st.sampled_from((None, PAST, FUTURE, FUTURE + timedelta(days=1))),
    },
).filter(bool)


@pytest.fixture
def runner(kind: Kind, databases: Databases) -> Iterator[asyncio.Runner]:
    """Of one database for all examples, each of which has a customer of its own."""
    with asyncio.Runner() as made:
        fresh = databases.fresh(kind)
        url = made.run(fresh.__aenter__())
        made.url = url  # type: ignore[attr-defined]
        made.run(db.connect(url))
        try:
            yield made
        finally:
            made.run(db.close())
            made.run(fresh.__aexit__(None, None, None))


EXAMPLES = settings(
    max_examples=20,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


async def live(viewer: Viewer, drafts: list[Draft]) -> str:
    """A list whose targets have come to where the drafts say."""
    outdial = await make.make_outdial(viewer, policy={"max_try_counts": (2,) * 5})
    for number, draft in enumerate(drafts):
        address = SHARED if draft.is_shared and draft.life != "refused" else make.phone_number()
        target = await make.make_target(
            viewer,
            outdial.id,
            address,
            key=f"key {number}",
            priority=9,
            time_zone=draft.zone,
            max_try_counts=draft.limits,
        )
        await _go_on(viewer, outdial.id, target, draft.life)
        if draft.life != "deleted":
            changes: dict[str, Any] = {"priority": draft.priority}
            if draft.not_before:
                changes["not_before"] = draft.not_before
            await targets.update(viewer, target.id, changes=changes)
    return outdial.id


async def _go_on(viewer: Viewer, outdial_id: str, target: Target, life: str) -> None:
    if life == "canceled":
        await targets.cancel(viewer, target.id)
    elif life == "deleted":
        await targets.delete(viewer, target.id)
    elif life != "new":
        [attempt] = await attempts.claim(viewer, outdial_id)
        assert attempt.target_id == target.id
        results = {"answered": Disposition.ANSWERED, "busy": Disposition.BUSY, "refused": Disposition.DO_NOT_CALL}
        if life == "started":
            await make.start(viewer, attempt.id)
        elif life in results:
            await make.complete(viewer, attempt.id, results[life])


def _when(instant: datetime | None) -> Any:
    """Without what differs between two lists that were made one after the other."""
    if instant is None or instant >= FUTURE:
        return instant
    return "due" if instant <= clock.now() else "later"


async def seen(viewer: Viewer, outdial_id: str, url: str) -> Any:
    """Everything about a list that does not depend on when it was made: targets, attempts, counts and events."""
    found = await targets_of(viewer, outdial_id)
    pages = await attempts.pages_of_outdials(viewer, [outdial_id], request=PageRequest(size=100), where=AttemptFilter())
    tables = await rows.of(url, viewer.customer_id)
    events: Counter[Any] = Counter()
    for event in tables["target_event"]:
        if event["outdial_id"] == outdial_id:
            kind = tuple(event[name] for name in ("type", "previous_status", "status", "done_reason"))
            events[kind] += event["count"]
    standing = [
        (
            *(target.key, target.status, target.done_reason, target.priority, target.time_zone, target.max_try_counts),
            *(target.try_counts, _when(target.next_try_at), target.version, target.last_attempt_id is None),
            *(target.name, target.detail, target.data, [place and place.name for place in target.destinations]),
        )
        for target in found
    ]
    ledger = [(each.state, each.disposition, each.try_number) for each in pages[outdial_id].items]
    return standing, ledger, events, await progress_of(viewer, outdial_id)


async def compare(
    url: str,
    drafts: list[Draft],
    where: TargetFilter,
    *,
    suppressed: bool,
    many: Callable[..., Awaitable[ChangedTargets]],
    one: Callable[[Viewer, str, Target], Awaitable[object]],
) -> None:
    viewer = make.make_viewer()
    outdial_id, twin = [await live(viewer, drafts) for _ in range(2)]
    if suppressed:
        await make.suppress(viewer, SHARED)
        await make.finish_suppressed()
    client = await FoldingClient.join(viewer, outdial_id)
    before = await _written(url, viewer)
    assert await seen(viewer, outdial_id, url) == await seen(viewer, twin, url)

    dry = await many(viewer, outdial_id, where=where, dry_run=True)
    assert await _written(url, viewer) == before
    answer = await many(viewer, outdial_id, where=where)

    page = (await targets.pages(viewer, [twin], request=PageRequest(size=100), where=where))[twin]
    changed = 0
    for target in reversed(page.items):
        await one(viewer, twin, target)
        changed += (await make.read(viewer, target.id)).version > target.version
    assert answer == dry == ChangedTargets(changed, 0)
    assert await seen(viewer, outdial_id, url) == await seen(viewer, twin, url)
    await client.catch_up()
    after = await _written(url, viewer)
    rows.check(after, resets=True)
    assert await many(viewer, outdial_id, where=where) == ChangedTargets(0, 0)
    assert await _written(url, viewer) == after
    _check_told(before, after, outdial_id)


async def _written(url: str, viewer: Viewer) -> rows.Tables:
    """All rows. PostgreSQL reads some in another order once it has counted a table."""
    return {name: sorted(found, key=repr) for name, found in (await rows.of(url, viewer.customer_id)).items()}


def _check_told(before: rows.Tables, after: rows.Tables, outdial_id: str) -> None:
    """One event for each previous status, resulting status and reason; that of a single target is its own.

    A reset takes the targets of each reason in a step of its own.
    """
    known = {event["seq"] for event in before["target_event"]}
    told = [e for e in after["target_event"] if e["outdial_id"] == outdial_id and e["seq"] not in known]
    kinds = [tuple(e[name] for name in ("type", "previous_status", "status", "done_reason")) for e in told]
    assert len(kinds) == len(set(kinds)) or {kind[0] for kind in kinds} == {"RESET"}
    assert len(kinds) <= len(DoneReason) + len(TargetStatus)
    assert all((event["target_id"] is None) == (event["count"] > 1) for event in told)


LISTS = st.lists(DRAFTS, min_size=1, max_size=LISTED_MAX)


@pytest.mark.slow
@EXAMPLES
@given(drafts=LISTS, where=FILTERS, suppressed=st.booleans())
def test_canceling_many_cancels_each(
    runner: asyncio.Runner, drafts: list[Draft], where: TargetFilter, suppressed: bool
) -> None:
    async def one(viewer: Viewer, _: str, target: Target) -> None:
        await targets.cancel(viewer, target.id)

    url = runner.url  # type: ignore[attr-defined]
    runner.run(compare(url, drafts, where, suppressed=suppressed, many=targets.cancel_many, one=one))


@pytest.mark.slow
@EXAMPLES
@given(drafts=LISTS, where=FILTERS, changes=UPDATES, suppressed=st.booleans())
def test_updating_many_updates_each(
    runner: asyncio.Runner, drafts: list[Draft], where: TargetFilter, changes: dict[str, Any], suppressed: bool
) -> None:
    async def many(viewer: Viewer, outdial_id: str, **more: Any) -> ChangedTargets:
        return await targets.update_many(viewer, outdial_id, changes=changes, **more)

    async def one(viewer: Viewer, _: str, target: Target) -> None:
        await targets.update(viewer, target.id, changes=changes)

    url = runner.url  # type: ignore[attr-defined]
    runner.run(compare(url, drafts, where, suppressed=suppressed, many=many, one=one))


@pytest.mark.slow
@EXAMPLES
@given(drafts=LISTS, where=FILTERS, not_before=st.sampled_from((None, PAST, FUTURE)), suppressed=st.booleans())
def test_resetting_many_resets_each(
    runner: asyncio.Runner, drafts: list[Draft], where: TargetFilter, not_before: datetime | None, suppressed: bool
) -> None:
    async def many(viewer: Viewer, outdial_id: str, **more: Any) -> ChangedTargets:
        return await targets.reset(viewer, outdial_id, not_before=not_before, **more)

    async def one(viewer: Viewer, outdial_id: str, target: Target) -> None:
        # by its id, a target that is done with DO_NOT_CALL stays so
        if target.done_reason is not DoneReason.DO_NOT_CALL:
            await targets.reset(viewer, outdial_id, target_ids=[target.id], not_before=not_before)
        elif DoneReason.DO_NOT_CALL in where.done_reasons:
            named = TargetFilter(key=target.key, done_reasons=(DoneReason.DO_NOT_CALL,))
            await targets.reset(viewer, outdial_id, where=named, not_before=not_before)

    url = runner.url  # type: ignore[attr-defined]
    runner.run(compare(url, drafts, where, suppressed=suppressed, many=many, one=one))
