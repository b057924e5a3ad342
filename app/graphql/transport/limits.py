"""What one operation may ask for, checked before it runs.

That depends on its variables: a plan is made once for each document, and evaluated for each request in microseconds. It
walks each fragment once, even if it is spread many times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInt,
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
    get_nullable_type,
)

from app import costs
from app.errors import LimitExceeded
from app.pagination import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX

SEARCHES_MAX = 20
"""Pages with `where`, and counts. Each may look at every row of a list, however small its answer is."""
NODES_MAX = 25_000
"""The most objects that the lists of one operation may return."""
FIELDS_MAX = 250_000
"""Fields of all those objects: about two seconds of work."""
CHARACTERS_MAX = 256 * 1024 * 1024
"""Of the longest texts that all those fields can have. They are read before the answer is made of them, and what they
really have is counted then: see `answers`."""

BATCH_MAX = 1_000
_LEAF_CHARACTERS = 40
"""Of a field that does not say how long its text may be, about, with its name."""
_CHARACTERS_MAX = "characters_max"
"""The key in a field's metadata of the longest text that it has."""
_ITEMS_MAX = "items_max"
"""The key in a field's metadata of the most items that its list has."""
_ROWS = "rows"
"""The key in a mutation's metadata of how many rows it writes, if its input does not say it."""
_DEFINITION = "strawberry-definition"
_COUNTS = {"totalCount", "dialability", "stats"}
"""Fields that may look at every row of a list, or at many others."""
_FILTER = "where"

# Introspection's lists, by their usual lengths; the types' is known.
_INTROSPECTION_LISTS = {"fields": 10, "inputFields": 8, "enumValues": 8, "possibleTypes": 4, "args": 2, "directives": 6}


@dataclass(slots=True)
class Plan:
    """What a selection set can return, as far as known without variables."""

    fields: int = 0
    characters: int = 0
    searches: int = 0
    rows: int = 0
    has_pages: bool = False
    lists: list["_List"] = field(default_factory=list)
    spreads: list["Plan"] = field(default_factory=list)
    """Plans of fragments, shared by all that spread them."""


class Size(NamedTuple):
    """What an operation can return at most."""

    nodes: int
    """Objects."""
    fields: int
    characters: int
    searches: int
    """Pages with `where`, and counts."""
    rows: int = 0
    """That a mutation writes."""
    document: int = 0
    """Characters of the document."""

    @property
    def points(self) -> int:
        """The cost of the operation: see `app.costs`."""
        return costs.points(
            fields=self.fields,
            characters=self.characters,
            searches=self.searches,
            rows=self.rows,
            document=self.document,
        )

    @property
    def is_long(self) -> bool:
        """Whether the answer takes long to compute."""
        return costs.is_long(fields=self.fields, characters=self.characters)

    def cost(self) -> dict[str, dict[str, int]]:
        """For the client: each figure with its limit."""
        return {
            "points": {"estimate": self.points, "limit": costs.POINTS_MAX},
            "objects": {"estimate": self.nodes, "limit": NODES_MAX},
            "fields": {"estimate": self.fields, "limit": FIELDS_MAX},
            "characters": {"estimate": self.characters, "limit": CHARACTERS_MAX},
            "searches": {"estimate": self.searches, "limit": SEARCHES_MAX},
        }


NOTHING = Size(0, 0, 0, 0)


@dataclass(slots=True)
class _List:
    plan: Plan
    constant: int
    """The length, unless the arguments say otherwise."""
    arguments: tuple[ValueNode, ...] = ()
    is_page: bool = False
    rows: int | None = None
    """Of a mutation's field: how many rows it writes at least. None in other answers."""


def plan_operations(schema: GraphQLSchema, document: DocumentNode) -> dict[str, Plan]:
    """The plan of each operation of a valid document, by its name; an anonymous one has the empty name."""
    planner = _Planner(schema, document)
    plans = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            root = schema.get_root_type(node.operation)
            plans[node.name.value if node.name else ""] = planner.plan(node.selection_set, root)
    return plans


def measure(plan: Plan, variables: dict[str, Any], *, document: int = 0) -> Size:
    """What the operation can return. Arguments are those of `check_size`; variables need not be coerced."""
    nodes, fields, characters, searches, rows, _ = _size(plan, variables, {})
    return Size(nodes, fields, characters, searches, rows, document)


