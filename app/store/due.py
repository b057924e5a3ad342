"""Which targets are due: of higher rank first, then the longest due, then by id.

A rank is a priority, or that of callbacks, which is above all. Each is its own range in the index, read only as far as
it is due: in one range over all of them, a million targets of rank 9 that wait for tomorrow would be read before the
one of rank 0 that is due.

On PostgreSQL a range begins with the entries of all targets that were claimed since somebody's oldest snapshot: until
that ends, they cannot be removed, and each claim would pass them all. So a claim begins where the one before it has
found something, and looks at what is before that only if there is not enough behind it.

That nothing was due is not remembered: it does not prove that nothing is. A claim passes over targets that somebody has
locked. If that is rolled back, they are due since an instant in the past, and no wake-up says so.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from app import db, ids
from app.changes import Change
from app.lifecycle import TargetStatus
from app.records import CALLBACK_RANK

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
MARGIN = timedelta(seconds=2)
"""A call makes its target due at an instant that is no older than its transaction, which takes milliseconds."""
MARKS_SECONDS = 5.0
"""After this time a claim looks at everything again, because of changes without a wake-up: a claim that is rolled back
gives back targets with older instants."""
OUTDIALS_MAX = 10_000
_LEVELS = range(CALLBACK_RANK, -1, -1)
RANKS_OF_GROUP = 16
"""More than there are ranks: the due targets of a group of time zones and a rank are one range in their index."""


DUE_AT = "COALESCE(wakes_at, next_try_at)"
"""Since when a target is due. One that caps have put to sleep is due again when it wakes: as the index has it."""


def placing(due: str, source: str = "due") -> str:
    """The rows to take, each with its place in the claim.

    Args:
        due: the rows that are looked at.
        source: those of them that are taken, for FROM.
    """
    # MATERIALIZED: run once. If a plan ran it again for each row, it would lock and take more than the limit.
    return f"""
        due AS MATERIALIZED ({due}),
        placed AS MATERIALIZED (
            SELECT id, next_index, row_number() OVER (ORDER BY rank DESC, due_at, id) AS place FROM {source}
        )
    """


REACHED = """
    reached.lowest, reached.oldest, reached.oldest_id, (SELECT now_at FROM moment) AS now_at
"""
REACHED_FROM = """
    LEFT JOIN (
        SELECT rank AS lowest, due_at AS oldest, id AS oldest_id FROM due
        ORDER BY rank, due_at, id LIMIT 1
    ) AS reached ON TRUE
"""
"""How far a claim came: the lowest rank that it took, and since when the first of these was due, with its id."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Which due rows are looked at, and what is read of them, in SQL."""

    condition: str
    """Others are passed over."""
    values: Sequence[str]
    """With their names, beside the id, the rank and since when it is due."""


def _values(looked: Looked, *, rank: str = "rank") -> str:
    return ", ".join(["id", rank, f"{DUE_AT} AS due_at", *looked.values])


def _branch(rank: str, condition: str, bound: int, looked: Looked, *, is_locked: bool = True) -> str:
    """The due targets of one rank.

    Args:
        rank: in SQL.
        condition: on `DUE_AT`.
        bound: at least as many as are taken, in the text: with a parameter alone, PostgreSQL plans for a tenth of the
            list, and sorts all of it.
        looked: at which rows.
        is_locked: whether they are locked, on PostgreSQL.
    """
    lock = db.for_update("FOR UPDATE SKIP LOCKED") if is_locked else ""
    return f"""
        SELECT {_values(looked)} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = '{TargetStatus.IDLE}' AND tm_delete IS NULL
          AND rank = {rank} AND {condition} AND {looked.condition}
        ORDER BY {DUE_AT}, id LIMIT {bound} {lock}
    """


def bound_of(limit: int) -> int:
    """One of a few numbers, so that there are few different statements to plan."""
    return next(bound for bound in (1, 10, 50, 100, 500, 1_000) if bound >= limit)


