"""The roll-up: cells are made again from the ledger wherever the log says that something has changed.

A step takes an outdial's next events and the cells of the attempts that they name. Those are counted anew in the
ledger, and what is made of them: quarters of minutes, hours of quarters, days of hours, and the customer's cells of its
outdials'. So a step may be taken twice, and a late result changes the cell of its claim. The step stores its cells and
its place together: a process that dies loses nothing.

No dialer waits for it: it takes no lock that others take. On PostgreSQL a lock of its own keeps two processes from the
same work, and who finds it taken goes on. SQLite has one process; it reads beside writers, and only writes as one.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app import customers, db, events
from app.auth import Viewer
from app.db import Transaction
from app.events import Position
from app.stats import cells, ledger, positions
from app.stats.cells import DAY, HOUR, MINUTE, QUARTER, Cell, Sheet, floor
from app.stats.ledger import Fetch
from app.stats.positions import Place
from app.stats.woken import woken

STEP_EVENTS_MAX = 1_000
STEP_CELLS_MAX = 15
"""Cells that a step counts in the ledger."""
MINUTES_HOURS = 48
"""So long, figures are kept for each minute."""
FULL_SECONDS = 60.0
"""At least so often all outdials are looked at, if a wake-up was lost."""
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Round:
    """What this process has done last."""

    full_at: float | None = None
    """When it has looked at all outdials, by the process's clock. None: never."""


_last = _Round()


async def roll_up() -> None:
    """Count what has happened since the last round. Housekeeping calls this."""
    now = time.monotonic()
    if woken.all_since is not None or _last.full_at is None or now - _last.full_at >= FULL_SECONDS:
        woken.forget()
        since, woken.all_since = woken.all_since or now, None
        try:
            async for customer_id in customers.every():
                await _look(customer_id, None, since)
        except BaseException:  # also if it is cancelled: the next round looks at all of them again
            woken.all_since = since
            raise
        _last.full_at = now
    elif woken.unknown:
        unknown, woken.unknown = woken.unknown, {}
        async for customer_id in customers.every():
            await _look(customer_id, unknown, min(unknown.values()))
        for topic in unknown:
            woken.owners.setdefault(topic, topic)
    for customer_id in list(woken.by_customer):
        for outdial_id, since in woken.by_customer.pop(customer_id, {}).items():
            await _count(customer_id, outdial_id, since)


def lag_seconds() -> float:
    """For how many seconds something waits to be counted, as far as this process knows; 0 if nothing does."""
    since = woken.since()
    return 0.0 if since is None else time.monotonic() - since


async def _look(customer_id: str, among: Collection[str] | None, since: float) -> None:
    """Find which of a customer's outdials have something to count."""
    found, known = await positions.waiting(customer_id, among)
    woken.owners[customer_id] = customer_id
    woken.owners.update(dict.fromkeys(known, customer_id))
    for outdial_id in found:
        woken.wait(customer_id, outdial_id, since)


async def _count(customer_id: str, outdial_id: str, since: float) -> None:
    is_done = False
    try:
        is_done = await _count_outdial(customer_id, outdial_id)
    finally:
        if not is_done:
            woken.wait(customer_id, outdial_id, since)


async def _count_outdial(customer_id: str, outdial_id: str) -> bool:
    """Take all steps of an outdial that can be taken now. Returns whether nothing is left."""
    while True:
        upto = await events.position(customer_id)
        if db.is_postgres():
            step = await db.transaction(_step_alone, customer_id, outdial_id, upto)
        else:
            step = await _prepare(db.fetch, customer_id, outdial_id, upto)
            await db.transaction(_store, step)
        if step is None or step.is_last:
            return step is not None and step.is_all


@dataclass(frozen=True, slots=True)
class _Step:
    """What is to be stored."""

    customer_id: str
    outdial_id: str
    sheet: Sheet
    place: Place | None
    """None: it stays."""
    is_last: bool
    """Whether no other can be taken now."""
    is_all: bool
    """Whether nothing is left."""


async def _step_alone(tx: Transaction, customer_id: str, outdial_id: str, upto: Position) -> _Step | None:
    """A step, unless another process is at work for this customer."""
    lock = db.named_lock("'stats ' || CAST(customer_id AS text)", tries=True)
    found = await tx.fetch(f"SELECT {lock} AS is_ours FROM customer WHERE customer_id = $1", customer_id)
    if not found:
        return _nothing(tx.fetch, customer_id, outdial_id)
    if not found[0]["is_ours"]:
        return None
    step = await _prepare(tx.fetch, customer_id, outdial_id, upto)
    await _store(tx, step)
    return step


def _nothing(fetch: Fetch, customer_id: str, outdial_id: str) -> _Step:
    """A step that stores nothing, because there is nothing to count."""
    return _Step(customer_id, outdial_id, Sheet(fetch, customer_id), None, is_last=True, is_all=True)


