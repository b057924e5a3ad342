"""Attempts: one try at one destination each, made by a dialer under a lease."""

from app.attempts.claiming import claim
from app.attempts.desk import locked_desk, revoke
from app.attempts.reading import (
    counts_of_outdials,
    counts_of_targets,
    get_many,
    pages_of_outdials,
    pages_of_targets,
    permits,
    walk,
)
from app.attempts.reporting import complete, extend, release, start
from app.attempts.sweeping import sweep

__all__ = [
    "claim",
    "complete",
    "counts_of_outdials",
    "counts_of_targets",
    "extend",
    "get_many",
    "locked_desk",
    "pages_of_outdials",
    "pages_of_targets",
    "permits",
    "release",
    "revoke",
    "start",
    "sweep",
    "walk",
]