def check_size(plan: Plan, variables: dict[str, Any], *, document: int = 0) -> Size:
    """What the operation can return. Refuse one that could return too much.

    Args:
        plan: the operation's.
        variables: coerced, with the defaults filled in.
        document: characters of its document.

    Raises:
        LimitExceeded: with the estimate and the limit.
    """
    size = measure(plan, variables, document=document)
    nodes, fields, characters, searches, *_ = size
    if nodes > NODES_MAX:
        raise LimitExceeded(
            f"The operation could return {nodes:,} objects. The limit is {NODES_MAX:,}. Ask for smaller pages."
        )
    if fields > FIELDS_MAX:
        raise LimitExceeded(
            f"The operation could return {fields:,} fields. The limit is {FIELDS_MAX:,}. Ask for smaller pages."
        )
    if characters > CHARACTERS_MAX:
        raise LimitExceeded(
            f"The operation could return {characters:,} characters. The limit is {CHARACTERS_MAX:,}. Ask for smaller "
            "pages, or for fewer long texts."
        )
    if searches > SEARCHES_MAX:
        raise LimitExceeded(
            f"The operation has {searches:,} searches: pages with `where`, and counts. The limit is {SEARCHES_MAX:,}. "
            "Ask for them in several requests."
        )
    if size.points > costs.POINTS_MAX:
        raise LimitExceeded(
            f"The operation costs {size.points:,} points. The limit is {costs.POINTS_MAX:,}. Ask for less at once."
        )
    return size


def _size(plan: Plan, variables: dict[str, Any], known: dict[int, Size]) -> Size:
    nodes, fields, characters, searches, rows = 0, plan.fields, plan.characters, plan.searches, plan.rows
    for item in plan.lists:
        length = _length(item, variables)
        if item.rows is not None:
            rows += max(length, item.rows)
        inner = _size(item.plan, variables, known)
        nodes += length * (1 + inner.nodes)
        fields += length * inner.fields
        characters += length * inner.characters
        searches += inner.searches  # one statement searches for all objects of a list
    for spread in plan.spreads:
        size = known.get(id(spread))
        if size is None:
            size = known[id(spread)] = _size(spread, variables, known)
        nodes += size.nodes
        fields += size.fields
        characters += size.characters
        searches += size.searches
        rows += size.rows
    return Size(nodes, fields, characters, searches, rows)


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


def _is_search(node: FieldNode, definition: GraphQLField) -> bool:
    is_page = not {"first", "last"}.isdisjoint(definition.args)
    return is_page and any(argument.name.value == _FILTER for argument in node.arguments or ())


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
        plan.has_pages = plan.has_pages or any(spread.has_pages for spread in plan.spreads)
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
        metadata: Mapping[str, int] = (
            getattr(definition.extensions.get(_DEFINITION), "metadata", {}) if definition is not None else {}
        )
        if definition is None or node.selection_set is None:
            plan.characters += _LEAF_CHARACTERS + metadata.get(_CHARACTERS_MAX, 0)
            plan.searches += node.name.value in _COUNTS
            return
        plan.characters += _LEAF_CHARACTERS
        plan.searches += _is_search(node, definition) or node.name.value in _COUNTS
        inner = self.plan(node.selection_set, get_named_type(definition.type))
        is_introspection = parent is not None and parent.name.startswith("__")
        item = self._list(
            node, definition, inner, items_max=metadata.get(_ITEMS_MAX, 1), is_introspection=is_introspection
        )
        plan.has_pages = plan.has_pages or item.is_page or inner.has_pages
        if parent is self._schema.mutation_type:
            item.rows = metadata.get(_ROWS, 1)
        if item.constant == 1 and not item.arguments:
            plan.rows += item.rows or 0
            plan.fields += inner.fields
            plan.characters += inner.characters
            plan.searches += inner.searches
            plan.lists += inner.lists
            plan.spreads += inner.spreads
        else:
            plan.lists.append(item)

    def _list(
        self, node: FieldNode, definition: GraphQLField, inner: Plan, *, items_max: int, is_introspection: bool
    ) -> _List:
        if is_introspection:
            name = node.name.value
            return _List(inner, len(self._schema.type_map) if name == "types" else _INTROSPECTION_LISTS.get(name, 1))
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        if not {"first", "last"}.isdisjoint(definition.args):
            sizes = tuple(given[name] for name in ("first", "last") if name in given)
            return _List(inner, PAGE_SIZE_DEFAULT, sizes, is_page=True)
        # a number such as `intervalMs` is no length
        listed = (
            value for name, value in given.items() if get_nullable_type(definition.args[name].type) is not GraphQLInt
        )
        return _List(inner, items_max, tuple(listed))
