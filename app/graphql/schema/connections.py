"""Connections: a page of records, its cursors, and the count of the whole list."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import strawberry

from app import pagination, records
from app.graphql.schema.fields import derived, given, resolved
from app.pagination import Page, PageRequest

T = TypeVar("T")

First: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="Returns the first n items (1 to 100). Default: 50 if last is not given."),
]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="Returns the items after this cursor.")]
Last: TypeAlias = Annotated[
    int | None,
    strawberry.argument(
        description="Returns the last n items (1 to 100), in the order of the list. Cannot be combined with first."
    ),
]
Before: TypeAlias = Annotated[str | None, strawberry.argument(description="Returns the items before this cursor.")]


def request(first: int | None, after: str | None, last: int | None = None, before: str | None = None) -> PageRequest:
    return pagination.page_request(given(first), given(after), given(last), given(before))


# ---------------------------------------------------------------- what the resolvers return


@dataclass(frozen=True, slots=True)
class CountedPage(Generic[T]):
    """A page with the count of the whole list. The count runs only if it is selected."""

    page: Page[T]
    cursor: Callable[[T], str]
    count: Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    node: T
    cursor: str


def created_cursor(record: records.Outdial | records.Target | records.ImportJob | records.Suppression) -> str:
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


def _total_count(counted: strawberry.Parent[CountedPage[Any]]) -> Awaitable[int]:
    return counted.count()


# ---------------------------------------------------------------- what clients see


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = derived(_has_next, "Whether there are items after this page.")
    has_previous_page: bool = derived(_has_previous, "Whether there are items before this page.")
    start_cursor: str | None = derived(
        _start_cursor, "The cursor of the first item, for the previous page. Null if the page is empty."
    )
    end_cursor: str | None = derived(
        _end_cursor, "The cursor of the last item, for the next page. Null if the page is empty."
    )


@strawberry.type(description="An item of a page with its cursor.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="The item's position in the list. Opaque; stays valid after restarts and changes to the list."
    )
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = derived(_entries, "The items of the page, each with its cursor.")
    nodes: list[T] = derived(_nodes, "The items of the page.")
    page_info: PageInfo = derived(_itself, "The position of the page in its list.")
    total_count: int | None = resolved(
        _total_count,
        "The exact number of items in the whole list. If counting takes over 2 seconds, null with the error "
        "LIMIT_EXCEEDED.",
    )
