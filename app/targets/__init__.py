"""Targets: the people or places to reach."""

from app.targets.calling_back import cancel as cancel_callback
from app.targets.calling_back import schedule as schedule_callback
from app.targets.changing import cancel_many, update_many
from app.targets.creating import create, create_many
from app.targets.many import CHANGED_TARGETS_MAX
from app.targets.reading import counts, get_many, pages, walk
from app.targets.resetting import reset
from app.targets.writing import cancel, delete, update

__all__ = [
    "CHANGED_TARGETS_MAX",
    "cancel",
    "cancel_callback",
    "cancel_many",
    "counts",
    "create",
    "create_many",
    "delete",
    "get_many",
    "pages",
    "reset",
    "schedule_callback",
    "update",
    "update_many",
    "walk",
]
