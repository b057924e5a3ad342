"""Variables and arguments, coerced by functions that are made once for each type.

They accept what is plainly valid. On anything else graphql-core coerces all of it again, and words the errors.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
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
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.relay.types import GlobalID
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.base import StrawberryMaybe, StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType

from app.graphql.compiled.leaves import INT_MAX, INT_MIN

Coerce = Callable[[Any], Any]
"""Of a decoded JSON value."""
Made = Callable[[Mapping[str, Any]], Any]
"""A coerced value, made of the coerced variables. Undefined if it is left out. Raises Unusual."""


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
        names = self._config.name_converter
        self._arguments: list[tuple[str, StrawberryArgument, bool]] = []
        """By name in the schema, and whether the resolver takes the coerced value as it is."""
        for argument in field.arguments:
            name = names.from_argument(argument)
            of = definition.args[name].type
            bare = of.of_type if isinstance(of, GraphQLNonNull) else of
            self._arguments.append((name, argument, is_leaf_type(bare) and _is_plain(argument.type)))
        self._constants: dict[str, Any] = {}
        """The values of arguments that depend on no variable,"""
        self._made: list[tuple[str, Made]] = []
        """and functions of the variables for the others."""
        self._is_simple = True
        """Whether these are all of them."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        try:
            for name, argument_definition in definition.args.items():
                self._add(name, argument_definition, given.get(name))
        except Unusual:
            self._is_simple = False

    def _add(self, name: str, definition: GraphQLArgument, value: ValueNode | None) -> None:
        is_required = is_required_argument(definition)
        default = Undefined if is_required else coerce_default_value(definition)
        if isinstance(value, VariableNode):
            self._made.append((name, _variable(value, definition.type, default, is_required=is_required)))
        elif value is None:
            if is_required:
                raise Unusual
            if default is not Undefined:
                self._constants[name] = default
        elif _has_variables(value):
            self._made.append((name, _literal(value, definition.type)))
        else:
            self._constants[name] = _constant(value, definition.type)

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
        coerced, found = variables.coerced, self._constants.copy()
        try:
            for name, make in self._made:
                value = make(coerced)
                if value is not Undefined:
                    found[name] = value
        except Unusual:
            return get_argument_values(self._definition, self._node, variables)
        return found


def _variable(node: VariableNode, of: GraphQLInputType, default: Any, *, is_required: bool) -> Made:
    """An argument that is a variable. It is as if it were left out if the variable has no value."""
    name, refuses_null = node.name.value, isinstance(of, GraphQLNonNull)

    def make(coerced: Mapping[str, Any]) -> Any:
        if name not in coerced:
            if is_required:
                raise Unusual
            return default
        value = coerced[name]
        if value is None and refuses_null:
            raise Unusual
        return value

    return make


def _literal(node: ValueNode, of: GraphQLInputType) -> Made:
    """A value in the document with variables in it.

    Raises:
        Unusual: only graphql-core coerces it.
    """
    bare: Any = of.of_type if isinstance(of, GraphQLNonNull) else of
    if isinstance(node, VariableNode):
        return _variable(node, of, Undefined, is_required=True)
    if not _has_variables(node):
        value = _constant(node, of)
        return lambda _: value
    if not (isinstance(node, ObjectValueNode) and isinstance(bare, GraphQLInputObjectType)) or bare.is_one_of:
        raise Unusual
    given = {field.name.value: field.value for field in node.fields}
    constants: dict[str, Any] = {}
    made: list[tuple[str, Made]] = []
    for name, field in bare.fields.items():
        if name in given:
            made.append((field.out_name or name, _literal(given[name], field.type)))
        elif is_required_input_field(field):
            raise Unusual
        elif (default := coerce_default_value(field)) is not Undefined:
            constants[field.out_name or name] = default
    make_object = bare.out_type
    return lambda coerced: make_object(constants | {name: make(coerced) for name, make in made})


def _constant(node: ValueNode, of: GraphQLInputType) -> Any:
    value = coerce_input_literal(node, of)
    if value is Undefined:
        raise Unusual
    return value


def _has_variables(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(map(_has_variables, node.values))
    if isinstance(node, ObjectValueNode):
        return any(_has_variables(field.value) for field in node.fields)
    return isinstance(node, VariableNode)


def _is_plain(of: Any) -> bool:
    """Whether strawberry passes a coerced leaf on as it is."""
    if isinstance(of, StrawberryOptional) and not isinstance(of, StrawberryMaybe):
        of = of.of_type
    return of is not GlobalID and not isinstance(of, StrawberryMaybe | LazyType)
