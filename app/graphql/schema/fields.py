"""Fields of the schema: computed from a record by a function, and root fields with the scope they need."""

from collections.abc import Callable
from typing import Any, Self, TypeVar

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.field import StrawberryField

from app import ids
from app.auth import Scope
from app.errors import BadUserInput

T = TypeVar("T")


def given(value: T | None) -> T | None:
    """The value of an optional argument or input field; None if it was left out."""
    return None if value is strawberry.UNSET else value


def parse_id(text: str) -> str:
    """The canonical form of an id argument.

    Raises:
        BadUserInput: it is malformed.
    """
    parsed = ids.parse(text)
    if parsed is None:
        raise BadUserInput("Invalid id. Use a UUID such as 018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f.")
    return parsed


class Derived(StrawberryField):
    """A field that is a plain function of its record.

    Strawberry treats a field without a resolver as basic, and builds neither an Info nor arguments for it. This costs a
    third of a resolver, which matters in lists.
    """

    read: Callable[[Any], object]

    def get_result(self, source: Any, info: object, args: list[Any], kwargs: Any) -> Any:  # noqa: ARG002
        return self.read(source)

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.read = self.read
        return copied


def derived(read: Callable[[Any], object], description: str) -> Any:
    field = Derived(description=description)
    field.read = read
    return field


def resolved(resolver: Callable[..., object], description: str) -> Any:
    """A field computed by a function of its record and the operation's context.

    The class says which GraphQL type it has; the function's own annotation says which record.
    """
    return strawberry.field(resolver=resolver, description=description)


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
        return super().get_result(source, info, args, kwargs)

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.scope = self.scope
        copied.renews = self.renews
        return copied


def _root(scope: Scope | None, graphql_type: object, description: str, *, is_subscription: bool = False) -> Root:
    field = Root(
        type_annotation=StrawberryAnnotation.from_annotation(graphql_type),
        description=description,
        is_subscription=is_subscription,
    )
    field.scope = scope
    return field


def query(scope: Scope | None, graphql_type: object, description: str) -> Root:
    return _root(scope, graphql_type, description)


def mutation(scope: Scope, graphql_type: object, description: str) -> Root:
    field = _root(scope, graphql_type, description)
    field.renews = True
    return field


def subscription(scope: Scope, graphql_type: object, description: str) -> Root:
    return _root(scope, graphql_type, description, is_subscription=True)
