"""Figures of attempts: kept beside the ledger, and read by bucket and group."""

from app.stats.pruning import prune
from app.stats.reading import Request, Row, Stats, of_campaign, of_customer, of_outdials
from app.stats.rolling import lag_seconds, roll_up

__all__ = [
    "Request",
    "Row",
    "Stats",
    "lag_seconds",
    "of_campaign",
    "of_customer",
    "of_outdials",
    "prune",
    "roll_up",
]
