"""Suppressions: addresses that must not be called, on no list of the customer."""

from app.suppressions.finishing import finish
from app.suppressions.reading import count, get_many, page, walk
from app.suppressions.writing import SUPPRESSIONS_MAX, Checked, add, checked, remove, store_checked

__all__ = [
    "SUPPRESSIONS_MAX",
    "Checked",
    "add",
    "checked",
    "count",
    "finish",
    "get_many",
    "page",
    "remove",
    "store_checked",
    "walk",
]
