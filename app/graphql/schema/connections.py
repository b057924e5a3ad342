"""Connections: a page of records, and what only some ask of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeAlias, TypeVar

import strawberry

from app import pagination, records
from app.graphql.schema.fields import derived, given
from app.pagination import Page, PageRequest

T = TypeVar("T")

First: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="The first so many of the list, 1 to 100; 50 where last is not given either."),
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Only what comes after this cursor in the list.")
]
Last: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="The last so many of the list, 1 to 100, in the list's order. Not with first."),
]
Before: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Only what comes before this cursor in the list.")
]


def request(first: int | None, after: str | None, last: int | None = None, before: str | None = None) -> PageRequest:
    return pagination.page_request(given(first), given(after), given(last), given(before))


# ---------------------------------------------------------------- what the resolvers return


@dataclass(frozen=True, slots=True)
class CountedPage(Generic[T]):
    """A page with the count of the whole list, which runs only where it is selected."""

    page: Page[T]
    cursor: Callable[[T], str]
    count: Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    node: T
    cursor: str


def created_cursor(record: records.Outdial | records.Target | records.ImportJob) -> str:
    return pagination.cursor_of(record.tm_create, record.id)


def claimed_cursor(attempt: records.Attempt) -> str:
    return pagination.cursor_of(attempt.claimed_at, attempt.id)


def recorded_cursor(reject: records.ImportReject) -> str:
    return pagination.cursor_of(reject.recorded_at, reject.id)


def _entries(counted: CountedPage[T]) -> list[Entry[T]]:
    return [Entry(item, counted.cursor(item)) for item in counted.page.items]


def _nodes(counted: CountedPage[T]) -> Sequence[T]:
    return counted.page.items


def _itself(counted: CountedPage[T]) -> CountedPage[T]:
    return counted


def _has_next(counted: CountedPage[T]) -> bool:
    return counted.page.has_next


def _has_previous(counted: CountedPage[T]) -> bool:
    return counted.page.has_previous


def _start_cursor(counted: CountedPage[T]) -> str | None:
    return counted.cursor(counted.page.items[0]) if counted.page.items else None


def _end_cursor(counted: CountedPage[T]) -> str | None:
    return counted.cursor(counted.page.items[-1]) if counted.page.items else None


def _total_count(counted: CountedPage[T]) -> Awaitable[int]:
    return counted.count()


# ---------------------------------------------------------------- what clients see


@strawberry.type(description="Where a page lies in its list, and how to go on from it.")
class PageInfo:
    has_next_page: bool = derived(_has_next, "Whether anything comes after this page.")
    has_previous_page: bool = derived(_has_previous, "Whether anything comes before this page.")
    start_cursor: str | None = derived(
        _start_cursor, "The cursor of the page's first entry, to page backward with; null where the page is empty."
    )
    end_cursor: str | None = derived(
        _end_cursor, "The cursor of the page's last entry, to page forward with; null where the page is empty."
    )


@strawberry.type(description="An entry of a page.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="The entry's opaque place in the list; it holds across restarts and changes to the list."
    )
    node: T = strawberry.field(description="The entry itself.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = derived(_entries, "The page's entries, each with its cursor.")
    nodes: list[T] = derived(_nodes, "The page's entries.")
    page_info: PageInfo = derived(_itself, "Where the page lies in its list.")
    total_count: int | None = derived(
        _total_count,
        "How many there are in the whole list, exactly; null with the error LIMIT_EXCEEDED where counting what the "
        "filter leaves takes over 2 seconds.",
    )
