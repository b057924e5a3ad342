"""The figures of some attempts, and how they are stored and added. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from app.figures.histograms import Histogram
from app.lifecycle import Disposition


@dataclass(slots=True)
class Figures:
    """Counts of attempts, without those that were released."""

    attempts: int = 0
    dispositions: Counter[Disposition] = field(default_factory=Counter)
    """Reported ones. Attempts without a result are in none."""
    codes: Counter[str] = field(default_factory=Counter)
    """The owner's own results."""
    right_parties: int = 0
    conversions: int = 0
    reached: int = 0
    """Targets: attempts that are their target's first ANSWERED one."""
    ring: Histogram = field(default_factory=Histogram)
    talk: Histogram = field(default_factory=Histogram)

    @property
    def answered(self) -> int:
        return self.dispositions[Disposition.ANSWERED]

    def add(self, other: Self) -> None:
        """Count all attempts of others, too."""
        self.attempts += other.attempts
        for disposition, number in other.dispositions.items():
            self.dispositions[disposition] += number
        if other.codes:
            self.codes.update(other.codes)
        self.right_parties += other.right_parties
        self.conversions += other.conversions
        self.reached += other.reached
        self.ring.add(other.ring)
        self.talk.add(other.talk)


def written(figures: Figures) -> str:
    """As it is stored: JSON, in which what is 0 is left out."""
    values: dict[str, Any] = {
        "attempts": figures.attempts,
        "dispositions": {name.value: number for name, number in sorted(figures.dispositions.items()) if number},
        "codes": {name: number for name, number in sorted(figures.codes.items()) if number},
        "right_parties": figures.right_parties,
        "conversions": figures.conversions,
        "reached": figures.reached,
        "ring": figures.ring.written(),
        "talk": figures.talk.written(),
    }
    return orjson.dumps({name: value for name, value in values.items() if value}).decode()


_DISPOSITIONS = {disposition.value: disposition for disposition in Disposition}


def read(text: str) -> Figures:
    """Of what `written` gave."""
    values: dict[str, Any] = orjson.loads(text)
    dispositions: dict[str, int] = values.get("dispositions", {})
    return Figures(
        attempts=values.get("attempts", 0),
        dispositions=Counter({_DISPOSITIONS[name]: number for name, number in dispositions.items()}),
        codes=Counter(values.get("codes", {})),
        right_parties=values.get("right_parties", 0),
        conversions=values.get("conversions", 0),
        reached=values.get("reached", 0),
        ring=Histogram.read(values.get("ring")),
        talk=Histogram.read(values.get("talk")),
    )
