"""What one operation may ask for, checked before it runs.

The shape of a document is checked once, before validation, and so limits the cost of validation. What an operation may
return depends on its variables: a plan is made once for each document, and evaluated for each request in microseconds.
Both walk each fragment once, even if it is spread many times.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

from app.errors import LimitExceeded
from app.pagination import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX

QUERY_CHARACTERS_MAX = 100_000
QUERY_TOKENS_MAX = 5_000
"""Parsing and validating this many blocks the loop for about 0.1 seconds. Rows of a batch belong in variables."""
DEPTH_MAX = 15
INTROSPECTION_DEPTH_MAX = 20
"""GraphiQL's own query is 15 fields deep; `__schema` and `__type` are counted apart."""
NESTING_MAX = 50
"""Selection sets inside each other, fragments included. Limits every recursion over a document."""
FRAGMENTS_MAX = 100
ROOT_FIELDS_MAX = 50
ALIASES_MAX = 100
"""Aliases, and repeated fields in one selection set: validation compares all pairs of them."""
NODES_MAX = 25_000
"""The most objects that the lists of one operation may return."""
FIELDS_MAX = 250_000
"""Fields of all those objects: about two seconds of work on the loop."""

BATCH_MAX = 1_000

# Introspection's lists, by their usual lengths; the types' is known.
_INTROSPECTION_LISTS = {"fields": 10, "inputFields": 8, "enumValues": 8, "possibleTypes": 4, "args": 2, "directives": 6}


def check_shape(document: DocumentNode) -> None:
    """Refuse a document that is too deep or too wide.

    Raises:
        LimitExceeded: says what is too large, and the limit.
    """
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    if len(fragments) > FRAGMENTS_MAX:
        raise LimitExceeded(f"Too many fragments: a document has at most {FRAGMENTS_MAX}.")
    shapes = _Shapes({node.name.value: node for node in fragments})
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    for operation in operations:
        shape = shapes.of(operation.selection_set, 1)
        if shape.depth > DEPTH_MAX:
            raise LimitExceeded(f"Fields are nested too deep: at most {DEPTH_MAX} levels.")
        if shape.introspection_depth > INTROSPECTION_DEPTH_MAX:
            raise LimitExceeded(f"Introspection is nested too deep: at most {INTROSPECTION_DEPTH_MAX} levels.")
        if shape.width > ROOT_FIELDS_MAX:
            raise LimitExceeded(f"Too many root fields: an operation has at most {ROOT_FIELDS_MAX}.")
    for fragment in fragments:
        # Validation refuses a fragment that no operation spreads, and that must not be costly either.
        shapes.of_fragment(fragment.name.value, 1)
    if shapes.aliases > ALIASES_MAX:
        raise LimitExceeded(f"Too many aliases and repeated fields: a document has at most {ALIASES_MAX}.")


@dataclass(slots=True)
class _Shape:
    depth: int = 0
    introspection_depth: int = 0
    nesting: int = 0
    width: int = 0


_NO_SHAPE = _Shape()


