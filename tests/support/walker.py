"""Walks a GraphQL schema: a call of every root field, with every place that takes an id."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

DEPTH = 3
# What the schema does not have: values that a valid input needs.
GOOD_INPUT: dict[str, dict[str, Any]] = {"TargetInput": {"destination0": {"target": "+15550100001"}}}
GOOD_SCALAR: dict[str, Any] = {"String": "text", "Int": 1, "Boolean": False, "DateTime": "2030-01-01T00:00:00Z"}
GOOD_SCALAR |= {"Date": "2030-01-01", "LocalTime": "09:00"}
GOOD_ARGUMENT: dict[Any, Any] = {("to",): "2030-01-02T00:00:00Z"}
Path = tuple[str, ...]


@dataclass(frozen=True)
class Slot:
    """A place in a root field's arguments that takes an id: ("input", "results", "attemptId")."""

    root: str
    field: str
    path: Path


@dataclass
class Call:
    """One root field with variables for all required arguments, and for those on the way to a slot."""

    root: str
    field: str
    document: str
    variables: dict[str, Any] = field(default_factory=dict)


def roots(schema: GraphQLSchema) -> Iterator[tuple[str, str, GraphQLField]]:
    for kind, root in (
        ("query", schema.query_type),
        ("mutation", schema.mutation_type),
        ("subscription", schema.subscription_type),
    ):
        assert root is not None
        for name, definition in root.fields.items():
            yield kind, name, definition


def slots(schema: GraphQLSchema) -> list[Slot]:
    """Every place that takes an id, in the arguments of every root field and inside their inputs."""
    return [
        Slot(kind, name, path)
        for kind, name, definition in roots(schema)
        for argument, given in definition.args.items()
        for path in _id_paths((argument,), given.type)
    ]


def _id_paths(path: Path, given: Any) -> Iterator[Path]:
    named = get_named_type(given)
    if isinstance(named, GraphQLScalarType) and named.name == "ID":
        yield path
    elif isinstance(named, GraphQLInputObjectType):
        assert path.count(path[-1]) == 1, f"inputs that hold themselves are not walked: {path}"
        for name, inner in named.fields.items():
            yield from _id_paths((*path, name), inner.type)


def nested_id_arguments(schema: GraphQLSchema) -> list[str]:
    """Fields below the roots that take an id. They are not walked here."""
    return [
        f"{kind.name}.{name}({argument})"
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__")
        if kind not in {schema.query_type, schema.mutation_type, schema.subscription_type}
        for name, definition in kind.fields.items()
        for argument, given in definition.args.items()
        for path in _id_paths((argument,), given.type)
    ]


def call(schema: GraphQLSchema, kind: str, name: str, ids: dict[Path, str], usual: Any) -> Call:
    """A call of a root field.

    Args:
        schema: as the server shows it.
        kind: query, mutation or subscription.
        name: the root field.
        ids: the values of these slots. An optional slot is only filled if it is given.
        usual: returns the value for the path of any other required slot.
    """
    root = {"query": schema.query_type, "mutation": schema.mutation_type, "subscription": schema.subscription_type}[
        kind
    ]
    assert root is not None
    definition = root.fields[name]
    variables = {
        argument: _value((argument,), given.type, ids, usual)
        for argument, given in definition.args.items()
        if _is_wanted((argument,), given, ids)
    }
    declared = ", ".join(f"${argument}: {definition.args[argument].type}" for argument in variables)
    passed = ", ".join(f"{argument}: ${argument}" for argument in variables)
    document = (
        f"{kind}{f'({declared})' if declared else ''} "
        f"{{ {name}{f'({passed})' if passed else ''} {selection(schema, definition.type)} }}"
    )
    return Call(kind, name, document, variables)


def _is_wanted(path: Path, given: GraphQLArgument | GraphQLInputField, ids: dict[Path, str]) -> bool:
    required = is_required_argument(given) if isinstance(given, GraphQLArgument) else is_required_input_field(given)
    return required or any(slot[: len(path)] == path for slot in ids)


def _value(path: Path, given: Any, ids: dict[Path, str], usual: Any) -> Any:
    if isinstance(given, GraphQLNonNull):
        return _value(path, given.of_type, ids, usual)
    if isinstance(given, GraphQLList):
        return [_value(path, given.of_type, ids, usual)]
    if isinstance(given, GraphQLInputObjectType):
        made = {
            name: _value((*path, name), inner.type, ids, usual)
            for name, inner in given.fields.items()
            if _is_wanted((*path, name), inner, ids)
        }
        return {**made, **GOOD_INPUT.get(given.name, {})}
    if isinstance(given, GraphQLEnumType):
        return next(iter(given.values))
    if given.name == "ID":
        return ids[path] if path in ids else usual(path)
    return GOOD_ARGUMENT.get(path) or GOOD_SCALAR[given.name]


def selection(schema: GraphQLSchema, output: Any, depth: int = DEPTH) -> str:
    """All fields that can be selected without arguments, down to a depth."""
    named = get_named_type(output)
    if is_leaf_type(named):
        return ""
    if isinstance(named, GraphQLInterfaceType):
        return (
            f"{{ __typename {' '.join(_fragment(schema, kind, depth) for kind in schema.get_possible_types(named))} }}"
        )
    assert isinstance(named, GraphQLObjectType)
    return f"{{ __typename {' '.join(_selected(schema, named, depth))} }}"


def _fragment(schema: GraphQLSchema, kind: GraphQLObjectType, depth: int) -> str:
    # Aliased by type: fields of one name and different types cannot be in one selection.
    parts = _selected(schema, kind, depth - 1)
    inner = " ".join(f"{kind.name}_{part.partition(' ')[0]}: {part}" for part in parts)
    return f"... on {kind.name} {{ {inner} }}"


def _selected(schema: GraphQLSchema, kind: GraphQLObjectType, depth: int) -> list[str]:
    parts = []
    for name, definition in kind.fields.items():
        if any(is_required_argument(argument) for argument in definition.args.values()):
            continue
        if is_leaf_type(get_named_type(definition.type)):
            parts.append(name)
        elif depth > 1:
            parts.append(f"{name} {selection(schema, definition.type, depth - 1)}")
    return parts
