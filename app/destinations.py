"""Which destination of a target may be tried, in SQL: the same rule as `lifecycle.Tries`. Pure.

Every statement that needs the rule takes it from here. A property test compares both on both databases. The text only
uses columns of `target`.
"""

from collections.abc import Sequence

from app.lifecycle import DESTINATIONS


def usable(index: int, limit: object, *, from_zero: bool = False) -> str:
    """A condition: `Tries.usable(index)`.

    Args:
        index: of the destination.
        limit: the policy's limit, as a number or a placeholder; a target's own limit has precedence.
        from_zero: as if it had never been tried, as after a reset.
    """
    count = "0" if from_zero else f"try_count_{index}"
    return (
        f"destination_{index} IS NOT NULL AND invalid_mask & {1 << index} = 0 AND "
        f"{count} < COALESCE(CAST(max_try_counts ->> {index} AS INTEGER), {limit})"
    )


def next_index(limits: Sequence[object]) -> str:
    """A value: `Tries.next_index()`; null if it is None.

    Args:
        limits: the policy's, by index.
    """
    cases = " ".join(f"WHEN {usable(index, limits[index])} THEN {index}" for index in range(DESTINATIONS))
    return f"CASE {cases} END"


def any_usable(limits: Sequence[object], *, from_zero: bool = False) -> str:
    """A condition: there is a next index. In brackets, so that it can stand beside others."""
    each = (f"({usable(index, limits[index], from_zero=from_zero)})" for index in range(DESTINATIONS))
    return f"({' OR '.join(each)})"
