"""What reports work on: attempts with their targets and policies, read and written with few trips.

With locks it is three statements in a transaction. Without, it is one that reads, and a script that takes the locks and
writes if all rows are still what was read.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from app import clock, db, destinations, rows, tables
from app.changes import Change
from app.db import Transaction
from app.lifecycle import DESTINATIONS, AttemptState
from app.records import Attempt
from app.store import due
from app.store.saving import saving

_ATTEMPT = tables.ATTEMPT.only(*rows.ATTEMPT_VALUES)
_TARGET = tables.TARGET.only(*rows.CALLED_VALUES)
POLICY = tables.OUTDIAL.only(
    *("max_try_counts", "retry_interval_seconds", "lease_seconds", "on_unconfirmed", "retry_rules", "tm_delete")
)
"""What reports need of an outdial."""
CODE = tables.RESULT_CODE.but("customer_id", "place")
"""And of a result code."""

DECIDED_SECONDS_MAX = 1.0
"""From the reading of a desk until its changes are written. The new leases begin when it was read."""

EARLIER_ATTEMPTS_MAX = 500
"""Of a target that are read: all, because five destinations have at most 100 tries each."""

Fetch = Callable[..., Awaitable[list[db.Row]]]

_JOINED = """
    JOIN target ON target.customer_id = attempt.customer_id AND target.id = attempt.target_id
    JOIN outdial ON outdial.customer_id = attempt.customer_id AND outdial.id = attempt.outdial_id
    JOIN customer ON customer.customer_id = attempt.customer_id
