"""The object types of figures."""

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from app import codes, stats
from app.figures import Bucket, Figures, Grouping
from app.graphql.schema.enums import Disposition, describe
from app.graphql.schema.fields import at_most, derived, given, resolved
from app.stats.reading import ROWS_MAX

describe(
    Bucket,
    "The length of a bucket of figures.",
    {
        "MINUTE": "A minute. They are kept for 48 hours.",
        "HOUR": "An hour of the time zone. One that comes twice when clocks are set back has two buckets.",
        "DAY": "A day of the time zone: 23 or 25 hours when clocks change.",
    },
    name="StatsBucket",
)
describe(
    Grouping,
    "What figures are grouped by.",
    {
        "DESTINATION": "The index of the destination.",
        "DIALER": "The name that the dialer gave for itself.",
        "HOUR_OF_DAY": "The hour of the day in the time zone, whatever the date.",
    },
    name="StatsGrouping",
)

From: TypeAlias = Annotated[
    datetime,
    strawberry.argument(
        name="from", description="The first instant, at a full quarter of an hour; for MINUTE at a full minute."
    ),
]
To: TypeAlias = Annotated[datetime, strawberry.argument(name="to", description="The instant after the last one.")]
InBuckets: TypeAlias = Annotated[
    Bucket | None, strawberry.argument(description="The length of a bucket. Default: one for the whole time.")
]
InZone: TypeAlias = Annotated[
    str | None, strawberry.argument(description="The IANA time zone of hours and days. Default: UTC.")
]
GroupBy: TypeAlias = Annotated[
    Grouping | None, strawberry.argument(description="What each bucket is divided by. Default: nothing.")
]


def requested(
    begin: datetime, end: datetime, bucket: Bucket | None, time_zone: str | None, group_by: Grouping | None
) -> stats.Request:
    return stats.Request(begin, end, given(bucket), given(time_zone) or "UTC", given(group_by))


@strawberry.type(description="The number of attempts with one result.")
class DispositionCount:
    disposition: Disposition = derived(lambda item: item[0], "The result.")
    count: int = derived(lambda item: item[1], "The number of attempts, at least 1.")


@strawberry.type(description="The number of attempts with one result code.")
class CodeCount:
    code: str = derived(lambda item: item[0], "The code.")
    count: int = derived(lambda item: item[1], "The number of attempts, at least 1.")


def _dispositions(counted: Figures) -> list[tuple[Disposition, int]]:
    return [(one, counted.dispositions[one]) for one in Disposition if counted.dispositions[one]]


def _with_code(
    counted: strawberry.Parent[Figures],
    code: Annotated[str, strawberry.argument(description="The code, as it was reported.")],
) -> int:
    return counted.codes[code]


@strawberry.type(
    name="Figures", description="Counts of attempts. Released attempts are left out, as if they had not been made."
)
class CountedFigures:
    attempts: int = strawberry.field(description="All attempts that were claimed in the time.")
    answered: int = strawberry.field(description="Those with the result ANSWERED.")
    dispositions: list[DispositionCount] = derived(
        _dispositions,
        "Those with a result, by result. Results without attempts are left out.",
        items_max=len(Disposition),
    )
    with_code: int = resolved(_with_code, "Those with one of the owner's own results.")
    right_parties: int = strawberry.field(description="Those that reached the person who was wanted, by their code.")
    conversions: int = strawberry.field(description="Those that were a success, by their code.")
    reached_targets: int = derived(
        lambda counted: counted.reached,
        "Targets that were reached: each counts once, at its first ANSWERED attempt.",
    )
    median_ring_seconds: float | None = derived(
        lambda counted: counted.ring.median(),
        "The median of ringSeconds, exact. Null if no attempt has them.",
    )
    median_talk_seconds: float | None = derived(
        lambda counted: counted.talk.median(),
        "The median of talkSeconds, exact. Null if no attempt has them.",
    )


@strawberry.type(description="The figures of a bucket, or of a group in it.")
class StatsRow:
    begins_at: datetime = strawberry.field(name="from", description="The first instant of the bucket.")
    ends_at: datetime = strawberry.field(name="to", description="The instant after its last one.")
    destination_index: int | None = strawberry.field(
        description="The destination's index. Null if they are not grouped by destination."
    )
    dialer: str | None = strawberry.field(
        description="The dialer's name. Null if they are not grouped by dialer, for attempts of dialers that gave "
        "none, and if isOthers is true."
    )
    is_others: bool = strawberry.field(
        description="Whether the row sums other dialers: in each hour, the 100 with the most attempts have rows of "
        "their own."
    )
    hour: int | None = strawberry.field(
        description="The hour of the day, 0 to 23. Null if they are not grouped by hour."
    )
    figures: CountedFigures = strawberry.field(description="The figures.")


def _codes(found: stats.Stats) -> list[tuple[str, int]]:
    return sorted(found.total.codes.items(), key=lambda item: (-item[1], item[0]))[: codes.KEPT_CODES_MAX]


@strawberry.type(
    description="Figures of attempts by the time at which they were claimed. A result counts in the bucket of its "
    "claim, also if it comes later. What happens is in them within 5 seconds. Resets and deletions change nothing."
)
class Stats:
    begins_at: datetime = strawberry.field(name="from", description="The first instant, as asked for.")
    ends_at: datetime = strawberry.field(name="to", description="The instant after the last one.")
    time_zone: str = strawberry.field(description="The time zone of hours and days.")
    total: CountedFigures = strawberry.field(description="The figures of the whole time.")
    codes: list[CodeCount] = derived(
        _codes,
        "The attempts of the whole time with a result code, by code, the most frequent first.",
        items_max=codes.KEPT_CODES_MAX,
    )
    rows: list[StatsRow] = strawberry.field(
        description="In the order of time. Without groups, each bucket has a row; otherwise, buckets and groups "
        "without attempts are left out.",
        metadata=at_most(ROWS_MAX),
    )
