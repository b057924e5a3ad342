"""Valid operations of a schema, as hypothesis draws them: aliases, fragments of both kinds, merging, directives."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
)
from hypothesis import assume
from hypothesis import strategies as st

from app.graphql.transport import forms

SELECTIONS_MAX = 5
DEPTH_MAX = 4
ALIASES = ["a", "b"]
CONDITIONS = ["yes", "no", "perhaps"]

Values = Mapping[str, st.SearchStrategy[Any]]
"""Of arguments: by `Type.field.argument`, else by the argument's name, else by its type."""
Composite = GraphQLObjectType | GraphQLInterfaceType


class _Writer:
    def __init__(
        self, schema: GraphQLSchema, draw: Callable[..., Any], values: Values, without: Collection[str]
    ) -> None:
        self._schema = schema
        self._draw = draw
        self._values = values
        self._without = without
        self._fragments: dict[str, str] = {}
        self._declared: dict[str, str] = {}
        self._aliases = 0
        self.variables: dict[str, Any] = {}

    def document(self, kind: str) -> str:
        root: Any = getattr(self._schema, f"{kind}_type")
        selected = self.one_field(root) if kind == "subscription" else self.selection(root, 0)
        declared = ", ".join(f"${name}: {of}" for name, of in self._declared.items())
        head = f"{kind} Drawn({declared})" if declared else kind
        return "\n".join([f"{head} {selected}", *self._fragments.values()])

    def one_field(self, root: Composite) -> str:
        name = self._draw(st.sampled_from(sorted(root.fields)))
        return f"{{ {self._field(root, name, 0)} }}"

    def selection(self, of: Composite, depth: int) -> str:
        parts = [self._part(of, depth) for _ in range(self._draw(st.integers(1, SELECTIONS_MAX)))]
        return "{ " + " ".join(parts) + " }"

    def _part(self, of: Composite, depth: int) -> str:
        kind = self._draw(st.sampled_from(["field"] * 8 + ["typename", "inline", "spread"]))
        if kind == "typename":
            return "__typename"
        if kind == "field" or depth >= DEPTH_MAX:
            names = sorted(of.fields.keys() - set(self._without))
            if depth >= DEPTH_MAX:
                names = [name for name in names if is_leaf_type(get_named_type(of.fields[name].type))]
            return self._field(of, self._draw(st.sampled_from(names)), depth) if names else "__typename"
        inner = self._draw(st.sampled_from([of, *self._related(of)]))
        if kind == "inline":
            condition = f" on {inner.name}" if inner is not of or self._draw(st.booleans()) else ""
            return f"...{condition}{self._directive()} {self.selection(inner, depth + 1)}"
        known = [name for name, text in self._fragments.items() if text.startswith(f"fragment {name} on {inner.name} ")]
        name = self._draw(st.sampled_from([*known, ""]))
        if not name:
            name = f"F{len(self._fragments)}"
            self._fragments[name] = f"fragment {name} on {inner.name} "  # a cycle, if it is spread in itself
            self._fragments[name] += self.selection(inner, depth + 1)
        return f"...{name}{self._directive()}"

    def _related(self, of: Composite) -> list[Composite]:
        if isinstance(of, GraphQLInterfaceType):
            return [of, *self._schema.get_possible_types(of)]
        return list(of.interfaces)

    def _field(self, of: Composite, name: str, depth: int) -> str:
        field = of.fields[name]
        arguments = self._arguments(of, name, field.args)
        # Two fields with one response name must be the same field, with the same arguments. They then merge.
        alias = self._draw(st.sampled_from(["", "", *ALIASES]))
        if arguments:
            self._aliases += 1
            alias = f"{self._aliases}"
        text = (f"{name}_{alias}: " if alias else "") + name + arguments + self._directive()
        inner = get_named_type(field.type)
        if isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
            text += " " + self.selection(inner, depth + 1)
        return text

    def _arguments(self, of: Composite, name: str, arguments: Mapping[str, GraphQLArgument]) -> str:
        given = []
        for argument_name, argument in arguments.items():
            strategy = self._strategy(f"{of.name}.{name}.{argument_name}", argument_name, str(argument.type))
            if strategy is None or not (is_required_argument(argument) or self._draw(st.booleans())):
                continue
            variable = f"v{len(self._declared)}"
            self._declared[variable] = str(argument.type)
            # A variable that is left out, where null is allowed, leaves the argument out.
            if isinstance(argument.type, GraphQLNonNull) or self._draw(st.integers(0, 3)):
                self.variables[variable] = self._draw(strategy)
            given.append(f"{argument_name}: ${variable}")
        return f"({', '.join(given)})" if given else ""

    def _strategy(self, *keys: str) -> st.SearchStrategy[Any] | None:
        return next((self._values[key] for key in keys if key in self._values), None)

    def _directive(self) -> str:
        if self._draw(st.integers(0, 5)):
            return ""
        name = self._draw(st.sampled_from(["skip", "include"]))
        value = self._draw(st.sampled_from(["true", "false", *CONDITIONS]))
        if value in CONDITIONS:
            self._declared[value] = "Boolean!"
            self.variables.setdefault(value, self._draw(st.booleans()))
            value = f"${value}"
        return f" @{name}(if: {value})"


@st.composite
def operations(
    draw: Callable[..., Any], schema: GraphQLSchema, values: Values, kind: str = "query", without: Collection[str] = ()
) -> tuple[str, dict[str, Any]]:
    """A document with one operation, and its variables; without the fields of these names."""
    writer = _Writer(schema, draw, values, without)
    text = writer.document(kind)
    document = parse(text)
    assume(len(text) < forms.QUERY_CHARACTERS_MAX and not validate(schema, document))
    return text, writer.variables