def after_marks(limit: str, most: int, now: str, looked: Looked, condition: str, *, since: str, first: str) -> str:
    """The due targets on PostgreSQL.

    Args:
        limit: the number to take, in SQL.
        most: at least this number.
        now: the instant, in SQL.
        looked: at which rows.
        condition: whether to take any.
        since: the parameter with the instants of `Marks.of`.
        first: likewise with its ids.
    """
    # The join runs branch by branch and stops at the limit, so no more rows are locked than are taken. It keeps the
    # order of the list, because a lateral join has no other way to run; sorting would lock every branch's rows.
    levels = _marked(since, first)
    place, bound = f"({DUE_AT}, id)", bound_of(most)
    behind = _branch("level.rank", f"{place} >= (since, first) AND {DUE_AT} <= {now}", bound, looked)
    before = _branch("level.rank", f"{place} < (since, first) AND {DUE_AT} <= {now}", bound, looked)
    return f"""
        WITH behind AS MATERIALIZED (
            SELECT ready.* FROM {levels} CROSS JOIN LATERAL ({behind}) AS ready WHERE {condition} LIMIT {limit}
        ),
        left_over AS MATERIALIZED (SELECT {limit} - count(*) AS number FROM behind)
        SELECT * FROM behind UNION ALL (
            SELECT ready.* FROM {levels} CROSS JOIN LATERAL ({before}) AS ready
            WHERE (SELECT number FROM left_over) > 0 AND {condition} LIMIT (SELECT number FROM left_over)
        )
    """


def _marked(since: str, first: str) -> str:
    """The ranks with their marks, for FROM, the highest first."""
    return (
        f"(SELECT since, first, {CALLBACK_RANK + 1} - CAST(place AS integer) AS rank"
        f" FROM unnest({db.array(since, 'instant')}, {db.array(first, 'uuid')})"
        " WITH ORDINALITY AS given(since, first, place)) AS level"
    )


def on_sqlite(limit: str, bound: int, now: str, looked: Looked) -> str:
    """The due targets on SQLite, whose index has no entries but those of the rows as they are.

    Args:
        limit: the number to take, in SQL.
        bound: so many are read of each rank; at least as many as are taken.
        now: the instant, in SQL.
        looked: at which rows.
    """
    branches = " UNION ALL ".join(
        f"SELECT * FROM ({_branch(str(rank), f'{DUE_AT} <= {now}', bound, looked)})" for rank in _LEVELS
    )
    # MATERIALIZED: SQLite would sort each branch in a sorter of its own, which takes forty times as long.
    return f"""
        WITH ready AS MATERIALIZED ({branches})
        SELECT * FROM ready ORDER BY rank DESC, due_at, id LIMIT {limit}
    """


# ---------------------------------------------------------------- by time zones


# ---------------------------------------------------------------- kept for one dialer

OWN_RANK = CALLBACK_RANK + 1
"""Of callbacks that are kept for the dialer, in its claims: above all."""


def _own(now: str, bound: int, looked: Looked, *, dialer: str) -> str:
    """The due callbacks that are kept for a dialer. However many are kept for others, none of them is read."""
    lock = db.for_update("FOR UPDATE SKIP LOCKED")
    # Not by the rank: tables that were not counted might be read by the index of all that is due.
    return f"""
        SELECT {_values(looked, rank=f"{OWN_RANK} AS rank")} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = '{TargetStatus.IDLE}' AND tm_delete IS NULL
          AND callback_check_at IS NOT NULL AND (callback ->> 'dialer') = {db.typed(dialer, "text")}
          AND {DUE_AT} <= {now} AND {looked.condition}
        ORDER BY {DUE_AT}, id LIMIT {bound} {lock}
    """


def own_first(
    limit: str, most: int, now: str, looked: Looked, condition: str, others: Callable[[str], str], *, dialer: str
) -> str:
    """The due callbacks that are kept for a dialer, then others, on PostgreSQL.

    Args:
        limit: as of `after_marks`.
        most: likewise.
        now: likewise.
        looked: likewise.
        condition: likewise.
        others: what is due otherwise, given how many to take, in SQL.
        dialer: the parameter with its name.
    """
    own = _own(now, bound_of(most), looked, dialer=dialer)
    return f"""
        WITH own AS MATERIALIZED (SELECT ready.* FROM ({own}) AS ready WHERE {condition} LIMIT {limit}),
        other AS MATERIALIZED ({others(f"(SELECT {limit} - count(*) FROM own)")})
        SELECT * FROM own UNION ALL SELECT * FROM other
    """


def own_first_on_sqlite(limit: str, bound: int, now: str, looked: Looked, others: str, *, dialer: str) -> str:
    """Likewise on SQLite.

    Args:
        limit: as of `on_sqlite`.
        bound: likewise.
        now: likewise.
        looked: likewise.
        others: what is due otherwise.
        dialer: the parameter with its name.
    """
    return f"""
        SELECT * FROM (
            SELECT * FROM ({_own(now, bound, looked, dialer=dialer)}) UNION ALL SELECT * FROM ({others})
        ) ORDER BY rank DESC, due_at, id LIMIT {limit}
    """


def range_key(group: str, rank: str) -> str:
    """A value: the place of the range of a group and a rank."""
    return f"{group} * {RANKS_OF_GROUP} + {rank}"


