"""The row of a customer's bucket. A customer that has asked for little since it was last full has none."""

from datetime import UTC, datetime, timedelta

from app import bounds, db
from app.db import Transaction
from app.rates.bucket import Bucket, Rule

PRUNED_AGE_SECONDS_MIN = 3_600
FILLS_MAX = 4
"""A bucket is full again after it could have been filled so often: none owes more than that."""


def rule_now() -> Rule | None:
    """The rule that the settings give; None if there is no limit."""
    settings = bounds.now()
    per_second = settings.rate_points_per_second
    return Rule(per_second, settings.rate_points_burst) if per_second else None


async def charge(customer_id: str, spent: int, rule: Rule) -> tuple[float, datetime]:
    """Take from the customer's bucket what was spent, however much there is in it.

    Returns:
        The points that are left, and the database's clock.

    Raises:
        Unavailable: the database is busy or gone.
    """
    return await db.transaction(_charge, customer_id, spent, rule)


async def _charge(tx: Transaction, customer_id: str, spent: int, rule: Rule) -> tuple[float, datetime]:
    found = await _locked(tx, customer_id)
    now = await tx.now()
    if found is None:
        left = rule.burst - spent
        made = await tx.fetch(
            """
            INSERT INTO rate_limit (customer_id, points, filled_at) VALUES ($1, $2, $3)
            ON CONFLICT (customer_id) DO NOTHING RETURNING customer_id
            """,
            *(customer_id, left, now),
        )
        if made:
            return left, now
        found = await _locked(tx, customer_id)  # another process was faster
        assert found is not None
        now = await tx.now()
    found.fill(rule, now.timestamp())
    left = round(found.points) - spent
    await tx.fetch(
        "UPDATE rate_limit SET points = $2, filled_at = $3 WHERE customer_id = $1", *(customer_id, left, now)
    )
    return left, now


async def _locked(tx: Transaction, customer_id: str) -> Bucket | None:
    found = await tx.fetch(
        f"SELECT points, filled_at FROM rate_limit WHERE customer_id = $1 {db.for_update()}", customer_id
    )
    if not found:
        return None
    instant: datetime = found[0]["filled_at"]
    return Bucket(found[0]["points"], instant.astimezone(UTC).timestamp())


async def prune(*, limit: int) -> int:
    """Remove up to `limit` rows of buckets that are full again, each in a transaction of its own. Returns how many."""
    rule = rule_now()
    seconds = max(PRUNED_AGE_SECONDS_MIN, FILLS_MAX * rule.fill_seconds if rule is not None else 0)
    age = db.ago_value(timedelta(seconds=seconds))
    found = await db.fetch(
        f"SELECT customer_id FROM rate_limit WHERE filled_at < {db.instant_ago('$1')} LIMIT {limit}", age
    )
    for row in found:
        await db.transaction(_remove, row["customer_id"], seconds)
    return len(found)


async def _remove(tx: Transaction, customer_id: str, seconds: int) -> None:
    await tx.fetch(
        f"DELETE FROM rate_limit WHERE customer_id = $1 AND filled_at < {db.instant_ago('$2')}",
        *(customer_id, db.ago_value(timedelta(seconds=seconds))),
    )
