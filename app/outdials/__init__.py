"""Outdials: lists of targets, owned by one customer."""

from app.outdials.judging import close_breaker, judge_breakers
from app.outdials.judging import statuses as breaker_statuses
from app.outdials.lists import (
    count,
    create,
    delete,
    get_many,
    page,
    policies,
    progress,
    seen_at,
    update,
)
from app.outdials.walking import search_exhausted, sort_by_zone

__all__ = [
    "breaker_statuses",
    "close_breaker",
    "count",
    "create",
    "delete",
    "get_many",
    "judge_breakers",
    "page",
    "policies",
    "progress",
    "search_exhausted",
    "seen_at",
    "sort_by_zone",
    "update",
]