def _of_group(key: str, now: str, bound: int, looked: Looked, *, lock: str = "", beside: str = "") -> str:
    """The due targets of one group of time zones and one rank. Nothing else is read, however many others sleep."""
    return f"""
        SELECT {_values(looked)} FROM target
        WHERE customer_id = $1 AND outdial_id = $2 AND status = '{TargetStatus.IDLE}' AND tm_delete IS NULL
          AND zone_group > 0 AND {range_key("zone_group", "rank")} = {key} AND {DUE_AT} <= {now}
          AND {looked.condition} {beside}
        ORDER BY {DUE_AT}, id LIMIT {bound} {lock}
    """


def awake_on_postgres(
    limit: str, most: int, now: str, looked: Looked, condition: str, *, groups: str, since: str, first: str
) -> str:
    """The due targets in some groups on PostgreSQL.

    Args:
        limit: the number to take, in SQL.
        most: at least this number.
        now: the instant, in SQL.
        looked: at which rows.
        condition: whether to take any.
        groups: the parameter with the numbers of the groups.
        since: as of `after_marks`.
        first: likewise.
    """
    bound, skip = bound_of(most), "FOR UPDATE SKIP LOCKED"
    levels = _marked(since, first)
    wanted = f"(SELECT number FROM unnest({db.array(groups, 'integer')}) AS given(number)) AS awake"
    pairs = f"SELECT level.rank, awake.number FROM {levels} CROSS JOIN {wanted} ORDER BY level.rank DESC"
    # First the longest due of all groups, rank by rank. They are locked one by one, as far as they are taken.
    behind = f"AND ({DUE_AT}, id) >= (level.since, level.first)"
    candidates = f"""
        SELECT of_group.id, of_group.due_at FROM {wanted}
        CROSS JOIN LATERAL ({
        _of_group(range_key("awake.number", "level.rank"), now, bound, looked, beside=behind)
    }) AS of_group
        ORDER BY of_group.due_at, of_group.id LIMIT {bound}
    """
    # CASE: by its key. Tables that were not counted would be read by one of the indexes of what is due.
    taking = f"""
        SELECT {_values(looked)} FROM target
        WHERE customer_id = $1 AND id = candidate.id AND CASE
            WHEN status = '{TargetStatus.IDLE}' AND tm_delete IS NULL AND zone_group > 0 AND {DUE_AT} <= {now}
            THEN {looked.condition}
        END {skip}
    """
    # Then, if there are not enough or other claims hold some of these, whatever else is due.
    others = "AND id NOT IN (SELECT id FROM longest)"
    left = _of_group(range_key("place.number", "place.rank"), now, bound, looked, lock=skip, beside=others)
    return f"""
        WITH longest AS MATERIALIZED (
            SELECT taken_now.* FROM {levels} CROSS JOIN LATERAL ({candidates}) AS candidate
            CROSS JOIN LATERAL ({taking}) AS taken_now WHERE {condition} LIMIT {limit}
        ),
        left_over AS MATERIALIZED (SELECT {limit} - count(*) AS number FROM longest)
        SELECT * FROM longest UNION ALL (
            SELECT ready.* FROM ({pairs}) AS place CROSS JOIN LATERAL ({left}) AS ready
            WHERE (SELECT number FROM left_over) > 0 AND {condition} LIMIT (SELECT number FROM left_over)
        )
    """


def awake_on_sqlite(limit: str, bound: int, now: str, looked: Looked, *, groups: str) -> str:
    """The due targets in some groups on SQLite.

    Args:
        limit: as of `on_sqlite`.
        bound: likewise, of each group and rank.
        now: likewise.
        looked: likewise.
        groups: the parameter with the numbers of the groups.
    """
    levels = ", ".join(f"({rank})" for rank in _LEVELS)
    each = _of_group(range_key("awake.value", "level.column1"), now, bound, looked)
    names = ["id", "rank", "due_at", *(value.rpartition(" AS ")[2] for value in looked.values)]
    read = ", ".join(f"json_extract(found.value, '$[{place}]') AS {name}" for place, name in enumerate(names))
    # A list of each group's targets stands for the lateral join that SQLite does not have.
    return f"""
        WITH listed AS MATERIALIZED (
            SELECT (
                SELECT json_group_array(json_array({", ".join(names)})) FROM ({each})
            ) AS targets FROM (VALUES {levels}) AS level, json_each({groups}) AS awake
        ),
        ready AS MATERIALIZED (
            SELECT {read}
            FROM listed, json_each(listed.targets) AS found
        )
        SELECT * FROM ready ORDER BY rank DESC, due_at, id LIMIT {limit}
    """


