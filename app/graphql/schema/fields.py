"""Fields of the schema: computed from a record by a function, and root fields with the scope they need."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Generic, Self, TypeVar

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.field import StrawberryField

from app import ids
from app.auth import Scope
from app.errors import BadUserInput

T = TypeVar("T")
R = TypeVar("R")


def given(value: T | None) -> T | None:
    """The value of an optional argument or input field; None if it was left out."""
    return None if value is strawberry.UNSET else value


def at_most(items_max: int) -> dict[str, int]:
    """The metadata of an argument or an input field whose list may have so many items.

    A longer list from a variable is cut to one item more before it is coerced. The field has to refuse it.
    """
    return {"items_max": items_max}


def parse_id(text: str) -> str:
    """The canonical form of an id argument.

    Raises:
        BadUserInput: it is malformed.
    """
    parsed = ids.parse(text)
    if parsed is None:
        raise BadUserInput("Invalid id. Use a UUID such as 018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f.")
    return parsed


class Later(Generic[R]):
    """A value made of what a loader returns. Unlike a coroutine, it needs no task of its own in a list."""

    __slots__ = ("_loaded", "_make")

    def __init__(self, loaded: Awaitable[T], make: Callable[[T], R]) -> None:
        self._loaded: Awaitable[Any] = loaded
        self._make: Callable[[Any], R] = make

    def __await__(self) -> Generator[Any, None, R]:
        return self._make((yield from self._loaded.__await__()))


class Derived(StrawberryField):
    """A field that is a plain function of its record.

    Strawberry treats a field without a resolver as basic, and builds neither an Info nor arguments for it. This costs a
    third of a resolver, which matters in lists. Compiled operations call `read` directly. It may run twice.
    """

    read: Callable[[Any], object]

    def get_result(self, source: Any, info: object, args: list[Any], kwargs: Any) -> Any:  # noqa: ARG002
        return self.read(source)

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.read = self.read
        return copied


def derived(read: Callable[[Any], object], description: str, *, items_max: int | None = None) -> Any:
    """A field that a function computes of its record. `items_max`: the most items of its list, if it says so."""
    field = Derived(description=description, metadata={} if items_max is None else at_most(items_max))
    field.read = read
    return field


def text(description: str, characters_max: int) -> Any:
    """A field with a text that may be long: the limits count it."""
    return strawberry.field(description=description, metadata={"characters_max": characters_max})


def resolved(
    resolver: Callable[..., object],
    description: str,
    *,
    reads: Iterable[str] | None = None,
    items_max: int | None = None,
) -> Any:
    """A field computed by a function of its record and the operation's context.

    The class says which GraphQL type it has; the function's own annotation says which record.

    Args:
        resolver: the function.
        description: for the schema.
        reads: the values of the record that it needs. None if it may need all of them.
        items_max: the most items of its list, if it is one that is not a page.
    """
    metadata: dict[str, Any] = {} if reads is None else {"reads": frozenset(reads)}  # compiled operations look for it
    if items_max is not None:
        metadata |= at_most(items_max)
    return strawberry.field(resolver=resolver, description=description, metadata=metadata)


class Root(StrawberryField):
    """A field of a root type. The viewer's scope is checked before anything is read or written."""

    scope: Scope | None = None
    renews: bool = False
    """A mutation does not use data that was read before it."""

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:
        if self.scope is not None:
            info.context.viewer.require(self.scope)
        if self.renews:
            info.context.renew()
        if self.is_subscription:
            info.context.follow()
        return super().get_result(source, info, args, kwargs)

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.scope = self.scope
        copied.renews = self.renews
        return copied


def _root(
    scope: Scope | None, graphql_type: object, description: str, *, is_subscription: bool = False, **more: object
) -> Root:
    field = Root(
        type_annotation=StrawberryAnnotation.from_annotation(graphql_type),
        description=description,
        is_subscription=is_subscription,
        metadata={"is_dialing": scope is Scope.DIAL, **more},  # what executes operations looks for it
    )
    field.scope = scope
    return field


def query(scope: Scope | None, graphql_type: object, description: str, *, items_max: int | None = None) -> Root:
    """A query. `items_max`: the most items of its list, if it is one that is neither a page nor as long as an input."""
    bound: dict[str, Any] = {} if items_max is None else at_most(items_max)
    return _root(scope, graphql_type, description, **bound)


def mutation(scope: Scope, graphql_type: object, description: str, *, is_report: bool = False, rows: int = 1) -> Root:
    """A mutation.

    Args:
        scope: that it needs.
        graphql_type: of its payload.
        description: for the schema.
        is_report: whether a dialer reports by it what has happened.
        rows: how many it writes, if its input does not say it.
    """
    field = _root(scope, graphql_type, description, is_report=is_report, rows=rows)
    field.renews = True
    return field


def subscription(scope: Scope, graphql_type: object, description: str) -> Root:
    return _root(scope, graphql_type, description, is_subscription=True)
