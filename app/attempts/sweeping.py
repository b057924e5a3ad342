"""Expired leases: any server finds them, and each is ended once."""

from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from functools import partial

from app import callbacks, db, lifecycle, metrics
from app.attempts.desk import Desk, Task, work_on_desk
from app.auth import Viewer
from app.changes import ended, ruled
from app.lifecycle import AttemptState
from app.records import Attempt

SWEEP_ATTEMPTS_MAX = 500
"""In one transaction."""


async def sweep() -> int:
    """End up to SWEEP_ATTEMPTS_MAX attempts whose lease has expired. Housekeeping calls this.

    The search is over all customers. Each outdial's attempts are then ended with its customer as the viewer.

    Returns:
        How many were ended; if it is SWEEP_ATTEMPTS_MAX, there may be more.
    """
    found = await db.fetch(
        f"""
        SELECT id, customer_id, outdial_id FROM attempt
        WHERE state IN ('CLAIMED', 'DIALING') AND expires_at <= {db.instant_ago("$1")}
        ORDER BY expires_at LIMIT {SWEEP_ATTEMPTS_MAX}
        """,
        db.ago_value(timedelta(0)),
    )
    by_outdial: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in found:
        by_outdial[row["customer_id"], row["outdial_id"]].append(row["id"])
    total = 0
    for (customer_id, _), attempt_ids in by_outdial.items():
        task = Task(attempt_ids, partial(_sweep, attempt_ids), is_patient=False)
        with suppress(db.Refused):  # somebody has locked one of them: the next round finds it again
            states = await work_on_desk(_system(customer_id), task)
            for state in states:
                metrics.swept_attempts.labels(state=state.value).inc()
            total += len(states)
    return total


def _system(customer_id: str) -> Viewer:
    """The server itself, on behalf of one customer."""
    return Viewer(customer_id=customer_id, subject="", scopes=frozenset(), expires_at=None)


def _sweep(attempt_ids: list[str], desk: Desk) -> list[AttemptState]:
    # another server may have ended one, or its dialer may have renewed the lease
    known = [desk.attempts[attempt_id] for attempt_id in attempt_ids if attempt_id in desk.attempts]
    return [_lapse(desk, attempt) for attempt in known if attempt.state in lifecycle.LIVE and not desk.holds(attempt)]


def _lapse(desk: Desk, attempt: Attempt) -> AttemptState:
    assert attempt.expires_at is not None
    policy, ruling = desk.policy(attempt), desk.ruling(attempt, lifecycle.lapsed_state(attempt.state))
    target = ruled(desk.targets[attempt.target_id], ruling)
    lapse = lifecycle.after_lapse(
        attempt.state,
        desk.tries(target),
        attempt.expires_at,
        retry_interval_seconds=policy.retry_interval_seconds,
        on_unconfirmed=policy.on_unconfirmed,
        ruling=ruling,
    )
    lapsed = desk.put_attempt(ended(attempt, lapse.state, attempt.expires_at))
    after = callbacks.after_end(target, attempt.id, lapse.standing, desk.tries(target))
    desk.put_target(after, lapse.event, lapsed)
    return lapse.state
