"""Python expressions for the values of scalars and enums, and the check of everything that is not the usual case."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    Undefined,
)
from strawberry.execution import optimized_is_awaitable

from app import clock

INT_MIN, INT_MAX = -(2**31), 2**31 - 1

Constant = Callable[[object], str]
"""Makes a value usable in the generated code; returns its name there."""


class Surprise(Exception):  # noqa: N818 - not an error: graphql-core decides what the value means
    """A value that the compiled code does not handle."""


class Vetted(set[type]):
    """The classes whose instances are plain values: not null, not awaitable, not an exception."""

    def vet(self, value: object) -> None:
        """Add the value's class.

        Raises:
            Surprise: it is null, awaitable or an exception.
        """
        if value is None or value is Undefined or isinstance(value, Exception) or optimized_is_awaitable(value):
            raise Surprise
        self.add(type(value))


def expression(leaf: GraphQLScalarType | GraphQLEnumType, value: str, *, constant: Constant, vetted: Vetted) -> str:
    """An expression for the leaf of a variable that is not null.

    Args:
        leaf: the type.
        value: the variable's name.
        constant: registers what the expression uses.
        vetted: the classes that are known to be plain.
    """
    other = f"{constant(_coercion(leaf, vetted))}({value})"
    if leaf in {GraphQLString, GraphQLID}:
        return f"({value} if {value}.__class__ is str else {other})"
    if leaf is GraphQLInt:
        return f"({value} if {value}.__class__ is int and {INT_MIN} <= {value} <= {INT_MAX} else {other})"
    if leaf is GraphQLBoolean:
        return f"({value} if {value}.__class__ is bool else {other})"
    if isinstance(leaf, GraphQLEnumType):
        enum = _enum_of_names(leaf)
        if enum is None:
            return other
        # Rows have the member's value, which is its name.
        named = f"{value} if {value}.__class__ is str and {value} in {constant(frozenset(leaf.values))} else {other}"
        return f"({value}._value_ if {value}.__class__ is {constant(enum)} else {named})"
    # A scalar of the schema: its function, and a look at what it returns.
    made = f"{constant(leaf.coerce_output_value)}({value})"
    return f"(s if {value}.__class__ in {constant(vetted)} and (s := {made}).__class__ is str else {other})"


def of_column(
    leaf: GraphQLScalarType | GraphQLEnumType, kind: str, value: str, *, constant: Constant, vetted: Vetted
) -> str:
    """As `expression`, for a variable that holds what a column of a row holds, so that less is to be looked at.

    Args:
        leaf: the type.
        kind: of the column: text, number, instant, or anything else.
        value: the variable's name.
        constant: registers what the expression uses.
        vetted: the classes that are known to be plain.
    """
    if (kind == "text" and leaf in {GraphQLString, GraphQLID}) or (kind == "number" and leaf is GraphQLInt):
        return value
    if kind == "instant" and isinstance(leaf, GraphQLScalarType):
        # orjson writes an instant as our text, if it has microseconds
        other = f"{constant(_stored_instant(leaf))}({value})"
        return f"({value} if {value}.__class__ is {constant(datetime)} and {value}.microsecond else {other})"
    return expression(leaf, value, constant=constant, vetted=vetted)


def _stored_instant(leaf: GraphQLScalarType) -> Callable[[Any], object]:
    coerce = leaf.coerce_output_value
    return lambda value: clock.iso(value) if value.__class__ is str else coerce(value)


def _coercion(leaf: GraphQLScalarType | GraphQLEnumType, vetted: Vetted) -> Callable[[object], object]:
    def coerce(value: object) -> object:
        vetted.vet(value)
        coerced: object = leaf.coerce_output_value(value)
        if coerced is None or coerced is Undefined:
            raise Surprise
        return coerced

    return coerce


def _enum_of_names(leaf: GraphQLEnumType) -> type[Enum] | None:
    """The enum's class, if the values of its members are their names in the schema."""
    enum: Any = getattr(leaf, "wrapped_cls", None)
    if not (isinstance(enum, type) and issubclass(enum, Enum)):
        return None
    try:
        return enum if all(leaf.coerce_output_value(member) == member.value for member in enum) else None
    except ValueError:  # a member that the schema does not have
        return None