def first(now: str, most: int, *, groups: str | None) -> str:
    """The ids of the targets that are due first, without locks.

    Args:
        now: the instant, in SQL.
        most: how many, in the text.
        groups: the parameter with the numbers of the groups, if the calling hours go by time zones.
    """
    everybody = Looked("1 = 1", ())
    if not db.is_postgres():
        found = (
            on_sqlite(str(most), most, now, everybody)
            if groups is None
            else awake_on_sqlite(str(most), most, now, everybody, groups=groups)
        )
        return f"SELECT id FROM ({found}) AS found"
    source = f"(SELECT generate_series({CALLBACK_RANK}, 0, -1) AS rank) AS level"
    if groups is None:
        each = _branch("level.rank", f"{DUE_AT} <= {now}", most, everybody, is_locked=False)
    else:
        source += f" CROSS JOIN unnest({db.array(groups, 'integer')}) AS awake(number)"
        each = _of_group(range_key("awake.number", "level.rank"), now, most, everybody)
    return f"SELECT ready.id FROM {source} CROSS JOIN LATERAL ({each}) AS ready LIMIT {most}"


Mark: TypeAlias = tuple[datetime, str]
"""An instant and an id, as the index sorts them."""
ANY: Hashable = object()
NO_MARKS: list[Mark] = [(BEGINNING, ids.ZERO)] * len(_LEVELS)


@dataclass(slots=True)
class _Known:
    """What claims of an outdial have found."""

    until: float
    marks: list[Mark]
    among: Hashable
    """Among which targets; ANY for those of the next claim."""


class Marks:
    """Where claims begin: for each outdial and rank the place before which no target is due, as far as is known.

    It is a hint: nothing is missed if it is wrong.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def of(self, outdial_id: str, among: Hashable = None) -> list[Mark]:
        """For each rank, the highest first.

        Args:
            outdial_id: whose targets.
            among: which of them are looked at, if not all: what others have found does not count then.
        """
        known = self._known.get(outdial_id)
        if known is None or known.until < time.monotonic() or known.among not in (among, ANY):
            self._known.pop(outdial_id, None)
            return NO_MARKS
        return known.marks

    def note(
        self, outdial_id: str, used: list[Mark], lowest: int, oldest: Mark, now: datetime, among: Hashable = None
    ) -> None:
        """A claim has taken all due targets of the ranks above `lowest`, and of this one before `oldest`.

        Args:
            outdial_id: whose targets.
            used: the marks that it began with. If they are not the present ones, another claim has looked further.
            lowest: a rank.
            oldest: the first that it took of this rank.
            now: its instant.
            among: as of `of`.
        """
        known = self._known.get(outdial_id)
        if known is None and used is not NO_MARKS:
            return  # they have ended meanwhile
        if known is None:
            known = self._begin(outdial_id, used, among)
        elif known.among is ANY:
            known.among = among
        elif known.among != among:
            return
        settled = (now - MARGIN, ids.ZERO)
        reached = [
            mark if rank < lowest else min(oldest, settled) if rank == lowest else settled
            for rank, mark in zip(_LEVELS, used, strict=True)
        ]
        known.marks = reached if known.marks is used else list(map(min, known.marks, reached))

    def forget(self, topics: Collection[str]) -> None:
        """Wake-ups say that targets of some outdials are due since older instants than the marks: see `topics`."""
        if db.EVERY_TOPIC in topics:
            self._known.clear()
        for said in topics:
            if said.startswith(_PREFIX):
                # another list than that of the claims in progress, which note nothing above it
                self._begin(said.removeprefix(_PREFIX), list(NO_MARKS), ANY)

    def _begin(self, outdial_id: str, marks: list[Mark], among: Hashable) -> _Known:
        known = self._known[outdial_id] = _Known(time.monotonic() + MARKS_SECONDS, marks, among)
        if len(self._known) > OUTDIALS_MAX:
            self._known.popitem(last=False)
        return known


def topic(outdial_id: str) -> str:
    """What to wake when a target of the outdial is due since an instant in the past."""
    return f"{_PREFIX}{outdial_id}"


def topics(changes: Iterable[Change[Any]]) -> frozenset[str]:
    """What to wake after changes.

    A call makes its target due now or later. A new priority, or the end of a lease that ended long ago, makes it due
    since an instant in the past.
    """
    return frozenset(
        topic(change.after.outdial_id)
        for change in changes
        if change.after.next_try_at is not None and change.after.next_try_at < change.event["occurred_at"]
    )


_PREFIX = "!"
marks = Marks()
db.on_wake(marks.forget)
