"""New targets: all rows in one COPY, and all events in one statement."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app import events, rows
from app.changes import counted_new, created_all
from app.db import Transaction
from app.records import Outdial, Target
from app.store import counters, grouping


async def save_new(tx: Transaction, outdial: Outdial, parts: Iterable[Sequence[Target]]) -> None:
    """Store new targets of an outdial, with one event each, in the order given.

    Args:
        tx: the use-case's transaction.
        outdial: whose targets they are.
        parts: each part is taken while the database stores the one before.
    """
    made: list[Target] = []

    def columns() -> Iterator[Mapping[str, Sequence[Any]]]:
        for part in parts:
            if part:
                made.extend(part)
                yield rows.target_columns(part)

    await tx.insert("target", columns())
    if made:
        await counters.move(tx, outdial.customer_id, outdial.id, counted_new(made))
        await events.append_columns(tx, created_all(made))
        if outdial.dial_policy.sorts_by_zone:
            await grouping.sort(tx, outdial.id, made)
