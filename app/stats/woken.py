"""Whose events may not be counted yet, as this process knows it from wake-ups. A look at all finds what they miss."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from app import db, ids
from app.db import EVERY_TOPIC

REMEMBERED_MAX = 100_000
"""Outdials whose customers are remembered, and outdials that wait. Beyond them, all are looked at."""


@dataclass(slots=True)
class Woken:
    """Outdials that have news, each with the time since when, by the process's clock."""

    unknown: dict[str, float] = field(default_factory=dict)
    """Of whose customer nothing is known yet: an outdial's id, or another one."""
    by_customer: dict[str, dict[str, float]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """The customer of each outdial. What is no outdial is its own."""
    all_since: float | None = field(default_factory=time.monotonic)
    """Any may have news. None: those alone that are named."""

    def hear(self, topics: Collection[str]) -> None:
        if EVERY_TOPIC in topics or len(self.unknown) + len(self.owners) > REMEMBERED_MAX:
            self.forget()
            return
        now = time.monotonic()
        for topic in topics:
            owner = self.owners.get(topic)
            if owner is None:
                if ids.parse(topic) == topic:  # others are of other things
                    self.unknown.setdefault(topic, now)
            elif owner != topic:
                self.wait(owner, topic, now)

    def wait(self, customer_id: str, outdial_id: str, since: float) -> None:
        """An outdial has news."""
        self.by_customer.setdefault(customer_id, {}).setdefault(outdial_id, since)

    def forget(self) -> None:
        """All have to be looked at."""
        self.all_since = time.monotonic() if self.all_since is None else self.all_since
        self.unknown.clear()
        self.by_customer.clear()
        self.owners.clear()

    def since(self) -> float | None:
        """Since when something waits; None if nothing does."""
        named = [since for waiting in self.by_customer.values() for since in waiting.values()]
        return min((*named, *self.unknown.values(), *([self.all_since] if self.all_since else [])), default=None)


woken = Woken()
db.on_wake(woken.hear)