"""
_MARK = (
    "CAST(attempt.xmin AS text) || ' ' || CAST(target.xmin AS text) || ' ' || CAST(outdial.xmin AS text)"
    " || ' ' || CAST(customer.suppressions_version AS text) || ' ' || CAST(customer.result_codes_version AS text)"
)
"""The transactions that wrote the three rows last: another value after every change. Likewise of the suppressions and
of the result codes."""


def _of_these(known: str) -> str:
    """A condition that follows from the join: the targets are those of some attempts.

    A join alone may be planned as a look at all of the customer's targets, of which somebody has a million. SQLite
    begins with the attempts by itself.
    """
    if not db.is_postgres():
        return ""
    return f"AND target.id {db.any_found(f'SELECT target_id FROM attempt WHERE customer_id = $1 AND {known}')}"


def _locking(attempt_ids: str) -> str:
    """Takes the locks of attempts' outdials (shared), then of their targets, for PostgreSQL: a row for each target.

    Args:
        attempt_ids: the placeholder of the list. $1 is the customer.
    """
    # PostgreSQL evaluates the count once, before it locks the first row.
    return f"""
        WITH touched AS MATERIALIZED (
            SELECT outdial_id, target_id FROM attempt WHERE customer_id = $1 AND id {db.any_of(attempt_ids)}
        ),
        held AS MATERIALIZED (
            SELECT {db.writers_lock()} AS writers, {db.customers_lock()} AS customers,
                {db.named_lock("outdial_id::text", shared=True)} AS outdials
            FROM customer CROSS JOIN (SELECT DISTINCT outdial_id FROM touched ORDER BY outdial_id) AS listed
            WHERE customer_id = $1
        )
        SELECT 1 AS one FROM target WHERE customer_id = $1 AND id {db.any_found("SELECT target_id FROM touched")}
        AND (SELECT count(writers) FROM held) > 0 ORDER BY id FOR UPDATE
    """


async def lock_attempts(tx: Transaction, customer_id: str, attempt_ids: Sequence[str]) -> int | None:
    """Lock the outdials of attempts (shared), then their targets. Unknown attempts lock nothing.

    Returns:
        How many targets are locked; None on SQLite, where the transaction locks everything.
    """
    if not db.is_postgres():
        tx.writes_of = customer_id
        return None
    await tx.stay(customer_id)
    return await tx.open(_locking("$2"), customer_id, list(attempt_ids))


async def read_desk(
    fetch: Fetch,
    customer_id: str,
    attempt_ids: Sequence[str],
    *,
    codes: Collection[str] = (),
    with_last: bool = False,
) -> Sequence[Mapping[str, Any]]:
    """Attempts with their targets and outdials; columns are named "table.column".

    First comes what `rows.Reader` makes records of: the attempt's columns, then the target's. Then, besides others,
    `suppressed_mask`: bit n is set if the target's destination n must never be called; `suppressed_by`, not null if the
    attempt was revoked and its address must not be called; `earlier`, if retry rules count them: the target's attempts
    since it was created or last reset, for `rows.endings`; and in one row `codes`, a JSON list of the result codes that
    were asked for, if there are any, each as the values of CODE.

    Args:
        fetch: of the use-case's transaction after `lock_attempts`, or of none.
        customer_id: whose attempts.
        attempt_ids: unknown ones are left out.
        codes: result codes that are to be looked up.
        with_last: with the last attempts of their targets, too.
    """
    known = f"attempt.id {db.any_of('$2')}"
    if with_last:
        known = f"""attempt.id IN (
            SELECT id FROM attempt WHERE customer_id = $1 AND {known}
            UNION SELECT target.last_attempt_id FROM attempt
            JOIN target ON target.customer_id = attempt.customer_id AND target.id = attempt.target_id
            WHERE attempt.customer_id = $1 AND {known}
        )"""
    now, is_any = db.instant_now("$3"), "customer.suppressions_version > 0"
    for_ever = destinations.suppressed_mask(destinations.Suppressed("$1", None))
    of_attempt = destinations.Suppressed("$1", now).found("suppression.id", "attempt.destination")
    return await fetch(
        f"""
        SELECT {_ATTEMPT.named}, {_TARGET.named}, {POLICY.named}, {now} AS now_at,
            {_MARK if db.has_scripts() else "''"} AS mark,
            (SELECT node <> {db.node()} FROM customer WHERE customer_id = $1) AS has_moved,
            CASE WHEN {is_any} THEN {for_ever} ELSE 0 END AS suppressed_mask,
            CASE WHEN {is_any} AND attempt.state = '{AttemptState.REVOKED}' THEN {of_attempt} END AS suppressed_by,
            CASE WHEN outdial.retry_rules <> '[]' AND {_counts_earlier()} THEN {_earlier()} END AS earlier,
            {_listed("$4") if codes else "NULL"} AS codes
        FROM attempt {_JOINED} WHERE attempt.customer_id = $1 AND {known} {_of_these(known)}
        """,
        customer_id,
        list(attempt_ids),
        db.now_value(),
        *([sorted(codes)] if codes else []),
    )


def _counts_earlier() -> str:
    """A condition on an outdial: `retrying.needs_earlier` of its rules."""
    rules = db.rowset("outdial.retry_rules", {"from_nth": "integer"}, "rule")
    return f"(SELECT max(rule.from_nth) FROM {rules}) > 1"


def _earlier() -> str:
    """A value: the attempts of a target since it was created or last reset, as a JSON list; null or empty of none.

    Each attempt counts as a try unless it is released, and a reset takes the counts back to zero: so these are as many
    of its newest attempts as the counts add up to.
    """
    counted = " + ".join(f"target.try_count_{index}" for index in range(DESTINATIONS))
    return f"""(
        SELECT {db.json_lists(", ".join(rows.ENDING_VALUES))} FROM (
            SELECT {", ".join(rows.ENDING_VALUES)}, row_number() OVER (ORDER BY claimed_at DESC, id DESC) AS number
            FROM attempt AS made
            WHERE made.customer_id = $1 AND made.target_id = target.id AND made.state <> '{AttemptState.RELEASED}'
            ORDER BY claimed_at DESC, id DESC LIMIT {EARLIER_ATTEMPTS_MAX}
        ) AS earlier WHERE earlier.number <= {counted}
    )"""


def _listed(codes: str) -> str:
    """Result codes as JSON, in one row: in each they might be longer than all else. The query runs once."""
    those = f"customer_id = $1 AND code {db.any_of(codes, 'text')}"
    query = f"SELECT {db.json_lists(str(CODE))} FROM result_code WHERE {those}"
    return f"CASE WHEN row_number() OVER () = 1 THEN ({query}) END"


async def save_unchanged(
    marks: Mapping[str, str],
    changes: Sequence[Change[Any]],
    attempts: Sequence[Attempt],
    *,
    attempts_made: Mapping[str, int],
    targets: int,
    now: datetime,
    is_brief: bool,
) -> None:
    """Take the locks, and write what was decided without them if it was decided about the rows as they are.

    Args:
        marks: of each attempt that was read, as `read_desk` returned it.
        changes: as in `save`, at least one of these and of `attempts`.
        attempts: likewise.
        attempts_made: likewise.
        targets: how many targets the attempts that were read have.
        now: the instant for which it was decided.
        is_brief: refused rather than wait for locks for long.

    Raises:
        Refused: a row has changed since, a lease has ended, or too much time has passed. Nothing was written.
    """
    told = [change.event for change in changes]
    parameter, writings = saving(changes, attempts, attempts_made, told)
    listed, total = parameter(list(marks)), parameter(len(marks))
    given = parameter(db.array_value(list(marks.values())))
    decided, shift = parameter(now), parameter(clock.shift)
    present = f"(clock_timestamp() + CAST({shift} AS interval))"
    # Waiting for a connection or a lock takes time. What was decided holds for leases that hold when it is written.
    lives = f"""
        {present} < CAST({decided} AS timestamptz) + make_interval(secs => {DECIDED_SECONDS_MAX})
        AND (attempt.expires_at IS NULL OR attempt.expires_at <= {decided} OR attempt.expires_at > {present})
    """
    known = f"attempt.id {db.any_of(listed)}"
    same = f"""
        SELECT 1 AS one FROM (
            SELECT 1 FROM unnest(CAST({listed} AS uuid[]), {db.array(given, "text")}) AS was(id, mark)
            JOIN attempt ON attempt.customer_id = $1 AND attempt.id = was.id {_JOINED}
            WHERE {_MARK} = was.mark AND {lives} AND {known} {_of_these(known)}
            HAVING count(*) = CAST({total} AS bigint)
        ) AS same
    """
    locked = db.Guard(_locking(listed), rows=f"${len(parameter.values) + 1}")
    sql = db.together(writings, same)
    script = db.Script((locked,), sql, ("bigint",), must_answer=True, is_brief=is_brief)
    topics = due.topics(changes).union(event["outdial_id"] for event in told)
    # a report that was saved is no change the second time
    await db.at_once(script, [*parameter.values, targets], topics=lambda _: topics, twice=True)
