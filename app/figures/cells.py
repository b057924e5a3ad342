"""Cells: the figures of a span of time, whole and by what they can be grouped by. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from app.figures.sums import Figures

DIALERS_MAX = 100
"""That a cell has one by one. The others, which made fewer attempts, are one."""


class Facet(StrEnum):
    """What a part of a cell is the part of."""

    WHOLE = "WHOLE"
    DESTINATION = "DESTINATION"
    DIALER = "DIALER"
    UNNAMED = "UNNAMED"
    """Attempts of dialers that gave no name."""
    OTHERS = "OTHERS"
    """Attempts of dialers beyond DIALERS_MAX."""


class Key(NamedTuple):
    """A part of a cell."""

    facet: Facet
    value: str = ""
    """A destination's index, or a dialer's name."""


WHOLE = Key(Facet.WHOLE)
UNNAMED = Key(Facet.UNNAMED)
OTHERS = Key(Facet.OTHERS)


def facets_of(destination_index: int, dialer: str | None) -> tuple[Key, Key, Key]:
    """The parts of its cell that an attempt is counted in."""
    by_dialer = UNNAMED if dialer is None else Key(Facet.DIALER, dialer)
    return WHOLE, Key(Facet.DESTINATION, str(destination_index)), by_dialer


def summed(cells: Iterable[Mapping[Key, Figures]]) -> dict[Key, Figures]:
    """One cell of several, which stay as they are."""
    total: dict[Key, Figures] = {}
    for cell in cells:
        for key, figures in cell.items():
            total.setdefault(key, Figures()).add(figures)
    return bounded(total)


def bounded(cell: Mapping[Key, Figures]) -> dict[Key, Figures]:
    """The same without what has no attempts, and with the dialers of fewest attempts as one if they are too many."""
    kept = {key: figures for key, figures in cell.items() if figures.attempts}
    dialers = [key for key in kept if key.facet is Facet.DIALER]
    if len(dialers) > DIALERS_MAX:
        dialers.sort(key=lambda key: (-kept[key].attempts, key.value))
        others = kept.pop(OTHERS, None) or Figures()
        for key in dialers[DIALERS_MAX:]:
            others.add(kept.pop(key))
        kept[OTHERS] = others
    return kept
