"""Variables and arguments, coerced by functions that are made once for each type.

They accept what is plainly valid. On anything else graphql-core coerces all of it again, and words the errors.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.relay.types import GlobalID
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.base import StrawberryMaybe, StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType

from app.graphql.compiled.leaves import INT_MAX, INT_MIN

Coerce = Callable[[Any], Any]
"""Of a decoded JSON value."""


class Unusual(Exception):  # noqa: N818 - not an error: graphql-core decides whether it is
    """A value that is not plainly valid."""


class Coercions:
    """The functions of a schema's input types. Those with a name are made once."""

    def __init__(self) -> None:
        self._made: dict[GraphQLInputObjectType | GraphQLEnumType, Coerce] = {}

    def of(self, of: GraphQLInputType, within: tuple[GraphQLInputObjectType, ...] = ()) -> Coerce:
        """The function of a type. It raises Unusual, and any error of a scalar.

        Raises:
            Unusual: only graphql-core coerces the type.
        """
        if isinstance(of, GraphQLNonNull):
            return self._present(of.of_type, within)
        present = self._present(of, within)
        return lambda value: None if value is None else present(value)

    def _present(self, of: Any, within: tuple[GraphQLInputObjectType, ...]) -> Coerce:
        if isinstance(of, GraphQLList):
            return _list(self.of(of.of_type, within))
        if isinstance(of, GraphQLScalarType):
            return _text if of in {GraphQLString, GraphQLID} else _integer if of is GraphQLInt else _scalar(of)
        if of not in self._made:
            self._made[of] = _enum(of) if isinstance(of, GraphQLEnumType) else self._input_object(of, within)
        return self._made[of]

    def _input_object(self, of: GraphQLInputObjectType, within: tuple[GraphQLInputObjectType, ...]) -> Coerce:
        if of in within or of.is_one_of:
            raise Unusual
        within = (*within, of)
        return _input_object(
            of,
            [
                (name, field.out_name or name, self.of(field.type, within), is_required_input_field(field), field)
                for name, field in of.fields.items()
            ],
        )


def _text(value: Any) -> Any:
    if value.__class__ is not str:
        raise Unusual
    return value


def _integer(value: Any) -> Any:
    if value.__class__ is not int or not INT_MIN <= value <= INT_MAX:
        raise Unusual
    return value


def _enum(of: GraphQLEnumType) -> Coerce:
    members = {name: of.coerce_input_value(name) for name in of.values}

    def coerce(value: Any) -> Any:
        if value.__class__ is not str or value not in members:
            raise Unusual
        return members[value]

    return coerce


def _scalar(of: GraphQLScalarType) -> Coerce:
    def coerce(value: Any) -> Any:
        if value is None:
            raise Unusual
        return of.coerce_input_value(value)

    return coerce


def _list(item: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        if value.__class__ is not list:
            raise Unusual
        return [item(each) for each in value]

    return coerce


def _input_object(of: GraphQLInputObjectType, plan: list[tuple[str, str, Coerce, bool, GraphQLInputField]]) -> Coerce:
    known = of.fields.keys()

    def coerce(value: Any) -> Any:
        if value.__class__ is not dict or not value.keys() <= known:
            raise Unusual
        found = {}
        for name, out_name, inner, is_required, field in plan:
            if name in value:
                found[out_name] = inner(value[name])
            elif is_required:
                raise Unusual
            elif (default := coerce_default_value(field)) is not Undefined:
                found[out_name] = default
        return of.out_type(found)

    return coerce


class Variables:
    """The variables of an operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, coercions: Coercions) -> None:
        self._variables: list[tuple[str, Any, Coerce, bool, bool]] | None = []
        for node in operation.variable_definitions or ():
            signature = get_variable_signature(schema, node)
            if isinstance(signature, GraphQLError):
                self._variables = None
                return
            try:
                coerce = coercions.of(signature.type)
            except Unusual:
                self._variables = None
                return
            is_required = isinstance(signature.type, GraphQLNonNull)
            self._variables.append((signature.name, signature, coerce, node.default_value is not None, is_required))

    def values(self, given: Mapping[str, Any]) -> VariableValues | None:
        """The values, or None if graphql-core must look at them."""
        if self._variables is None:
            return None
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for name, signature, coerce, has_default, is_required in self._variables:
            if name in given:
                value = given[name]
                sources[name] = VariableValueSource(signature, value)
                try:
                    coerced[name] = coerce(value)
                except Exception:  # noqa: BLE001 - graphql-core says what is wrong
                    return None
            elif has_default or is_required:
                return None
            else:
                sources[name] = VariableValueSource(signature)
        return VariableValues(sources, coerced)


class Arguments:
    """The arguments of a field of the operation, as its resolver takes them."""

    def __init__(self, field: StrawberryField, definition: GraphQLField, node: FieldNode, schema: Any) -> None:
        self._definition = definition
        self._node = node
        self._config = schema.config
        self._scalars = schema.schema_converter.scalar_registry
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        names = self._config.name_converter
        self._arguments: list[tuple[str, StrawberryArgument, bool]] = []
        """By name in the schema, and whether the resolver takes the coerced value as it is."""
        self._variables: dict[str, tuple[str, bool]] = {}
        """For each argument that is a variable: the variable's name, and whether null is refused."""
        self._is_simple = True
        """Whether each argument that is given is a variable."""
        for argument in field.arguments:
            name = names.from_argument(argument)
            of = definition.args[name].type
            bare = of.of_type if isinstance(of, GraphQLNonNull) else of
            self._arguments.append((name, argument, is_leaf_type(bare) and _is_plain(argument.type)))
            value = given.get(name)
            if isinstance(value, VariableNode):
                self._variables[name] = value.name.value, isinstance(of, GraphQLNonNull)
            elif value is not None:
                self._is_simple = False

    def values(self, variables: VariableValues, info: Any) -> dict[str, Any]:
        """By their names in Python.

        Raises:
            GraphQLError: one of them is wrong.
        """
        found = self._coerced(variables)
        return {
            argument.python_name: found[name]
            if is_plain
            else convert_argument(found[name], argument.type, self._scalars, self._config, info, path=(name,))
            for name, argument, is_plain in self._arguments
            if name in found
        }

    def _coerced(self, variables: VariableValues) -> dict[str, Any]:
        if not self._arguments:
            return {}
        if not self._is_simple:
            return get_argument_values(self._definition, self._node, variables)
        coerced = variables.coerced
        found: dict[str, Any] = {}
        for name, definition in self._definition.args.items():
            variable = self._variables.get(name)
            if variable is not None and variable[0] in coerced:
                value = coerced[variable[0]]
                if value is None and variable[1]:
                    return get_argument_values(self._definition, self._node, variables)
                found[name] = value
            elif is_required_argument(definition):
                return get_argument_values(self._definition, self._node, variables)
            elif (default := coerce_default_value(definition)) is not Undefined:
                found[name] = default
        return found


def _is_plain(of: Any) -> bool:
    """Whether strawberry passes a coerced leaf on as it is."""
    if isinstance(of, StrawberryOptional) and not isinstance(of, StrawberryMaybe):
        of = of.of_type
    return of is not GlobalID and not isinstance(of, StrawberryMaybe | LazyType)
