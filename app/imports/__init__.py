"""Imports: files of targets, stored while they arrive, a chunk at a time."""

from app.imports.jobs import cancel, end_abandoned, prune
from app.imports.keeping import file_of_rejects
from app.imports.reading import counts, get_many, pages, progress, reject_counts, rejects
from app.imports.running import run
from app.imports.suppressing import run as suppress
from app.imports.turning import turns

__all__ = [
    "cancel",
    "counts",
    "end_abandoned",
    "file_of_rejects",
    "get_many",
    "pages",
    "progress",
    "prune",
    "reject_counts",
    "rejects",
    "run",
    "suppress",
    "turns",
]
