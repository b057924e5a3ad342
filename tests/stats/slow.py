"""A slow sum over the whole ledger, written from the contract: each attempt is looked at, in Python."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from app import attempts, stats
from app.auth import Viewer
from app.figures import Bucket, Figures, Grouping
from app.lifecycle import AttemptState, Disposition
from app.records import Attempt


@dataclass
class Slow:
    """Figures, as plain as can be."""

    attempts: int = 0
    dispositions: Counter[Disposition] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    right_parties: int = 0
    conversions: int = 0
    reached: int = 0
    ring: list[int] = field(default_factory=list)
    talk: list[int] = field(default_factory=list)

    def count(self, attempt: Attempt, *, is_first: bool) -> None:
        self.attempts += 1
        if attempt.disposition is not None:
            self.dispositions[attempt.disposition] += 1
        if attempt.code is not None:
            self.codes[attempt.code] += 1
        self.right_parties += attempt.is_right_party is True
        self.conversions += attempt.is_conversion is True
        self.reached += is_first
        self.ring += [] if attempt.ring_seconds is None else [attempt.ring_seconds]
        self.talk += [] if attempt.talk_seconds is None else [attempt.talk_seconds]

    def told(self) -> tuple[Any, ...]:
        return (
            *(self.attempts, self.dispositions[Disposition.ANSWERED], dict(self.dispositions), dict(self.codes)),
            *(self.right_parties, self.conversions, self.reached),
            *(median(times) if times else None for times in (self.ring, self.talk)),
        )


def told(figures: Figures) -> tuple[Any, ...]:
    """The same of figures that were kept."""
    return (
        *(figures.attempts, figures.answered, {**figures.dispositions}, {**figures.codes}),
        *(figures.right_parties, figures.conversions, figures.reached),
        *(figures.ring.median(), figures.talk.median()),
    )


async def ledger(viewer: Viewer, outdial_ids: Sequence[str], upto: datetime) -> list[Attempt]:
    """Every attempt of some outdials."""
    return [
        attempt
        for outdial_id in outdial_ids
        async for part in attempts.walk(viewer, outdial_id, upto=upto, size=200)
        for attempt in part
    ]


def sums(all_attempts: Sequence[Attempt], group: Callable[[Attempt], Hashable]) -> dict[Hashable, tuple[Any, ...]]:
    """The figures of each group of attempts; of those whose group is None, none."""
    firsts: dict[str, tuple[datetime, str]] = {}
    for attempt in all_attempts:
        if attempt.disposition is Disposition.ANSWERED:
            place = attempt.claimed_at, attempt.id
            firsts[attempt.target_id] = min(place, firsts.get(attempt.target_id, place))
    found: defaultdict[Hashable, Slow] = defaultdict(Slow)
    for attempt in all_attempts:
        if attempt.state is not AttemptState.RELEASED and group(attempt) is not None:
            is_first = firsts.get(attempt.target_id) == (attempt.claimed_at, attempt.id)
            found[group(attempt)].count(attempt, is_first=is_first)
    return {key: slow.told() for key, slow in found.items()}


def bucket_of(at: datetime, request: stats.Request, zone: ZoneInfo) -> Hashable | None:
    """What tells an instant's bucket apart from all others; None if it is outside of the time."""
    if not request.begins_at <= at < request.ends_at:
        return None
    local = at.astimezone(zone)
    if request.bucket is Bucket.MINUTE:
        return at.replace(second=0, microsecond=0)
    if request.bucket is Bucket.HOUR:
        return local.date(), local.hour, local.utcoffset()
    return local.date() if request.bucket is Bucket.DAY else "all"


def group_of(attempt: Attempt, request: stats.Request, zone: ZoneInfo) -> Hashable:
    match request.grouping:
        case Grouping.DESTINATION:
            return attempt.destination_index
        case Grouping.DIALER:
            return attempt.dialer
        case Grouping.HOUR_OF_DAY:
            return attempt.claimed_at.astimezone(zone).hour
        case None:
            return None


def expected(all_attempts: Sequence[Attempt], request: stats.Request) -> dict[Hashable, tuple[Any, ...]]:
    zone = ZoneInfo(request.time_zone)

    def group(attempt: Attempt) -> Hashable:
        bucket = bucket_of(attempt.claimed_at, request, zone)
        return None if bucket is None else (bucket, group_of(attempt, request, zone))

    return sums(all_attempts, group)


def found(answer: stats.Stats, request: stats.Request) -> dict[Hashable, tuple[Any, ...]]:
    """The rows of an answer that have attempts, by what tells them apart."""
    zone = ZoneInfo(request.time_zone)
    rows: dict[Hashable, tuple[Any, ...]] = {}
    for row in answer.rows:
        if row.figures.attempts:
            at = row.begins_at
            key = bucket_of(at, request, zone), _group(row, request)
            assert key not in rows
            assert bucket_of(row.ends_at - timedelta(microseconds=1), request, zone) == key[0]
            rows[key] = told(row.figures)
    return rows


def _group(row: stats.Row, request: stats.Request) -> Hashable:
    assert not row.is_others
    match request.grouping:
        case Grouping.DESTINATION:
            return row.destination_index
        case Grouping.DIALER:
            return row.dialer
        case Grouping.HOUR_OF_DAY:
            return row.hour
        case None:
            return None
