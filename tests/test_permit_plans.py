"""How the databases find whom not to call: by an index, however long the do-not-call list and the ledger are."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import time, timedelta
from typing import Any

import pytest

from app import attempts, clock, db, dialability, foreseeing, ids, outdials, suppressions, tables
from app.auth import Viewer
from app.hours import CallingHours, CallingWindow, Weekday
from app.lifecycle import Disposition
from app.records import (
    CallCap,
    CapScope,
    CapSubject,
    DestinationDraft,
    PolicyDraft,
    SuppressionDraft,
    SuppressionFilter,
    SuppressionSource,
)
from tests.support import factories
from tests.test_plans import (
    BEGINNING,
    BESIDE_MAX,
    BIG,
    LISTED,
    RARE,
    REQUESTS,
    Plans,
    count_rows,
    faults_of,
    insert,
    outdial_id,
    plans,
)

__all__ = ["outdial_id", "plans"]

ALL = (*BIG, "suppression")
SUPPRESSED = LISTED // 2
"""The first of the list have no suppression; as many suppressions are of addresses that no target has."""
DAY = 86_400
CAPS = tuple(CallCap(3, DAY * days, per, over) for days in (1, 30) for per in CapSubject for over in CapScope)
FILTERS = {
    "nothing": SuppressionFilter(),
    **{f"source {one}": SuppressionFilter(sources=(one,)) for one in SuppressionSource},
    "expiring": SuppressionFilter(expires=True),
    "address": SuppressionFilter(target=f"+4930{LISTED:08}"),
    "address in another spelling": SuppressionFilter(target=f"+49 (0)30 {LISTED:08}"),
}
SEVERAL = {
    "all sources": SuppressionFilter(sources=tuple(SuppressionSource)),
    "lasting": SuppressionFilter(expires=False),
    "lasting of a source": SuppressionFilter(sources=(SuppressionSource.OWNER,), expires=False),
}


@pytest.fixture
async def long_list(viewer: Viewer, outdial_id: str, plans: Plans) -> str:
    """An outdial half of whose targets must not be called, with a ledger."""
    far = clock.now() + timedelta(days=400)
    sources = list(SuppressionSource)
    rows: list[dict[str, Any]] = [
        {
            "id": ids.new(), "customer_id": viewer.customer_id, "type": "TEL", "space": "TEL",
            "address": f"+4930{number + SUPPRESSED:08}", "reason": "", "expires_at": far if number < RARE else None,
            "is_pending": 0, "tm_create": BEGINNING + timedelta(seconds=number),
            "source": sources[0 if number >= len(sources) * RARE else number // RARE].value,
        }
        for number in range(LISTED)
    ]  # fmt: skip
    await insert(tables.SUPPRESSION_ROW, rows)
    await factories.suppress(viewer, factories.phone_number())
    if db.is_postgres():
        await count_rows({"suppression"})
    plans.watched = ALL
    plans.take()
    return outdial_id


async def test_no_filter_of_suppressions_reads_the_whole_list(viewer: Viewer, long_list: str, plans: Plans) -> None:
    faults: list[str] = []
    for filters, beside_max in ((FILTERS, BESIDE_MAX), (SEVERAL, None)):
        for name, where in filters.items():
            for shown, request in REQUESTS.items():
                faults += await faults_of(
                    plans,
                    lambda where=where, request=request: suppressions.page(viewer, request, where=where),
                    f"{name}, {shown}",
                    beside_max=beside_max,
                )
            for what, read in (("count", suppressions.count), ("export", _walk)):
                faults += await faults_of(
                    plans, lambda where=where, read=read: read(viewer, where=where), f"{what}, {name}", beside_max=None
                )
    assert not faults, "\n".join(faults)


async def _walk(viewer: Viewer, *, where: SuppressionFilter) -> None:
    async for _ in suppressions.walk(viewer, upto=clock.now(), size=2_000, where=where):
        pass


async def _claim_and_report(viewer: Viewer, outdial_id: str) -> None:
    made = await attempts.claim(viewer, outdial_id, limit=3)
    for attempt in made[:1]:
        await factories.start(viewer, attempt.id)
        await factories.complete(viewer, attempt.id, Disposition.BUSY)


async def _change(viewer: Viewer, outdial_id: str, **policy: Any) -> None:
    await outdials.update(viewer, outdial_id, changes={"dial_policy": PolicyDraft(**policy)})
    await factories.sort_by_zone()
    await factories.finish_exhausted()


def _always(zone: str | None) -> CallingHours:
    return CallingHours(zone, tuple(CallingWindow(day, time(0), time(0)) for day in Weekday), ())


async def _look(viewer: Viewer, outdial_id: str) -> None:
    """Why, when, and how many."""
    [attempt] = await attempts.claim(viewer, outdial_id)
    await dialability.blocks_of_targets(viewer, [attempt.target_id])
    await dialability.blocks_of_outdials(viewer, [outdial_id])
    await foreseeing.next_claims(viewer, [outdial_id])
    await dialability.dialabilities(viewer, [outdial_id])


async def _suppress_and_finish(viewer: Viewer, outdial_id: str) -> None:
    """One that is claimed, one that is idle, one for a day; then they are taken away again."""
    [attempt] = await attempts.claim(viewer, outdial_id)
    for address, days in ((attempt.destination.target, None), ("+493000002000", None), ("+493000002001", 1)):
        until = None if days is None else clock.now() + timedelta(days=days)
        await factories.suppress(viewer, address, expires_at=until)
    await factories.finish_suppressed()
    await suppressions.remove(viewer, drafts=[SuppressionDraft("+493000002001"), SuppressionDraft("+493000002000")])
    await factories.make_target(viewer, outdial_id, "+493000006000", DestinationDraft("+493000001000"))


STEPS: dict[str, tuple[dict[str, Any], Callable[[Viewer, str], Awaitable[None]]]] = {
    "a claim beside suppressions": ({}, _claim_and_report),
    "a claim with caps": ({"caps": CAPS[:5]}, _claim_and_report),
    "a claim with hours": ({"calling_hours": _always("Asia/Tokyo"), "caps": ()}, _claim_and_report),
    "a claim with hours by zone": ({"calling_hours": _always(None)}, _claim_and_report),
    "a claim with everything": ({"caps": CAPS[3:]}, _claim_and_report),
    "why not, with everything": ({}, _look),
    "why not, with caps": ({"calling_hours": None}, _look),
    "why not": ({"caps": ()}, _look),
    "suppressions": ({}, _suppress_and_finish),
}


@pytest.mark.slow
async def test_no_statement_about_whom_to_call_reads_a_whole_table(
    viewer: Viewer, long_list: str, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite by the plan of each statement; on PostgreSQL also by what was read: a claim is no plain query."""
    monkeypatch.setattr(dialability, "COUNT_SECONDS_MAX", 60.0)  # the machine may be busy
    faults: list[str] = []
    for name, (policy, step) in STEPS.items():
        if policy:
            await _change(viewer, long_list, **policy)
        plans.take()
        before = await _read_whole()
        await step(viewer, long_list)
        seen = plans.take()
        # SQLite reads the partial indexes of what is pending or in progress, in which there is nothing else
        faults += [
            f"{name}: {whole}" for whole in seen.whole if not any(few in whole for few in ("_pending", "attempt_live"))
        ]
        # a search by the first column of an index reads all rows of the customer
        of_the_customer = [
            text for text in seen.texts if text.endswith("(customer_id=?)") and "suppression_pending" not in text
        ]
        searches = tuple(f"SEARCH {one} " for one in ALL)
        faults += [f"{name}: {text}" for text in of_the_customer if text.startswith(searches)]
        after = await _read_whole()
        faults += [f"{name}: reads {after[one] - before[one]} of {one}" for one in before if after[one] != before[one]]
    assert not faults, "\n".join(faults)


async def _read_whole() -> dict[str, int]:
    """How many rows sequential scans of the big tables have read."""
    if not db.is_postgres():
        return {}
    await _told()
    listed = ", ".join(f"'{name}'" for name in ALL)
    found = await db.fetch(f"SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE relname IN ({listed})")
    return {row["relname"]: int(row["seq_tup_read"]) for row in found}


async def _told() -> None:
    """A session tells its numbers once a second, at the end of a transaction; each of the pool does."""
    await asyncio.sleep(1.1)
    await asyncio.gather(*[db.fetch("SELECT pg_sleep(0.05)") for _ in range(10)])