class _Shapes:
    """Measures selection sets, each fragment once."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self.aliases = 0
        self._fragments = fragments
        self._known: dict[str, _Shape] = {}

    def of(self, selection_set: SelectionSetNode, level: int) -> _Shape:
        if level > NESTING_MAX:
            raise LimitExceeded(f"Selections are nested too deep: at most {NESTING_MAX} levels, with fragments.")
        shape = _Shape(nesting=1)
        keys: set[str] = set()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                self.aliases += selection.alias is not None or key in keys
                keys.add(key)
                inner = self.of(selection.selection_set, level + 1) if selection.selection_set else _NO_SHAPE
                shape.width += 1
                if selection.name.value in {"__schema", "__type"}:
                    shape.introspection_depth = max(shape.introspection_depth, inner.depth + 1)
                else:
                    shape.depth = max(shape.depth, inner.depth + 1)
                    shape.introspection_depth = max(shape.introspection_depth, inner.introspection_depth)
            else:
                inner = (
                    self.of_fragment(selection.name.value, level + 1)
                    if isinstance(selection, FragmentSpreadNode)
                    else self.of(selection.selection_set, level + 1)  # type: ignore[attr-defined]
                )
                shape.width += inner.width
                shape.depth = max(shape.depth, inner.depth)
                shape.introspection_depth = max(shape.introspection_depth, inner.introspection_depth)
            shape.nesting = max(shape.nesting, inner.nesting + 1)
        return shape

    def of_fragment(self, name: str, level: int) -> _Shape:
        shape = self._known.get(name)
        if shape is None:
            self._known[name] = _NO_SHAPE  # ends a cycle, which validation refuses, and an unknown name
            fragment = self._fragments.get(name)
            shape = self.of(fragment.selection_set, level) if fragment else _NO_SHAPE
            self._known[name] = shape
        elif level + shape.nesting > NESTING_MAX + 1:
            raise LimitExceeded(f"Selections are nested too deep: at most {NESTING_MAX} levels, with fragments.")
        return shape


@dataclass(slots=True)
class Plan:
    """What a selection set can return, as far as known without variables."""

    fields: int = 0
    lists: list["_List"] = field(default_factory=list)
    spreads: list["Plan"] = field(default_factory=list)
    """Plans of fragments, shared by all that spread them."""


@dataclass(slots=True)
class _List:
    plan: Plan
    constant: int
    """The length, unless the arguments say otherwise."""
    arguments: tuple[ValueNode, ...] = ()
    is_page: bool = False


def plan_operations(schema: GraphQLSchema, document: DocumentNode) -> dict[str, Plan]:
    """The plan of each operation of a valid document, by its name; an anonymous one has the empty name."""
    planner = _Planner(schema, document)
    plans = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            root = schema.get_root_type(node.operation)
            plans[node.name.value if node.name else ""] = planner.plan(node.selection_set, root)
    return plans


def check_size(plan: Plan, variables: dict[str, Any]) -> None:
    """Refuse an operation that could return too much.

    Args:
        plan: the operation's.
        variables: coerced, with the defaults filled in.

    Raises:
        LimitExceeded: with the estimate and the limit.
    """
    nodes, fields = _size(plan, variables, {})
    if nodes > NODES_MAX:
        raise LimitExceeded(
            f"The operation could return {nodes:,} objects. The limit is {NODES_MAX:,}. Ask for smaller pages."
        )
    if fields > FIELDS_MAX:
        raise LimitExceeded(
            f"The operation could return {fields:,} fields. The limit is {FIELDS_MAX:,}. Ask for smaller pages."
        )


def _size(plan: Plan, variables: dict[str, Any], known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    nodes, fields = 0, plan.fields
    for item in plan.lists:
        length = _length(item, variables)
        inner_nodes, inner_fields = _size(item.plan, variables, known)
        nodes += length * (1 + inner_nodes)
        fields += length * inner_fields
    for spread in plan.spreads:
        size = known.get(id(spread))
        if size is None:
            size = known[id(spread)] = _size(spread, variables, known)
        nodes += size[0]
        fields += size[1]
    return nodes, fields


def _length(item: _List, variables: dict[str, Any]) -> int:
    lengths = [length for value in item.arguments for length in _lengths(value, variables)]
    if item.is_page:
        # A greater `first` is refused by its field, with a better message.
        return min(max(0, *lengths), PAGE_SIZE_MAX) if lengths else item.constant
    return min(max(item.constant, *lengths), BATCH_MAX) if lengths else item.constant


def _lengths(value: ValueNode, variables: dict[str, Any]) -> Iterator[int]:
    """The numbers and the lengths of lists that an argument holds, itself or one level down."""
    match value:
        case VariableNode():
            yield from _given_lengths(variables.get(value.name.value))
        case IntValueNode():
            yield int(value.value)
        case ListValueNode():
            yield len(value.values)
        case ObjectValueNode():
            for item in value.fields:
                if isinstance(item.value, ListValueNode) or item.name.value == "limit":
                    yield from _lengths(item.value, variables)
                elif isinstance(item.value, VariableNode):
                    given = variables.get(item.value.name.value)
                    if isinstance(given, list):
                        yield len(given)


def _given_lengths(given: object) -> Iterator[int]:
    match given:
        case bool():
            pass
        case int():
            yield given
        case list():
            yield len(given)
        case dict():
            for key, value in given.items():
                if isinstance(value, list):
                    yield len(value)
                elif key == "limit" and isinstance(value, int):
                    yield value


class _Planner:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, Plan] = {}

    def plan(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None) -> Plan:
        plan = Plan()
        for selection in selection_set.selections:
            match selection:
                case FieldNode():
                    self._add_field(plan, selection, parent)
                case InlineFragmentNode():
                    named = selection.type_condition
                    inner = self._schema.get_type(named.name.value) if named else parent
                    plan.spreads.append(self.plan(selection.selection_set, inner))
                case FragmentSpreadNode():
                    plan.spreads.append(self._fragment(selection.name.value))
        return plan

    def _fragment(self, name: str) -> Plan:
        if name not in self._known:
            fragment = self._fragments[name]
            parent = self._schema.get_type(fragment.type_condition.name.value)
            self._known[name] = self.plan(fragment.selection_set, parent)
        return self._known[name]

    def _add_field(self, plan: Plan, node: FieldNode, parent: GraphQLNamedType | None) -> None:
        plan.fields += 1
        definition = (
            self._schema.get_field(parent, node.name.value)
            if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
            else None
        )
        if definition is None or node.selection_set is None:
            return
        inner = self.plan(node.selection_set, get_named_type(definition.type))
        item = self._list(node, definition, inner, is_introspection=parent is not None and parent.name.startswith("__"))
        if item.constant == 1 and not item.arguments:
            plan.fields += inner.fields
            plan.lists += inner.lists
            plan.spreads += inner.spreads
        else:
            plan.lists.append(item)

    def _list(self, node: FieldNode, definition: GraphQLField, inner: Plan, *, is_introspection: bool) -> _List:
        if is_introspection:
            name = node.name.value
            return _List(inner, len(self._schema.type_map) if name == "types" else _INTROSPECTION_LISTS.get(name, 1))
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        if not {"first", "last"}.isdisjoint(definition.args):
            sizes = tuple(given[name] for name in ("first", "last") if name in given)
            return _List(inner, PAGE_SIZE_DEFAULT, sizes, is_page=True)
        return _List(inner, 1, tuple(given.values()))
