"""How the databases run the queries of the schema on a long list: by an index, and reading little that is not shown."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app import attempts, clock, db, ids, outdials, tables, targets
from app.auth import Viewer
from app.lifecycle import LIVE, AttemptState, Disposition, DoneReason, TargetStatus
from app.pagination import PageRequest, Place
from app.records import AttemptFilter, AttemptResult, AttemptStart, Callback, TargetFilter, TargetOrder, rank_of
from app.targets import many
from tests.support import factories, postgres
from tests.test_tenancy import live_through_everything

TARGET = tables.TARGET_ROW.but("zones", "zone_group")
LISTED = 8_000
"""Targets of the outdial, and as many attempts."""
BESIDE_MAX = 500
"""Rows that PostgreSQL may read and leave out for a page of one value. A walk through the list leaves out thousands."""
RARE = 20
"""The targets of each status and reason but IDLE, and the attempts of each state but COMPLETED."""
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
BIG = ("target", "attempt")
LOOKS_MAX = 600


# ---------------------------------------------------------------- a long list


async def insert(columns: tables.Columns, rows: Sequence[Mapping[str, Any]]) -> None:
    async def insert(tx: db.Transaction) -> None:
        await tx.fetch(
            f"INSERT INTO {columns.table} ({columns}) SELECT {columns} FROM {db.rowset('$1', columns.kinds, 'new')}",
            db.rows_value(rows),
        )

    await db.transaction(insert)


def _destination(address: str) -> dict[str, str]:
    return {"type": "TEL", "target": address, "target_name": "", "name": "", "detail": ""}


def _target(viewer: Viewer, outdial_id: str, number: int, target_id: str) -> dict[str, Any]:
    rare, instant = number // RARE, BEGINNING + timedelta(seconds=number)
    status, reason, live = "IDLE", None, None
    if rare == 0:
        status, live = "PROGRESSING", ids.new()
    elif rare <= len(DoneReason):
        status, reason = "DONE", list(DoneReason)[rare - 1].value
    callback = Callback(instant, None, None, 900, "") if rare == len(DoneReason) + 1 else None
    row = dict.fromkeys(TARGET.kinds) | {f"try_count_{index}": 0 for index in range(5)}
    return row | {
        "id": target_id, "customer_id": viewer.customer_id, "outdial_id": outdial_id, "key": f"key-{number}",
        "name": "", "detail": "", "data": "x" * 100, "status": status, "done_reason": reason, "priority": 5,
        "rank": rank_of(5, callback), "callback": callback and asdict(callback), "callback_mask": callback and 1,
        "destination_0": _destination(f"+4930{number:08}"), "invalid_mask": 0, "first_index": 0, "version": 1,
        "next_try_at": instant if status == "IDLE" else None, "last_attempt_id": live,
        "tm_create": instant, "tm_update": instant,
    }  # fmt: skip


def _attempt(viewer: Viewer, outdial_id: str, number: int, target_id: str) -> dict[str, Any]:
    rare, instant = number // RARE, BEGINNING + timedelta(seconds=number)
    states, results = [state for state in AttemptState if state is not AttemptState.COMPLETED], list(Disposition)
    state = states[rare] if rare < len(states) else AttemptState.COMPLETED
    disposition = None if state is not AttemptState.COMPLETED else "NO_ANSWER"
    if len(states) <= rare < len(states) + len(results):
        disposition = results[rare - len(states)].value
    is_live, code = state in LIVE, "RARE" if rare == len(states) else "USUAL"
    return dict.fromkeys(tables.ATTEMPT.kinds) | {
        "id": ids.new(), "customer_id": viewer.customer_id, "outdial_id": outdial_id, "target_id": target_id,
        "destination_index": 0, "destination": _destination("+493000000000"), "try_number": 1, "state": state.value,
        "disposition": disposition, "detail": "", "code": disposition and code,
        "is_right_party": disposition and 0, "is_conversion": disposition and 0,
        "dialer": f"dialer-{number % 400}", "call_id": f"call-{number}",
        "lease_seconds": 60, "expires_at": instant if is_live else None, "claimed_at": instant,
        "ended_at": None if is_live else instant,
    }  # fmt: skip


@pytest.fixture
async def outdial_id(database: str, viewer: Viewer) -> str:
    """A long list, of which a few targets and attempts, the oldest, are anything but the usual."""
    del database
    outdial = await factories.make_outdial(viewer)
    target_ids = [ids.new() for _ in range(LISTED)]
    numbered = list(enumerate(target_ids))
    await insert(TARGET, [_target(viewer, outdial.id, number, made) for number, made in numbered])
    await insert(tables.ATTEMPT, [_attempt(viewer, outdial.id, number, made) for number, made in numbered])
    if db.is_postgres():
        await count_rows(set(BIG))
    return outdial.id


async def count_rows(wanted: set[str]) -> None:
    """As housekeeping does, until these tables are counted: the numbers of rows come a second late."""
    for _ in range(LOOKS_MAX):
        await db.count_grown()
        known = await db.fetch("SELECT relname FROM pg_class WHERE reltuples >= $1", LISTED / 2)
        if wanted <= {row["relname"] for row in known}:  # autovacuum may have been faster
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not counted: {wanted}")


# ---------------------------------------------------------------- plans


@dataclass
class Plans:
    """The plans of the statements that were sent since the last look."""

    whole: list[str] = field(default_factory=list)
    """Tables that were read from end to end, and indexes on SQLite."""
    beside: int = 0
    """Rows that PostgreSQL read and left out."""
    walked: list[str] = field(default_factory=list)
    """Where SQLite goes through the index of a list without filter: it does not count what it leaves out."""
    texts: list[str] = field(default_factory=list)
    watched: tuple[str, ...] = BIG
    """The tables that are big."""

    def take(self) -> "Plans":
        taken = Plans(self.whole, self.beside, self.walked, self.texts)
        self.whole, self.beside, self.walked, self.texts = [], 0, [], []
        return taken


@pytest.fixture
def plans(outdial_id: str, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Explains each statement on a big table before it runs."""
    del outdial_id
    run, found = db.statements.run, Plans()

    async def explaining(connection: Any, sql: str, args: Sequence[Any]) -> Any:
        if any(f"FROM {table}" in sql or f"UPDATE {table}" in sql for table in found.watched):
            if not db.is_postgres():
                _see_sqlite(found, await run(connection, f"EXPLAIN QUERY PLAN {sql}", args))
            elif not any(word in sql.replace("FOR UPDATE", "") for word in ("UPDATE", "DELETE", "INSERT")):
                rows = await run(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", args)
                _see_postgres(found, orjson.loads(rows[0][0])[0]["Plan"])
        return await run(connection, sql, args)

    monkeypatch.setattr(db.statements, "run", explaining)
    return found


def _see_sqlite(found: Plans, rows: Sequence[Mapping[str, Any]]) -> None:
    found.texts += [row["detail"] for row in rows]
    scans = tuple(f"SCAN {name}" for name in found.watched)
    found.whole += [row["detail"] for row in rows if row["detail"].startswith(scans)]
    pages = [f"INDEX {name}_page (" for name in found.watched]
    found.walked += [row["detail"] for row in rows if any(page in row["detail"] for page in pages)]


def _see_postgres(found: Plans, plan: Mapping[str, Any]) -> None:
    for node in _nodes(plan):
        found.texts.append(f"{node['Node Type']} {node.get('Index Name', '')} {node.get('Relation Name', '')}")
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in found.watched:
            found.whole.append(found.texts[-1])
        left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        found.beside += left_out * node["Actual Loops"]


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


ONE_OF_TARGETS: dict[str, TargetFilter] = {
    "nothing": TargetFilter(),
    **{f"status {one}": TargetFilter(statuses=(one,)) for one in TargetStatus},
    **{f"reason {one}": TargetFilter(done_reasons=(one,)) for one in DoneReason},
    **{f"done with {one}": TargetFilter(statuses=(TargetStatus.DONE,), done_reasons=(one,)) for one in DoneReason},
    "callback": TargetFilter(has_callback=True),
    "key": TargetFilter(key="key-77"),
    "destination": TargetFilter(destination="+493000000077"),
    "destination in another spelling": TargetFilter(destination="0049 30 00000077"),
}
SEVERAL_OF_TARGETS: dict[str, TargetFilter] = {
    "two statuses": TargetFilter(statuses=(TargetStatus.PROGRESSING, TargetStatus.DONE)),
    "all statuses": TargetFilter(statuses=tuple(TargetStatus)),
    "all reasons": TargetFilter(done_reasons=tuple(DoneReason)),
}
ONE_OF_ATTEMPTS: dict[str, AttemptFilter] = {
    "nothing": AttemptFilter(),
    **{f"state {one}": AttemptFilter(states=(one,)) for one in AttemptState},
    **{f"disposition {one}": AttemptFilter(dispositions=(one,)) for one in Disposition},
    "in progress": AttemptFilter(states=tuple(LIVE)),
    "code": AttemptFilter(codes=("RARE",)),
    "dialer": AttemptFilter(dialer="dialer-7"),
    "call id": AttemptFilter(call_id="call-7"),
}
SEVERAL_OF_ATTEMPTS: dict[str, AttemptFilter] = {
    "all states": AttemptFilter(states=tuple(AttemptState)),
    "ended states": AttemptFilter(states=tuple(state for state in AttemptState if state not in LIVE)),
    "states of both kinds": AttemptFilter(states=(AttemptState.DIALING, AttemptState.COMPLETED)),
    "all dispositions": AttemptFilter(dispositions=tuple(Disposition)),
    "both codes": AttemptFilter(codes=("RARE", "USUAL")),
}
REQUESTS: dict[str, PageRequest] = {
    "the first page": PageRequest(size=10),
    "the last page": PageRequest(size=10, backward=True),
    "a page in the middle": PageRequest(size=10, after=Place(BEGINNING + timedelta(seconds=LISTED // 2), ids.ZERO)),
}


async def faults_of(
    plans: Plans, read: Callable[[], Awaitable[object]], what: str, *, beside_max: int | None
) -> list[str]:
    plans.take()
    await read()
    seen = plans.take()
    assert seen.texts, what
    faults = [f"{what}: {whole}" for whole in seen.whole]
    if beside_max is None:
        return faults
    if seen.beside > beside_max:
        faults.append(f"{what}: leaves out {seen.beside} rows: {seen.texts}")
    if not what.startswith("nothing"):
        faults += [f"{what}: {walked}" for walked in seen.walked]
    return faults


async def test_no_filter_of_targets_reads_the_whole_list(viewer: Viewer, outdial_id: str, plans: Plans) -> None:
    faults: list[str] = []
    for filters, beside_max in ((ONE_OF_TARGETS, BESIDE_MAX), (SEVERAL_OF_TARGETS, None)):
        for name, where in filters.items():
            for shown, request in REQUESTS.items():
                for order in TargetOrder:

                    async def read(
                        where: TargetFilter = where, request: PageRequest = request, order: TargetOrder = order
                    ) -> None:
                        await targets.pages(viewer, [outdial_id], request=request, where=where, order=order)

                    faults += await faults_of(plans, read, f"{name}, {shown}, {order}", beside_max=beside_max)
            faults += await faults_of(
                plans, lambda where=where: _walk_targets(viewer, outdial_id, where), f"export, {name}", beside_max=None
            )
    assert not faults, "\n".join(faults)


async def _walk_targets(viewer: Viewer, outdial_id: str, where: TargetFilter) -> None:
    async for _ in targets.walk(viewer, outdial_id, upto=clock.now(), size=2_000, where=where):
        pass


async def test_no_plan_on_postgresql_combines_indexes_or_starts_processes(postgres_url: str) -> None:
    """Only with many rows would it combine those of an outdial with those of a customer who has most of all."""
    await db.connect(postgres_url)
    try:
        for name, wanted in (("enable_bitmapscan", "off"), ("max_parallel_workers_per_gather", "0")):
            rows = await db.fetch("SELECT current_setting($1) AS setting", name)
            assert rows[0]["setting"] == wanted
    finally:
        await db.close()


async def test_no_filter_of_attempts_reads_the_whole_list(viewer: Viewer, outdial_id: str, plans: Plans) -> None:
    faults: list[str] = []
    for filters, beside_max in ((ONE_OF_ATTEMPTS, BESIDE_MAX), (SEVERAL_OF_ATTEMPTS, None)):
        for name, where in filters.items():
            for shown, request in REQUESTS.items():

                async def read(where: AttemptFilter = where, request: PageRequest = request) -> None:
                    await attempts.pages_of_outdials(viewer, [outdial_id], request=request, where=where)

                faults += await faults_of(plans, read, f"{name}, {shown}", beside_max=beside_max)
    assert not faults, "\n".join(faults)


async def test_a_page_of_rare_attempts_has_them_all(viewer: Viewer, outdial_id: str) -> None:
    """Each index has the rows that its filter wants: the conditions of the indexes leave nothing out."""
    for state in AttemptState:
        if state is AttemptState.COMPLETED:
            continue
        where = AttemptFilter(states=(state,))
        page = (await attempts.pages_of_outdials(viewer, [outdial_id], request=PageRequest(size=100), where=where))[
            outdial_id
        ]
        assert [attempt.state for attempt in page.items] == [state] * RARE
    both = AttemptFilter(states=(AttemptState.DIALING, AttemptState.EXPIRED))
    page = (await attempts.pages_of_outdials(viewer, [outdial_id], request=PageRequest(size=100), where=both))[
        outdial_id
    ]
    assert len(page.items) == 2 * RARE


async def test_housekeeping_and_claims_read_no_whole_list(viewer: Viewer, outdial_id: str, plans: Plans) -> None:
    """Expired leases, lowered limits, a claim, and the pages of one target's attempts."""
    await attempts.sweep()
    swept = plans.take()
    # SQLite reads the index of the attempts in progress, in which nothing else is
    assert [whole for whole in swept.whole if "attempt_live" not in whole] == []
    await outdials.update(viewer, outdial_id, changes={"dial_policy": factories.PolicyDraft(max_try_counts=(1,) * 5)})
    while await outdials.search_exhausted.go_on():
        pass
    [attempt] = await attempts.claim(viewer, outdial_id)
    await attempts.pages_of_targets(viewer, [attempt.target_id], request=PageRequest(size=10))
    seen = plans.take()
    assert seen.texts
    assert seen.whole == []


async def test_reports_read_the_rows_of_their_attempts_alone(viewer: Viewer, outdial_id: str, plans: Plans) -> None:
    """Not all rows of the customer, which no whole scan shows: it is a search by the first column of an index."""
    made = await attempts.claim(viewer, outdial_id, limit=3)
    plans.take()
    await attempts.start(viewer, starts=[AttemptStart(attempt.id) for attempt in made])
    await attempts.extend(viewer, attempt_ids=[attempt.id for attempt in made])
    await attempts.complete(viewer, results=[AttemptResult(attempt.id, Disposition.BUSY) for attempt in made])
    released = await attempts.claim(viewer, outdial_id, limit=3)
    await attempts.release(viewer, attempt_ids=[attempt.id for attempt in released])
    found = plans.take()
    assert found.texts
    assert found.whole == []
    of_the_customer = [text for text in found.texts if text.endswith("(customer_id=?)")]
    assert [text for text in of_the_customer if text.startswith(tuple(f"SEARCH {name} " for name in BIG))] == []


@pytest.mark.slow
async def test_changes_of_many_read_the_targets_that_they_change(
    viewer: Viewer, outdial_id: str, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step begins in an index behind the one before. How many remain may be counted in any way."""

    async def uncounted(*_: object) -> int:
        return 0

    monkeypatch.setattr(many, "_count", uncounted)
    faults: list[str] = []
    for name, where in {**ONE_OF_TARGETS, **SEVERAL_OF_TARGETS}.items():
        changes = {"priority": len(name) % 9, "time_zone": None}

        async def update(where: TargetFilter = where, changes: dict[str, Any] = changes) -> None:
            await targets.update_many(viewer, outdial_id, where=where, changes=changes)

        faults += await faults_of(plans, update, f"update, {name}", beside_max=LISTED + BESIDE_MAX)
        # all have the priority now: a second call looks at them once
        faults += await faults_of(plans, update, f"update again, {name}", beside_max=LISTED + BESIDE_MAX)

        async def reset(where: TargetFilter = where) -> None:
            await targets.reset(viewer, outdial_id, where=where)

        if TargetStatus.DONE in (where.statuses or TargetStatus):  # no other target is looked at
            faults += await faults_of(plans, reset, f"reset, {name}", beside_max=BESIDE_MAX)
    for name in ("status PROGRESSING", "key", "destination", "two statuses", "nothing"):
        where = {**ONE_OF_TARGETS, **SEVERAL_OF_TARGETS}[name]

        async def cancel(where: TargetFilter = where) -> None:
            await targets.cancel_many(viewer, outdial_id, where=where)

        faults += await faults_of(plans, cancel, f"cancel, {name}", beside_max=BESIDE_MAX)
    assert not faults, "\n".join(faults)


# ---------------------------------------------------------------- young tables


@pytest.mark.slow
async def test_a_plan_made_for_an_empty_table_does_not_outlive_its_growth(postgres_url: str, viewer: Viewer) -> None:
    """In one session: the statement keeps its text, and finds its row by the whole key as soon as the rows are counted.

    Before that it reads all rows of the customer, so this test can fail.
    """
    await postgres.execute(postgres_url, *(f"ALTER TABLE {name} SET (autovacuum_enabled = off)" for name in BIG))
    await db.connect(postgres_url, pool_size=1)
    try:
        outdial = await factories.make_outdial(viewer)
        numbered = [(number, ids.new()) for number in range(LISTED)]
        target_id = numbered[0][1]
        await attempts.counts_of_targets(viewer, [target_id])
        await insert(TARGET, [_target(viewer, outdial.id, *one) for one in numbered])
        await insert(tables.ATTEMPT, [_attempt(viewer, outdial.id, *one) for one in numbered])
        assert await _fetched_by_a_count(viewer, target_id) >= LISTED
        await count_rows(set(BIG))
        assert await _fetched_by_a_count(viewer, target_id) == 1
        assert await db.count_grown() == []
    finally:
        await db.close()


async def _fetched_by_a_count(viewer: Viewer, target_id: str) -> int:
    """How many rows PostgreSQL fetches to count a target's attempts."""
    before = await _fetched()
    assert await attempts.counts_of_targets(viewer, [target_id]) == {target_id: 1}
    return await _fetched() - before


async def _fetched() -> int:
    await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
    await db.fetch("SELECT 1 AS one")
    listed = ", ".join(f"'{name}'" for name in BIG)
    [row] = await db.fetch(f"SELECT sum(idx_tup_fetch) AS n FROM pg_stat_user_tables WHERE relname IN ({listed})")
    return int(row["n"] or 0)


async def test_small_and_large_tables_are_not_counted(postgres_url: str, viewer: Viewer) -> None:
    await db.connect(postgres_url, pool_size=1)
    try:
        await live_through_everything(viewer)
        await asyncio.sleep(1.1)
        await db.fetch("SELECT 1 AS one")
        assert await db.count_grown() == []
    finally:
        await db.close()
