"""What variables may hold at most, judged before they are coerced: coercing takes time and memory for each value.

A list that is longer than its field takes is cut to one item more than that. The field then refuses it in its own
words, and the rest of the list costs nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    type_from_ast,
)

from app.errors import LimitExceeded

LIST_ITEMS_MAX = 1_000
"""Of a list whose field does not say how many it takes."""
UNKNOWN_FIELDS_KEPT = 60
"""Of one input object, for its errors. graphql-core stops after 50 errors, but first looks at all fields."""
NAME_CHARACTERS_KEPT = 1_000
"""Of a text that should be a name: graphql-core looks for similar names, and shows the text."""
_ITEMS_MAX = "items_max"
"""The key in the metadata of an argument or an input field of the most items that it takes."""
_DEFINITION = "strawberry-definition"

Cut = Callable[[Any], Any]
"""Of a decoded JSON value: the same value, or a smaller one that is refused for the same reason."""


class Bounds:
    """The functions of a schema's input types. Those of input objects are made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[GraphQLInputObjectType, bool], Cut | None] = {}

    def of(self, of: GraphQLInputType, items_max: int | None, *, is_deep: bool) -> Cut | None:
        """The function of a type; None if nothing of it is ever cut.

        Args:
            of: the type.
            items_max: the most items of its list, if it is one. None: not more than LIST_ITEMS_MAX, or LimitExceeded.
            is_deep: whether to look also at the items of lists, and at the names in it.
        """
        bare: Any = of.of_type if isinstance(of, GraphQLNonNull) else of
        if isinstance(bare, GraphQLList):
            return _list(items_max, self.of(bare.of_type, None, is_deep=True) if is_deep else None)
        if isinstance(bare, GraphQLInputObjectType):
            key = bare, is_deep
            if key not in self._made:
                self._made[key] = None  # ends a cycle: JSON itself is bounded
                self._made[key] = self._input_object(bare, is_deep=is_deep)
            return self._made[key]
        return _name if is_deep and isinstance(bare, GraphQLEnumType) else None

    def _input_object(self, of: GraphQLInputObjectType, *, is_deep: bool) -> Cut | None:
        fields = [
            (name, cut)
            for name, field in of.fields.items()
            if (cut := self.of(field.type, _items_max(field), is_deep=is_deep)) is not None
        ]
        return _input_object(of, fields, is_deep=is_deep) if fields or is_deep else None


def _list(items_max: int | None, item: Cut | None) -> Cut:
    most = LIST_ITEMS_MAX if items_max is None else items_max

    def cut(value: Any) -> Any:
        if value.__class__ is not list:
            return value if item is None else item(value)
        if len(value) > most:
            if items_max is None:
                raise LimitExceeded(f"A list in the variables has {len(value):,} items. The limit is {most:,}.")
            value = value[: most + 1]
        return value if item is None else [item(each) for each in value]

    return cut


def _input_object(of: GraphQLInputObjectType, fields: list[tuple[str, Cut]], *, is_deep: bool) -> Cut:
    known = of.fields.keys()

    def cut(value: Any) -> Any:
        if value.__class__ is not dict:
            return value
        if is_deep and not value.keys() <= known:
            value = _with_few_unknown(value, known)
        changed = {}
        for name, inner in fields:
            if name in value and (smaller := inner(value[name])) is not value[name]:
                changed[name] = smaller
        return value | changed if changed else value

    return cut


def _with_few_unknown(value: dict[str, Any], known: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    unknown = 0
    for name, item in value.items():
        if name in known:
            kept[name] = item
        elif unknown < UNKNOWN_FIELDS_KEPT:
            unknown += 1
            kept[name[:NAME_CHARACTERS_KEPT]] = item
    return kept


def _name(value: Any) -> Any:
    return value[:NAME_CHARACTERS_KEPT] if value.__class__ is str and len(value) > NAME_CHARACTERS_KEPT else value


class VariableBounds:
    """The bounds of an operation's variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        bounds: Bounds,
    ) -> None:
        self._lists: list[tuple[str, Cut]] = []
        self._all: list[tuple[str, Cut]] = []
        taken = _taken(schema, operation, fragments) if operation.variable_definitions else {}
        for node in operation.variable_definitions or ():
            name = node.variable.name.value
            of: Any = type_from_ast(schema, node.type)
            for cuts, is_deep in (self._lists, False), (self._all, True):
                cut = bounds.of(of, taken.get(name), is_deep=is_deep)
                if cut is not None:
                    cuts.append((name, cut))

    def with_short_lists(self, given: dict[str, Any]) -> dict[str, Any]:
        """The variables with each list as short as its field needs it. Lists in the items of a list are not looked at.

        Raises:
            LimitExceeded: a list is too long, and its field has no words for it.
        """
        return _cut(given, self._lists)

    def with_short_errors(self, given: dict[str, Any]) -> dict[str, Any]:
        """The variables, cut so that graphql-core finds out soon what is wrong with them, and says it briefly.

        Raises:
            LimitExceeded: a list is too long, and its field has no words for it.
        """
        return _cut(given, self._all)


def _cut(given: dict[str, Any], cuts: list[tuple[str, Cut]]) -> dict[str, Any]:
    changed = {}
    for name, cut in cuts:
        if name in given and (smaller := cut(given[name])) is not given[name]:
            changed[name] = smaller
    return given | changed if changed else given


def _items_max(field: GraphQLArgument | GraphQLInputField) -> int | None:
    metadata: Mapping[str, int] = getattr(field.extensions.get(_DEFINITION), "metadata", {})
    return metadata.get(_ITEMS_MAX)


def _taken(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> dict[str, int]:
    """By variable, the most items that a field takes which is given it. Those that no field bounds are left out."""
    found: dict[str, int] = {}
    for name, items_max in _Uses(schema, fragments).of(
        operation.selection_set, schema.get_root_type(operation.operation)
    ):
        if items_max is not None:
            found[name] = max(found.get(name, 0), items_max)
    return found


class _Uses:
    """Where an operation uses its variables, each fragment once."""

    def __init__(self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._schema = schema
        self._fragments = fragments
        self._seen: set[str] = set()

    def of(self, selected: SelectionSetNode, parent: GraphQLNamedType | None) -> Iterator[tuple[str, int | None]]:
        for node in selected.selections:
            if isinstance(node, FieldNode):
                yield from self._field(node, parent)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name not in self._seen:
                    self._seen.add(name)
                    fragment = self._fragments[name]
                    yield from self.of(
                        fragment.selection_set, self._schema.get_type(fragment.type_condition.name.value)
                    )
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                yield from self.of(node.selection_set, inner)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Iterator[tuple[str, int | None]]:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return
        definition = self._schema.get_field(parent, node.name.value)
        if definition is None:
            return
        for argument in node.arguments or ():
            yield from self._value(argument.value, definition.args[argument.name.value])
        if node.selection_set is not None:
            yield from self.of(node.selection_set, get_named_type(definition.type))

    def _value(self, node: ValueNode, field: GraphQLArgument | GraphQLInputField) -> Iterator[tuple[str, int | None]]:
        if isinstance(node, VariableNode):
            yield node.name.value, _items_max(field)
        elif isinstance(node, ObjectValueNode):
            of = get_named_type(field.type)
            if isinstance(of, GraphQLInputObjectType):
                for inner in node.fields:
                    yield from self._value(inner.value, of.fields[inner.name.value])
