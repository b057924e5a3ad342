"""Targets: the people or places to reach."""

from app.targets.creating import create, create_many
from app.targets.reading import counts, get_many, pages, walk
from app.targets.resetting import RESET_TARGETS_MAX, reset
from app.targets.writing import cancel, delete, update

__all__ = [
    "RESET_TARGETS_MAX",
    "cancel",
    "counts",
    "create",
    "create_many",
    "delete",
    "get_many",
    "pages",
    "reset",
    "update",
    "walk",
]
