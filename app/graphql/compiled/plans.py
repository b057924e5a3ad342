"""What an operation is compiled to: its calls of resolvers, and the functions that make answers of records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
)
from strawberry.types.field import StrawberryField

from app.graphql.compiled.inputs import Arguments

Complete = Callable[[Any, Any], Any]
"""Of a value and the run: the answer for the value."""


class NotCompiled(Exception):  # noqa: N818 - a decision, not an error
    """The operation holds something that only graphql-core executes."""


@dataclass(frozen=True, slots=True)
class Site:
    """A field of the operation, for the info that resolvers get."""

    definition: GraphQLField
    nodes: list[FieldNode]
    parent: GraphQLObjectType
    path: tuple[str, ...]
    """Response names from the root down, without the indexes of lists."""


@dataclass(slots=True)
class Call:
    """A field whose value a resolver returns."""

    index: int
    name: str
    """In the response."""
    site: Site
    definition: StrawberryField
    arguments: Arguments
    info_class: type[Any]
    takes_record_first: bool
    """Whether the resolver is called with the record, and by name with the rest."""
    complete: Complete
    calls: list["Call"]
    """The next ones inside of what it returns."""
    reads: Mapping[str, frozenset[str]]
    """By object type, what is read of its records in the answers of all fields of this definition: names in Python."""


@dataclass(frozen=True, slots=True)
class Plan:
    kind: OperationType
    template: Mapping[str, Any]
    """The root's fields in their order, with null for those that are calls."""
    roots: Sequence[Call]
    """The calls of the root. None in a subscription, whose event is its field's value."""
    event: tuple[str, Complete] | None
    """Of a subscription: its field's name in the response, and what makes its value of an event."""
    event_calls: Sequence[Call]
    """The calls inside of the event."""
    calls: int
    """The number of all calls."""
    fields: int
    """A measure of its size."""

    @property
    def is_serial(self) -> bool:
        return self.kind is OperationType.MUTATION


def conditions(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> set[str]:
    """The variables in @skip and @include."""
    seen: set[str] = set()

    def within(selected: SelectionSetNode) -> Iterator[str]:
        for node in selected.selections:
            for directive in node.directives or ():
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        yield argument.value.name.value
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name not in seen:
                    seen.add(name)
                    yield from within(fragments[name].selection_set)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
                yield from within(node.selection_set)

    return set(within(operation.selection_set))
