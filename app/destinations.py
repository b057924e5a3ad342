"""Which destination of a target may be tried, as SQL: the text that says what `lifecycle.Tries` says. Pure.

Every statement that has to repeat the rule takes it from here, and a property test holds both against each other on
either database. The text is about a row of `target`; it knows nothing else of its statement.
"""

from collections.abc import Sequence

from app.lifecycle import DESTINATIONS


def usable(index: int, limit: object, *, from_zero: bool = False) -> str:
    """A condition: `Tries.usable(index)`.

    Args:
        index: of the destination.
        limit: the policy's for it, as a number or as a placeholder; a target's own limit goes before it.
        from_zero: as if it had never been tried, which is how a reset leaves it.
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
