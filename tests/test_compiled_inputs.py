"""Coerced variables are what graphql-core makes of them, or left to graphql-core."""

from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    OperationDefinitionNode,
    is_input_type,
    parse,
    type_from_ast,
)
from graphql.execution import get_variable_values
from graphql.language import parse_type
from hypothesis import given
from hypothesis import strategies as st

from app.graphql.compiled import operations as compiled_operations
from app.graphql.compiled.inputs import Coercions, Variables
from app.graphql.schema import schema
from tests.support import factories as make
from tests.support import oddities
from tests.support.bothways import BothWays

GRAPHQL = schema._schema
COERCIONS = Coercions()
NAMES = sorted(name for name, of in GRAPHQL.type_map.items() if is_input_type(of) and not name.startswith("__"))
TYPES = [spelled for name in NAMES for spelled in (name, f"{name}!", f"[{name}!]", f"[[{name}]!]!")]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.sampled_from(["IDLE", "TEL", "2022-04-28T01:41:40Z"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
SCALARS = {
    "String": st.text(max_size=5),
    "ID": st.text(max_size=5) | st.integers(),
    "Int": st.integers(-(2**31), 2**31 - 1),
    "Boolean": st.booleans(),
    "Float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5),
    "DateTime": st.datetimes().map(lambda value: value.isoformat() + "Z"),
    "Date": st.dates().map(str),
    "LocalTime": st.times().map(lambda value: value.isoformat("minutes")),
    "EventCursor": st.text(max_size=5),
}
ODD = BothWays(oddities.schema, oddities.make_context)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_operations, "EXECUTIONS_BEFORE", 0)


@st.composite
def inputs(draw: Any, of: Any) -> Any:
    """A value of the type; now and then anything else."""
    if not draw(st.integers(0, 30)):
        return draw(ANYTHING)
    if not isinstance(of, GraphQLNonNull):
        return draw(present(of)) if draw(st.integers(0, 8)) else None
    return draw(present(of.of_type))


@st.composite
def present(draw: Any, of: Any) -> Any:
    if isinstance(of, GraphQLList):
        return draw(st.lists(inputs(of.of_type), max_size=3))
    if isinstance(of, GraphQLEnumType):
        return draw(st.sampled_from(sorted(of.values)))
    if isinstance(of, GraphQLInputObjectType):
        given = {name: field for name, field in of.fields.items() if draw(st.integers(0, 3))}
        return {name: draw(inputs(field.type)) for name, field in given.items()}
    return draw(SCALARS[of.name])


@st.composite
def variables(draw: Any) -> tuple[str, dict[str, Any]]:
    spelled = draw(st.sampled_from(TYPES))
    of = type_from_ast(GRAPHQL, parse_type(spelled))
    return spelled, ({"given": draw(inputs(of))} if draw(st.integers(0, 9)) else {})


def operation(text: str) -> OperationDefinitionNode:
    [node] = parse(text).definitions
    assert isinstance(node, OperationDefinitionNode)
    return node


@given(variables())
def test_variables_are_those_of_graphql_core_or_left_to_it(drawn: tuple[str, dict[str, Any]]) -> None:
    spelled, given_values = drawn
    node = operation(f"query($given: {spelled}) {{ __typename }}")
    found = Variables(GRAPHQL, node, COERCIONS).values(given_values)
    wanted = get_variable_values(GRAPHQL, node.variable_definitions or (), given_values)
    if found is not None:
        assert not isinstance(wanted, list)
        assert found.coerced == wanted.coerced
        assert [*found.coerced] == [*wanted.coerced]
        assert {name: source.value for name, source in found.sources.items()} == {
            name: source.value for name, source in wanted.sources.items()
        }


def test_what_dialers_and_owners_send_is_not_left_to_graphql_core() -> None:
    node = operation(
        "mutation($a: CompleteAttemptsInput!, $b: CreateTargetsInput!, $c: ClaimTargetsInput!, $d: Int) { __typename }"
    )
    found = Variables(GRAPHQL, node, COERCIONS).values(
        {
            "a": {"results": [{"attemptId": "1", "disposition": "BUSY", "detail": "x"}]},
            "b": {"outdialId": "1", "targets": [{"name": "n", "destination0": {"target": "+1"}, "key": None}]},
            "c": {"outdialId": "1", "limit": 50, "dialer": None},
        }
    )
    assert found is not None
    assert found.coerced["a"]["results"][0]["disposition"].value == "BUSY"
    assert found.coerced["b"]["targets"][0]["destination0"]["type"].value == "TEL"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('query($t: String = "x") { thing { echo(text: $t) } }', {}),
        ('query($t: String = "x") { thing { echo(text: $t) } }', {"t": None}),
        ('query($t: String = "x") { thing { echo(text: $t) } }', {"t": "y"}),
        ("query($n: [Int!]) { thing { echo(numbers: $n) } }", {}),
        ("query($n: [Int!]) { thing { echo(numbers: $n) } }", {"n": 3}),
        ('query($n: [Int!]) { thing { echo(numbers: $n, text: "t") } }', {"n": None}),
        ("query($n: Int!) { thing { echo(numbers: [1, $n]) } }", {"n": 2}),
        ("query($n: Int!) { things(wish: {numbers: [$n]}) { name } }", {"n": 2}),
        ("query($w: Wish) { things(wish: $w) { name } }", {"w": {"numbers": 4}}),
        ("query($w: Wish) { things(wish: $w) { name } }", {"w": {"numbers": [4], "more": 1}}),
        ("query($w: Wish) { things(wish: $w) { name } }", {"w": {}}),
        ("query($w: Wish!) { things(wish: $w) { name } }", {"w": None}),
        ("query($w: Wish!) { things(wish: $w) { name } }", {}),
        ("query($n: Int!) { thing(number: $n) { name } }", {"n": 1.0}),
        ("query($n: Int!) { thing(number: $n) { name } }", {"n": "1"}),
        ("query($yes: Boolean = true) { thing { name @include(if: $yes) doubled } }", {"yes": None}),
        ("query($yes: Boolean = true) { thing { name @include(if: $yes) doubled } }", {}),
    ],
)
async def test_arguments_are_answered_alike(query: str, variables: dict[str, Any]) -> None:
    await ODD.same(make.make_viewer(), query, variables)


async def test_an_operation_is_chosen_by_its_name_alike() -> None:
    query = "query A { thing { name } } query B { thing { doubled } }"
    for name in ("A", "B", "C", "", None):
        await ODD.same(make.make_viewer(), query, name=name)