async def _prepare(fetch: Fetch, customer_id: str, outdial_id: str, upto: Position) -> _Step:
    place = await positions.place_of(fetch, customer_id, outdial_id)
    if place is None:
        return _nothing(fetch, customer_id, outdial_id)
    sheet = Sheet(fetch, customer_id)
    if place.at is None:  # what is in the ledger already is read from there
        end = (await events.ends(_system(customer_id), [outdial_id], upto=upto, fetch=fetch))[outdial_id]
        return _Step(customer_id, outdial_id, sheet, Place(end, _BEGINNING), is_last=False, is_all=False)
    found = await positions.news(fetch, customer_id, outdial_id, place.at, limit=STEP_EVENTS_MAX)
    if found.lost_upto is not None:
        return _Step(customer_id, outdial_id, sheet, Place(found.lost_upto, _BEGINNING), is_last=False, is_all=False)
    touched: set[Cell] = set()
    at, number = place.at, 0
    since = floor(await _now(fetch), QUARTER) - timedelta(hours=MINUTES_HOURS)
    for position, claimed_at in found.claims:
        cell = None if claimed_at is None else _cell(outdial_id, claimed_at, since)
        if position > upto or (cell is not None and cell not in touched and len(touched) == STEP_CELLS_MAX):
            break
        if cell is not None:
            touched.add(cell)
        at, number = position, number + 1
    is_cut = number < len(found.claims)
    stopped_by_horizon = is_cut and found.claims[number][0] > upto
    filled_to = place.filled_to
    if filled_to is not None and not touched:
        filled_to = await _fill(fetch, customer_id, outdial_id, filled_to, since, touched)
    await _make(sheet, fetch, customer_id, touched)
    has_more = (is_cut and not stopped_by_horizon) or number == STEP_EVENTS_MAX or filled_to is not None
    moved = Place(at, filled_to)
    return _Step(
        customer_id,
        outdial_id,
        sheet,
        moved if moved != place else None,
        is_last=not has_more,
        is_all=not has_more and not stopped_by_horizon,
    )


async def _fill(
    fetch: Fetch, customer_id: str, outdial_id: str, since: datetime, minutes_since: datetime, touched: set[Cell]
) -> datetime | None:
    """Take the next cells of the ledger. Returns how far they go; None if to its end."""
    while len(touched) < STEP_CELLS_MAX:
        claimed_at = await ledger.next_claim(fetch, customer_id, outdial_id, since)
        if claimed_at is None:
            return None
        cell = _cell(outdial_id, claimed_at, minutes_since)
        touched.add(cell)
        since = cell.span.ends_at
    return since


def _cell(outdial_id: str, claimed_at: datetime, minutes_since: datetime) -> Cell:
    """The smallest cell that an attempt is counted in."""
    minutes = MINUTE if claimed_at >= minutes_since else QUARTER
    return Cell(outdial_id, minutes, floor(claimed_at.astimezone(UTC), minutes))


async def _make(sheet: Sheet, fetch: Fetch, customer_id: str, touched: Collection[Cell]) -> None:
    """Make cells anew, with all that are made of them."""
    for cell in sorted(touched):
        sheet.put(cell, await ledger.figures_of(fetch, customer_id, cell.scope_id, cell.span))
    for minutes, begins_at in sorted({cell[1:] for cell in touched}):
        whole = Cell(customer_id, minutes, begins_at)
        await sheet.load(minutes, whole.span)
        others = [scope_id for scope_id in sheet.scopes(minutes, begins_at) if scope_id != customer_id]
        sheet.put(whole, sheet.sum(Cell(scope_id, minutes, begins_at) for scope_id in others))
    for parts, minutes in ((MINUTE, QUARTER), (QUARTER, HOUR), (HOUR, DAY)):
        changed = {cell.around(minutes) for cell in sheet.changed if cell.minutes == parts}
        for cell in sorted(changed):
            await sheet.load(parts, cell.span, cell.scope_id)
            await sheet.load(minutes, cell.span, cell.scope_id)
            sheet.put(cell, sheet.sum(_parts(cell, parts)))


def _parts(cell: Cell, minutes: int) -> Iterable[Cell]:
    for number in range(0, cell.minutes, minutes):
        yield Cell(cell.scope_id, minutes, cell.begins_at + timedelta(minutes=number))


async def _store(tx: Transaction, step: _Step) -> None:
    writes, removals = step.sheet.differences()
    await cells.write(tx, step.customer_id, writes, removals)
    if step.place is not None:
        await positions.move(tx, step.customer_id, step.outdial_id, step.place)


async def _now(fetch: Fetch) -> datetime:
    found = await fetch(f"SELECT {db.instant_now('$1')} AS now_at", db.now_value())
    now: datetime = found[0]["now_at"]
    return now.astimezone(UTC)


def _system(customer_id: str) -> Viewer:
    """The server itself, on behalf of one customer."""
    return Viewer(customer_id, "", frozenset(), None)
