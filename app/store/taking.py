"""What a claim does to the targets that it has chosen, as parts of statements for both databases. Pure."""

from app import db, events, tables
from app.lifecycle import DESTINATIONS, AttemptState, TargetEventType, TargetStatus

_BEGUN = tables.ATTEMPT_ROW.but(
    *("disposition", "code", "is_right_party", "is_conversion", "call_id", "dialed_at", "ended_at"),
    *("ring_seconds", "talk_seconds"),
)
"""The columns that a new attempt has; the others are set when it is dialed and ended."""
TAKEN = tables.TARGET_ROW.only(
    *("id", "last_attempt_id", "last_index", "version", "time_zone", "zones"),
    *(f"{column}_{index}" for column in ("destination", "try_count") for index in range(DESTINATIONS)),
)
"""What an attempt and an event are made of."""


def marking(source: str, *, now: str, attempt_id: str, returning: str) -> str:
    """Marks the rows of `placed` as progressing and counts the try. Attempt ids are given in the order of the claim.

    Args:
        source: `placed`, or what joins it, for FROM.
        now: the instant, in SQL.
        attempt_id: of a row of the source, in SQL.
        returning: what to return of the target and the source. SQLite returns columns of the target alone.
    """
    counts = ", ".join(
        f"try_count_{index} = try_count_{index} + CASE WHEN placed.next_index = {index} THEN 1 ELSE 0 END"
        for index in range(DESTINATIONS)
    )
    # Said twice: a join alone may be planned as a look at all of the customer's targets, and somebody has a million.
    among = f"AND target.id {db.any_found('SELECT id FROM placed')}"
    return f"""
        UPDATE target SET status = '{TargetStatus.PROGRESSING}', next_try_at = NULL, wakes_at = NULL,
            version = version + 1,
            tm_update = CASE WHEN tm_update > {now} THEN tm_update ELSE {now} END,
            last_attempt_id = {attempt_id}, last_index = placed.next_index, {counts}
        FROM {source}
        WHERE target.id = placed.id AND target.customer_id = $1 {among}
        RETURNING {returning}
    """


def _chosen(column: str) -> str:
    """The value of `column` with the number of the destination that the claim chose."""
    cases = " ".join(f"WHEN {index} THEN taken.{column}_{index}" for index in range(DESTINATIONS))
    return f"CASE taken.last_index {cases} END"


CHOSEN = _chosen("destination")
"""Of a row of `taken` the destination that is called, as it is stored."""


def beginning(taken: str, *, now: str, expires: str, dialer: str, seconds: str, permit: str) -> str:
    """Inserts an attempt for each taken target."""
    values = {
        "id": "taken.last_attempt_id",
        "customer_id": db.typed("$1", "uuid"),
        "outdial_id": db.typed("$2", "uuid"),
        "target_id": "taken.id",
        "destination_index": "taken.last_index",
        "destination": CHOSEN,
        "try_number": _chosen("try_count"),
        "state": f"'{AttemptState.CLAIMED}'",
        "detail": "''",
        "dialer": dialer,
        "lease_seconds": seconds,
        "expires_at": expires,
        "claimed_at": now,
        "permit": permit,
    }
    listed = ", ".join(values[column] for column in _BEGUN.kinds)
    return f"INSERT INTO attempt ({_BEGUN}) SELECT {listed} FROM {taken}"


def telling(taken: str, *, now: str) -> str:
    """Inserts an event for each taken target, in the order of the claim."""
    counts = ", ".join(f"taken.try_count_{index}" for index in range(DESTINATIONS))
    values = {
        "customer_id": db.typed("$1", "uuid"),
        "outdial_id": db.typed("$2", "uuid"),
        "target_id": "taken.id",
        "type": f"'{TargetEventType.CLAIMED}'",
        "occurred_at": now,
        "count": "1",
        "status": f"'{TargetStatus.PROGRESSING}'",
        "previous_status": f"'{TargetStatus.IDLE}'",
        "try_counts": db.json_list(counts),
        "version": "taken.version",
        "destination_index": "taken.last_index",
        "attempt_id": "taken.last_attempt_id",
    }
    return events.inserting(values, source=taken, ordering="taken.last_attempt_id")
