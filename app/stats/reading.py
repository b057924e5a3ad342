"""Figures by bucket and group, summed from the cells."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app import db, figures, zones
from app.auth import Viewer
from app.errors import BadUserInput, LimitExceeded
from app.figures import BUCKETS_MAX, Bucket, Facet, Figures, Grouping, Key, Piece, Span
from app.stats.cells import MINUTE, QUARTER
from app.stats.rolling import MINUTES_HOURS

ROWS_MAX = 1_500
"""Of an answer: buckets, or buckets and groups."""
CELLS_MAX = 50_000
"""That are summed for an answer: about a second of work."""
READ_CELLS_MAX = 2_000
"""About, in one statement."""
SUMMED_TOGETHER = 100
"""Cells, in about a millisecond; then others have a turn."""
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)
_FACETS: Mapping[Grouping | None, tuple[Facet, ...]] = {
    None: (Facet.WHOLE,),
    Grouping.HOUR_OF_DAY: (Facet.WHOLE,),
    Grouping.DESTINATION: (Facet.DESTINATION,),
    Grouping.DIALER: (Facet.DIALER, Facet.UNNAMED, Facet.OTHERS),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, as it came in."""

    begins_at: datetime
    ends_at: datetime
    bucket: Bucket | None = None
    """None: one for the whole span."""
    time_zone: str = "UTC"
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of a bucket, or of a group in it."""

    begins_at: datetime
    ends_at: datetime
    figures: Figures
    destination_index: int | None = None
    dialer: str | None = None
    is_others: bool = False
    """Whether it sums the dialers beyond those that cells have one by one."""
    hour: int | None = None
    """Of the day, 0 to 23."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of a span of time."""

    begins_at: datetime
    ends_at: datetime
    bucket: Bucket | None
    time_zone: str
    rows: Sequence[Row]
    """In the order of time. Without groups, each bucket has one; with groups, those that have attempts."""
    total: Figures


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request that is checked."""

    whole: Span
    spans: Sequence[Span]
    bucket: Bucket | None
    zone: ZoneInfo
    grouping: Grouping | None
    pieces: Sequence[Piece]
    """What it is made of."""


async def of_customer(viewer: Viewer, request: Request) -> Stats:
    """The figures of all of the viewer's outdials, deleted ones too.

    Raises:
        BadUserInput: the span or the time zone cannot be.
        LimitExceeded: it has too many buckets or rows.
    """
    return (await _of_scopes(viewer, {viewer.customer_id: [viewer.customer_id]}, request))[viewer.customer_id]


async def of_campaign(viewer: Viewer, campaign_id: str, request: Request) -> Stats:
    """The figures of the viewer's outdials of a campaign, deleted ones too. Raises as `of_customer`."""
    found = await db.fetch(
        f"""
        SELECT id FROM outdial WHERE customer_id = $1 AND campaign_id = $2 ORDER BY id LIMIT {READ_CELLS_MAX + 1}
        """,
        *(viewer.customer_id, campaign_id),
    )
    if len(found) > READ_CELLS_MAX:
        raise LimitExceeded(f"The campaign has over {READ_CELLS_MAX:,} outdials. Ask for their stats one by one.")
    return (await _of_scopes(viewer, {campaign_id: [row["id"] for row in found]}, request))[campaign_id]


async def of_outdials(viewer: Viewer, outdial_ids: Sequence[str], *, request: Request) -> dict[str, Stats]:
    """The figures of each of the viewer's outdials, by its id. Raises as `of_customer`."""
    return await _of_scopes(viewer, {outdial_id: [outdial_id] for outdial_id in outdial_ids}, request)


# ---------------------------------------------------------------- what is asked for


async def _plan(request: Request) -> _Plan:
    name = zones.named(request.time_zone)
    if name is None:
        raise BadUserInput("Unknown time zone. Use an IANA name such as Europe/Berlin.")
    for instant in (request.begins_at, request.ends_at):
        if instant.tzinfo is None or not _FIRST <= instant <= _LAST:
            raise BadUserInput("from and to must be between the years 2000 and 9000.")
    begin, end = request.begins_at.astimezone(UTC), request.ends_at.astimezone(UTC)
    if begin >= end:
        raise BadUserInput("from must be before to.")
    step = MINUTE if request.bucket is Bucket.MINUTE else QUARTER
    if any(instant.minute % step or instant.second or instant.microsecond for instant in (begin, end)):
        unit = "minute" if step == MINUTE else "quarter of an hour"
        raise BadUserInput(f"from and to must be at a full {unit}.")
    if request.bucket is Bucket.MINUTE and begin < await db.now() - timedelta(hours=MINUTES_HOURS):
        raise BadUserInput(f"Minutes are kept for {MINUTES_HOURS} hours. Use HOUR, or a later from.")
    zone = zones.rules(name)
    spans = figures.spans(Span(begin, end), request.bucket, zone)
    if len(spans) > BUCKETS_MAX:
        raise LimitExceeded(f"There would be over {BUCKETS_MAX:,} buckets. Use longer ones, or a shorter time.")
    pieces = figures.pieces(spans, request.bucket, request.grouping)
    return _Plan(Span(begin, end), spans, request.bucket, zone, request.grouping, pieces)


