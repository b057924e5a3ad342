"""Follows the progress of outdials, for subscriptions."""

from collections.abc import Sequence

from app import db, rows, tables
from app.auth import Viewer
from app.events.snapshots import Changes, Subject
from app.events.watching import Following
from app.records import Outdial, Progress

State = dict[str, tuple[Outdial, Progress]]


def progress_changes(viewer: Viewer, outdial_ids: Sequence[str], *, interval_ms: int) -> Following[Sequence[Outdial]]:
    """The outdials as they are now, then those whose progress, state or name changed.

    At most one message in `interval_ms`; what changes meanwhile shows in the next. Unknown and deleted outdials are
    left out; ends when none is left. Those who follow the same outdials at the same interval share one reader.
    """
    watched = frozenset(outdial_ids)
    # not the first follower's token: others outlive it
    customer = Viewer(viewer.customer_id, "", viewer.scopes, None)
    return Changes(
        Subject(
            key=("progress", viewer.customer_id, watched),
            topics=watched,
            interval_seconds=interval_ms / 1000,
            read=lambda: outdials_with_progress(customer, outdial_ids),
            first=lambda now: [outdial for outdial, _ in now.values()],
            difference=_changed,
            is_last=lambda now: not now,
        )
    )


def _changed(before: State, now: State) -> Sequence[Outdial] | None:
    changed = [outdial for outdial, progress in now.values() if _differs(before.get(outdial.id), (outdial, progress))]
    return changed or None


def _differs(before: tuple[Outdial, Progress] | None, after: tuple[Outdial, Progress]) -> bool:
    return before is None or (before[0].state, before[0].name, before[1]) != (after[0].state, after[0].name, after[1])


async def outdials_with_progress(viewer: Viewer, outdial_ids: Sequence[str]) -> dict[str, tuple[Outdial, Progress]]:
    """The viewer's outdials with their progress, in one statement so that both are of the same moment."""
    sums = ", ".join(f"COALESCE(sum(counter.{column}), 0) AS {column}" for column in tables.COUNTERS.kinds)
    found = await db.fetch(
        f"""
        SELECT {tables.OUTDIAL.qualified}, {sums} FROM outdial
        LEFT JOIN outdial_counter AS counter
            ON counter.customer_id = outdial.customer_id AND counter.outdial_id = outdial.id
        WHERE outdial.customer_id = $1 AND outdial.id {db.any_of("$2")} AND outdial.tm_delete IS NULL
        GROUP BY outdial.customer_id, outdial.id ORDER BY outdial.tm_create DESC, outdial.id DESC
        """,
        viewer.customer_id,
        list(outdial_ids),
    )
    return {row["id"]: (rows.outdial(row), rows.progress(row)) for row in found}
