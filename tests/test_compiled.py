"""Compiled operations answer what graphql-core answers: data, errors, paths and order."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.graphql.compiled import Way, writing
from app.graphql.compiled import operations as compiled_operations
from tests.support import factories as make
from tests.support import oddities
from tests.support.bothways import BothWays
from tests.support.selections import operations

pytestmark = [
    # graphql-core leaves some of its own coroutines when an error makes their object null.
    pytest.mark.filterwarnings("ignore:coroutine 'Executor:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

EXAMPLES = 60
EXAMPLES_SLOW = 2_000

ODD = BothWays(oddities.schema, oddities.make_context)
VIEWER = make.make_viewer()

NUMBERS = st.lists(st.integers(0, 30), max_size=4)
ODD_VALUES = {
    "wish": st.fixed_dictionaries({}, optional={"numbers": NUMBERS, "slowly": st.booleans()}),
    "numbers": NUMBERS,
    "number": st.integers(0, 30),
    "count": st.integers(0, 3),
    "text": st.text(max_size=5),
    "error": st.booleans(),
}
ODD_OPERATIONS = st.one_of(
    [operations(oddities.schema._schema, ODD_VALUES, kind) for kind in ("query", "query", "mutation", "subscription")]
)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_operations, "EXECUTIONS_BEFORE", 0)


async def odd(query: str, **variables: Any) -> tuple[Any, Way]:
    """The answer of both ways, and which way it was."""
    return await ODD.same(VIEWER, query, variables)


# ---------------------------------------------------------------- whatever is asked


@given(ODD_OPERATIONS)
@settings(max_examples=EXAMPLES)
async def test_any_operation_on_odd_records_is_answered_alike(operation: tuple[str, dict[str, Any]]) -> None:
    await ODD.same(VIEWER, *operation, in_order=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(ODD_OPERATIONS)
@settings(max_examples=EXAMPLES_SLOW)
async def test_thousands_of_operations_on_odd_records_are_answered_alike(operation: tuple[str, dict[str, Any]]) -> None:
    await ODD.same(VIEWER, *operation, in_order=False)


# ---------------------------------------------------------------- errors


async def test_what_is_sound_is_compiled() -> None:
    query = "{ things(wish: {numbers: [1, 4, 10]}) { name colour doubled when numbers next { name } asked } }"
    payload, way = await odd(query)
    assert way is Way.COMPILED
    assert [thing["name"] for thing in payload["data"]["things"]] == ["thing 1", "thing 4", "thing 10"]


@pytest.mark.parametrize(
    "query",
    [
        "{ things(wish: {numbers: [1, 3, 2, 7, 0, 4]}) { name } }",  # null and exceptions in the middle of a list
        "{ sureThings(wish: {numbers: [1, 3, 2]}) { doubled name } }",  # null where it is not allowed
        "{ sureThings(wish: {numbers: [1, 0, 2]}) { doubled } }",
        "{ things(wish: {numbers: [1, 3, 4]}) { doubled raises } }",
        "{ things(wish: {numbers: [1, 3, 4]}) { doubled sureRaises } }",
        "{ things(wish: {numbers: [1, 3, 4]}) { doubled next { sureNext { sureRaises } } } }",
        "{ things(wish: {numbers: [1, 2, 3, 4, 5, 8]}) { oddNumber oddText oddFlag size oddList matrix fails } }",
        "{ things(wish: {numbers: [2, 4]}) { nextLater { name nextLater { number: doubled } } } }",
        "{ things(wish: {numbers: [2, 3, 4]}) { nextLater { name } } }",
        "{ things { nextSlowly(error: true) { name } others { name } } }",
        "{ animals(numbers: [1, 2, 0, 7, 8]) { __typename name sound ... on Cat { enemy { name } } } }",
        "{ animals(numbers: [1, 2]) { ... on Dog { friend { tricks } } } }",  # a value of the wrong type
        "{ thing(number: 2) { selfLater { doubled } } }",
        "{ a: thing(number: 7) { name } b: refused c: refusedAtOnce d: thing { name } }",
    ],
)
async def test_errors_are_those_of_graphql_core_in_their_order(query: str) -> None:
    await odd(query)


async def test_a_list_of_errors_has_the_positions_of_its_rows() -> None:
    payload, way = await odd("{ things(wish: {numbers: [1, 3, 5, 6]}) { number: doubled\n raises } }")
    assert way is Way.REPLAYED
    assert [error["path"] for error in payload["errors"]] == [["things", row, "raises"] for row in range(4)]
    assert {tuple(place.values()) for error in payload["errors"] for place in error["locations"]} == {(2, 2)}
    assert [thing["number"] for thing in payload["data"]["things"]] == [2, 6, 10, 12]


# ---------------------------------------------------------------- nothing twice


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("{ things { raises } sureThings { name } a: thing { name } }", ["things", "sureThings", "thing 1"]),
        ("{ sureThings(wish: {numbers: [0]}) { name } things { name } }", ["things", "sureThings"]),
        (
            "mutation { a: write { raises } b: write(number: 2) { name } c: writeAtOnce(number: 4) { sureRaises } }",
            ["write 1", "write 2", "write at once 4"],
        ),
        (
            "mutation { a: writeAtOnce(number: 5) { name } b: write(number: 7) { name } c: write(number: 8) { name } }",
            ["write at once 5", "write 7", "write 8"],
        ),
    ],
)
async def test_no_resolver_is_called_twice_when_graphql_core_takes_over(query: str, calls: list[str]) -> None:
    oddities.contexts.clear()
    _, way = await odd(query)
    assert way is Way.REPLAYED
    assert [context.calls for context in oddities.contexts] == [calls, calls]


async def test_an_operation_is_compiled_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_operations, "EXECUTIONS_BEFORE", 1)
    ways = [(await odd("{ again: things(wish: {numbers: [1]}) { name } }"))[1] for _ in range(3)]
    assert ways == [Way.CORE, Way.COMPILED, Way.COMPILED]


async def test_fields_of_a_mutation_run_one_after_the_other() -> None:
    oddities.contexts.clear()
    _, way = await odd("mutation { a: write(number: 1) { nextSlowly { doubled } } b: writeAtOnce(number: 2) { name } }")
    assert way is Way.COMPILED
    assert oddities.contexts[1].calls == ["write 1", "write at once 2"]


# ---------------------------------------------------------------- variables, fragments, merging


async def test_a_plan_holds_for_the_values_of_its_conditions_alone() -> None:
    query = """query($yes: Boolean!, $text: String! = "t") { things {
        doubled @include(if: $yes) name @skip(if: $yes) echo(text: $text) ...F @include(if: $yes) } }
        fragment F on Thing { size }"""
    for yes in (True, False, True):
        payload, way = await odd(query, yes=yes)
        assert way is Way.COMPILED
        assert list(payload["data"]["things"][0]) == (["doubled", "echo", "size"] if yes else ["name", "echo"])
    for text in ("x", "y"):
        payload, _ = await odd(query, yes=True, text=text)
        assert payload["data"]["things"][0]["echo"] == f"1 {text} None"


async def test_fields_that_merge_are_answered_once() -> None:
    query = """{ things(wish: {numbers: [1, 4]}) { next { name } ...F next { size } a: next { __typename } } }
        fragment F on Thing { next { doubled next { doubled } } colour }"""
    payload, way = await odd(query)
    assert way is Way.COMPILED
    assert list(payload["data"]["things"][0]["next"]) == ["name", "doubled", "next", "size"]


async def test_more_combinations_of_conditions_than_are_kept_are_executed_by_graphql_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled_operations, "COMBINATIONS_MAX", 2)
    query = "query($a: Boolean!, $b: Boolean!) { things { name @include(if: $a) size @include(if: $b) doubled } }"
    ways = [(await odd(query, a=a, b=b))[1] for a in (True, False) for b in (True, False)]
    assert ways == [Way.COMPILED, Way.COMPILED, Way.CORE, Way.CORE]
    assert (await odd(query, a=True, b=False))[1] is Way.COMPILED


async def test_fragments_that_multiply_are_executed_by_graphql_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PLAN_FIELDS_MAX", 20)
    query = "{ thing { ...A } } " + " ".join(
        f"fragment {here} on Thing {{ a: next {{ ...{there} }} b: next {{ ...{there} }} }}"
        for here, there in ("AB", "BC", "CD")
    )
    assert (await odd(f"{query} fragment D on Thing {{ doubled }}"))[1] is Way.CORE


async def test_plans_that_were_not_used_for_long_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_operations, "PLANNED_FIELDS_MAX", 10)
    both = BothWays(oddities.schema, oddities.make_context)
    for name in "abcdefgh":
        assert (await both.same(VIEWER, f"{{ {name}: things {{ name size }} }}"))[1] is Way.COMPILED
    compiler = both.compiled._compiler
    assert compiler._kept_fields <= 10
    assert sum(len(document.compiled[""].plans) for document in both.compiled._documents.kept.values()) == 3
    assert (await both.same(VIEWER, "{ a: things { name size } }"))[1] is Way.COMPILED


@pytest.mark.parametrize(
    "query", ["{ __schema { queryType { name } } things { name } }", '{ __type(name: "Cat") { name } }']
)
async def test_introspection_is_executed_by_graphql_core(query: str) -> None:
    assert (await odd(query))[1] is Way.CORE


async def test_events_are_compiled() -> None:
    payload, way = await odd("subscription { watch(numbers: [1, 2, 4]) { name next { doubled } } }")
    assert (payload, way) == ({"data": {"watch": {"name": "thing 1", "next": {"doubled": 4}}}}, Way.COMPILED)
    assert (await odd("subscription { watch(numbers: [3, 0, 7]) { name } }"))[1] is Way.REPLAYED