# ---------------------------------------------------------------- summing


@dataclass(slots=True)
class _Sum:
    """Of one answer."""

    total: Figures = field(default_factory=Figures)
    groups: dict[tuple[int, Key | int], Figures] = field(default_factory=dict)
    """By the number of the bucket, and by the part of a cell or the hour of the day."""

    def add(self, plan: _Plan, begins_at: datetime, key: Key, found: Figures) -> None:
        number = bisect_right(plan.spans, begins_at, key=lambda span: span.begins_at) - 1
        group: Key | int = key
        if plan.grouping is Grouping.HOUR_OF_DAY:
            group = begins_at.astimezone(plan.zone).hour
        self.groups.setdefault((number, group), Figures()).add(found)
        self.total.add(found)


async def _of_scopes(viewer: Viewer, scopes: Mapping[str, Sequence[str]], request: Request) -> dict[str, Stats]:
    """The figures of each name in `scopes`, of all cells of its scopes together."""
    plan = await _plan(request)
    owners = {scope_id: name for name, scope_ids in scopes.items() for scope_id in scope_ids}
    sums = {name: _Sum() for name in scopes}
    number = 0
    if owners:
        async for row in _cells(viewer, list(owners), plan):
            key = Key(Facet(row["facet"]), row["value"])
            sums[owners[row["scope_id"]]].add(plan, row["begins_at"], key, figures.read(row["figures"]))
            number += 1
            if number > CELLS_MAX:
                raise LimitExceeded("That is too much to be summed at once. Ask for a shorter time or for less.")
            if number % SUMMED_TOGETHER == 0:
                await asyncio.sleep(0)
    return {name: _stats(plan, found) for name, found in sums.items()}


async def _cells(viewer: Viewer, scope_ids: Sequence[str], plan: _Plan) -> AsyncIterator[db.Row]:
    facets = _FACETS[plan.grouping]
    parts = len(scope_ids) * (figures.DIALERS_MAX if plan.grouping is Grouping.DIALER else len(facets))
    listed = ", ".join(f"'{facet}'" for facet in facets)
    for piece in plan.pieces:
        length = timedelta(minutes=piece.minutes * max(1, READ_CELLS_MAX // parts))
        at, end = piece.span
        while at < end:
            further = min(at + length, end)
            found = await db.fetch(
                f"""
                SELECT scope_id, begins_at, facet, value, figures FROM stats_cell
                WHERE customer_id = $1 AND scope_id {db.any_of("$2")} AND facet IN ({listed})
                  AND minutes = {piece.minutes} AND begins_at >= $3 AND begins_at < $4
                """,
                *(viewer.customer_id, list(scope_ids), at, further),
            )
            for row in found:
                yield row
            if not found and further < end:  # so that years without attempts take one statement
                further = await _next_cell(viewer, piece.minutes, Span(further, end))
            at = further


async def _next_cell(viewer: Viewer, minutes: int, span: Span) -> datetime:
    """The time of the customer's first cell of this length in a span; the end of the span if it has none."""
    found = await db.fetch(
        f"""
        SELECT begins_at FROM stats_cell
        WHERE customer_id = $1 AND minutes = {minutes} AND begins_at >= $2 AND begins_at < $3
        ORDER BY begins_at LIMIT 1
        """,
        *(viewer.customer_id, *span),
    )
    return found[0]["begins_at"] if found else span.ends_at


def _stats(plan: _Plan, found: _Sum) -> Stats:
    if plan.grouping is None:
        rows = [
            Row(*span, found.groups.get((number, figures.WHOLE)) or Figures()) for number, span in enumerate(plan.spans)
        ]
    else:
        rows = list(_grouped(plan, found))
    if len(rows) > ROWS_MAX:
        raise LimitExceeded(f"There would be over {ROWS_MAX:,} rows. Use longer buckets, or a shorter time.")
    return Stats(*plan.whole, plan.bucket, plan.zone.key, rows, found.total)


def _grouped(plan: _Plan, found: _Sum) -> Iterator[Row]:
    for (number, group), counted in sorted(found.groups.items()):
        span = plan.spans[number]
        if isinstance(group, int):
            yield Row(*span, counted, hour=group)
        elif group.facet is Facet.DESTINATION:
            yield Row(*span, counted, destination_index=int(group.value))
        else:
            dialer = group.value if group.facet is Facet.DIALER else None
            yield Row(*span, counted, dialer=dialer, is_others=group.facet is Facet.OTHERS)
