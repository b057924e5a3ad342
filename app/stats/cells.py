"""Stored cells: the figures of an outdial, or of all of a customer's, in a minute, quarter of an hour, hour or day."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from app import db, figures
from app.db import Transaction
from app.figures import Facet, Figures, Key, Span
from app.stats.ledger import Fetch
from app.tables import STATS_CELL

MINUTE, QUARTER, HOUR, DAY = 1, 15, 60, 24 * 60
"""The lengths of cells in minutes."""
WRITTEN_ROWS_MAX = 200
"""In one statement."""


class Cell(NamedTuple):
    """Which cell."""

    scope_id: str
    """The outdial's id; the customer's id for all of its outdials."""
    minutes: int
    begins_at: datetime

    @property
    def span(self) -> Span:
        return Span(self.begins_at, self.begins_at + timedelta(minutes=self.minutes))

    def around(self, minutes: int) -> "Cell":
        """The longer one that it is a part of."""
        return Cell(self.scope_id, minutes, floor(self.begins_at, minutes))


def floor(instant: datetime, minutes: int) -> datetime:
    """The begin of the minute, quarter, hour or day of UTC that has an instant."""
    since_midnight = 60 * instant.hour + instant.minute
    hour, minute = divmod(since_midnight - since_midnight % minutes, 60)
    return instant.replace(hour=hour, minute=minute, second=0, microsecond=0)


Texts = dict[Key, str]
"""The parts of a cell, as they are stored."""


class Sheet:
    """Cells as they are stored, and as they are to be."""

    def __init__(self, fetch: Fetch, customer_id: str) -> None:
        self._fetch = fetch
        self._customer_id = customer_id
        self._stored: dict[Cell, Texts] = {}
        self._read: dict[Cell, dict[Key, Figures]] = {}
        self.changed: dict[Cell, dict[Key, Figures]] = {}

    async def load(self, minutes: int, span: Span, scope_id: str | None = None) -> None:
        """Read the cells of a length that begin in a span, of one scope or of all."""
        found = await self._fetch(
            f"""
            SELECT scope_id, begins_at, facet, value, figures FROM stats_cell
            WHERE customer_id = $1 AND minutes = $2 AND begins_at >= $3 AND begins_at < $4
            {"" if scope_id is None else "AND scope_id = $5"}
            """,
            *(self._customer_id, minutes, *span),
            *([] if scope_id is None else [scope_id]),
        )
        for row in found:
            cell = Cell(row["scope_id"], minutes, row["begins_at"])
            self._stored.setdefault(cell, {})[Key(Facet(row["facet"]), row["value"])] = row["figures"]

    def put(self, cell: Cell, parts: dict[Key, Figures]) -> None:
        self.changed[cell] = parts

    def scopes(self, minutes: int, begins_at: datetime) -> list[str]:
        """Those that have a cell then."""
        known = {**self._stored, **self.changed}
        return sorted({cell.scope_id for cell in known if cell[1:] == (minutes, begins_at)})

    def sum(self, cells: Iterable[Cell]) -> dict[Key, Figures]:
        """One cell of several that were read."""
        return figures.summed(map(self._at, cells))

    def _at(self, cell: Cell) -> dict[Key, Figures]:
        if cell in self.changed:
            return self.changed[cell]
        if cell not in self._read:
            self._read[cell] = {key: figures.read(text) for key, text in self._stored.get(cell, {}).items()}
        return self._read[cell]

    def differences(self) -> tuple[list[tuple[Cell, Key, str]], list[tuple[Cell, Key]]]:
        """What to write and what to remove. The changed cells were loaded."""
        writes, removals = [], []
        for cell, parts in self.changed.items():
            stored = self._stored.get(cell, {})
            texts = {key: figures.written(part) for key, part in parts.items()}
            writes += [(cell, key, text) for key, text in texts.items() if stored.get(key) != text]
            removals += [(cell, key) for key in stored if key not in texts]
        return writes, removals


async def write(
    tx: Transaction, customer_id: str, writes: Sequence[tuple[Cell, Key, str]], removals: Sequence[tuple[Cell, Key]]
) -> None:
    """Store parts of cells, and remove others."""
    for at in range(0, len(writes), WRITTEN_ROWS_MAX):
        part = writes[at : at + WRITTEN_ROWS_MAX]
        columns = {**_places([(cell, key) for cell, key, _ in part]), "figures": [text for *_, text in part]}
        source = db.columnset(STATS_CELL.only(*columns).kinds, "new", first=2)
        await tx.fetch(
            f"""
            INSERT INTO stats_cell (customer_id, {", ".join(columns)})
            SELECT {db.typed("$1", "uuid")}, {", ".join(f"new.{name}" for name in columns)} FROM {source} WHERE true
            ON CONFLICT (customer_id, scope_id, facet, minutes, begins_at, value)
            DO UPDATE SET figures = excluded.figures
            """,
            customer_id,
            *db.columnset_values(columns.values()),
        )
    for at in range(0, len(removals), WRITTEN_ROWS_MAX):
        columns = _places(removals[at : at + WRITTEN_ROWS_MAX])
        names = ", ".join(columns)
        source = db.columnset(STATS_CELL.only(*columns).kinds, "gone", first=2)
        await tx.fetch(
            f"""
            DELETE FROM stats_cell WHERE customer_id = $1 AND ({names}) IN (SELECT {names} FROM {source})
            """,
            customer_id,
            *db.columnset_values(columns.values()),
        )


def _places(listed: Sequence[tuple[Cell, Key]]) -> dict[str, list[Any]]:
    return {
        "scope_id": [cell.scope_id for cell, _ in listed],
        "facet": [key.facet.value for _, key in listed],
        "minutes": [cell.minutes for cell, _ in listed],
        "begins_at": [cell.begins_at for cell, _ in listed],
        "value": [key.value for _, key in listed],
    }
