"""The schema's own operations, compiled: the same answers, and everything that guards an operation holds."""

import ast
import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
    parse,
    type_from_ast,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from app import attempts, metrics, stored, targets
from app.auth import Scope, Viewer
from app.errors import Unavailable
from app.graphql.compiled import Way
from app.graphql.compiled import operations as compiled_operations
from app.graphql.schema import context, schema
from app.graphql.schema.context import Context
from app.graphql.transport import execution as execution_module
from app.graphql.transport.execution import Execution, Operation, Payload
from app.graphql.transport.masking import NotExecuted
from app.lifecycle import AttemptState, Disposition, OutdialState, TargetStatus
from app.records import TargetOrder
from app.stored import StoredTarget
from tests.support import factories as make
from tests.support.bothways import BothWays, executions
from tests.support.selections import operations
from tests.support.server import REPOSITORY
from tests.support.transport import make_viewer
from tests.test_query_counts import QUERIES

pytestmark = [
    # graphql-core leaves some of its own coroutines when an error makes their object null.
    pytest.mark.filterwarnings("ignore:coroutine 'Executor:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

EXAMPLES = 25
EXAMPLES_SLOW = 300
BOTH = BothWays(schema, Context)
GRAPHQL = schema._schema
IDS = ["outdial", "outdial", "target", "attempt", "deleted", "nobody", "malformed"]
"""Placeholders: the ids are known when a test runs."""


def _some(names: type) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([member.name for member in names]), max_size=2)  # type: ignore[attr-defined]


def _filter(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.fixed_dictionaries({}, optional=fields)


VALUES = {
    "ID!": st.sampled_from(IDS),
    "[ID!]!": st.lists(st.sampled_from(IDS), max_size=5),
    "first": st.sampled_from([1, 2, 3, 3, 3, 3, None, 0, 101]),
    "last": st.sampled_from([None, None, None, 1, 2]),
    "after": st.sampled_from([None, None, None, "malformed"]),
    "before": st.none(),
    "OutdialFilter": _filter(states=_some(OutdialState), nameContains=st.sampled_from(["test", "%"])),
    "TargetFilter": _filter(statuses=_some(TargetStatus), key=st.just("key"), destination=st.just("+15550100")),
    "AttemptFilter": _filter(states=_some(AttemptState), dialer=st.just("one")),
    "TargetOrder": st.sampled_from([None, *[order.name for order in TargetOrder]]),
}
# Another transaction of the cluster moves the event cursor. The others tell of the present.
QUERIES_OF_ANY_KIND = operations(GRAPHQL, VALUES, without={"eventCursor", "resetAt", "at"})

PLAIN_TARGET = """
    id outdialId key name detail data status doneReason priority maxTryCounts nextTryAt version
    tmCreate tmUpdate tmDelete tryCount0 tryCount1 tryCount2 tryCount3 tryCount4
    destination0 { type target targetName name detail } destination1 { target } destination4 { __typename type }
"""
"""Fields that are columns of its row."""

Ids = dict[str, str]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_operations, "EXECUTIONS_BEFORE", 0)


@pytest.fixture
async def ids(database: str, viewer: Viewer) -> Ids:
    """Two outdials with targets in every status, and a deleted one."""
    found: Ids = {"nobody": str(uuid4()), "malformed": "no id"}
    for _ in range(2):
        outdial = await make.make_outdial(viewer, policy={"max_try_counts": (1, 1, 0, 0, 0)})
        made = await make.make_targets(viewer, outdial.id, 4, destinations=2)
        claimed = await attempts.claim(viewer, outdial.id, limit=3, dialer="one")
        await make.complete(viewer, claimed[0].id, Disposition.ANSWERED)
        await make.complete(viewer, claimed[1].id, Disposition.BUSY)
        found |= {"outdial": outdial.id, "target": made[0].id, "attempt": claimed[2].id}
    deleted = await make.make_outdial(viewer)
    await context.outdials.delete(viewer, deleted.id)
    return found | {"deleted": deleted.id}


def filled(value: Any, ids: Ids) -> Any:
    """Variables with the ids in place."""
    if isinstance(value, dict):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value


# ---------------------------------------------------------------- the same answers


@given(operation=QUERIES_OF_ANY_KIND)
@settings(max_examples=EXAMPLES)
async def test_any_query_is_answered_alike(operation: tuple[str, dict[str, Any]], ids: Ids, viewer: Viewer) -> None:
    query, variables = operation
    await BOTH.same(viewer, query, filled(variables, ids), in_order=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(operation=QUERIES_OF_ANY_KIND)
@settings(max_examples=EXAMPLES_SLOW)
async def test_any_of_many_queries_is_answered_alike(
    operation: tuple[str, dict[str, Any]], ids: Ids, viewer: Viewer
) -> None:
    query, variables = operation
    await BOTH.same(viewer, query, filled(variables, ids), in_order=False)


@cache
def documents() -> tuple[str, ...]:
    """Every query that a test, an example or the reference dialer has as text."""
    paths = [*REPOSITORY.glob("tests/**/*.py"), *REPOSITORY.glob("app/demo/*.py"), *REPOSITORY.glob("docs/**/*.py")]
    texts = {text for path in sorted(paths) for text in _texts(path.read_text()) if "{" in text}
    return tuple(sorted({text for text in texts if _is_query(text)} | {query for query, _ in QUERIES.values()}))


def _texts(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_query(text: str) -> bool:
    try:
        document = parse(text)
    except GraphQLError:
        return False
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    is_one_query = len(operations) == 1 and operations[0].operation is OperationType.QUERY
    is_of_a_moment = "eventCursor" in text or "rateLimit" in text
    return is_one_query and not is_of_a_moment and not validate(GRAPHQL, document)


def _variables(text: str, ids: Ids) -> dict[str, Any]:
    samples: dict[str, Any] = {"ID": ids["outdial"], "Int": 5, "String": "one", "Boolean": True}
    [operation] = [node for node in parse(text).definitions if isinstance(node, OperationDefinitionNode)]
    found = {}
    for definition in operation.variable_definitions or ():
        name = get_named_type(type_from_ast(GRAPHQL, definition.type)).name  # type: ignore[arg-type]
        if name in samples:
            found[definition.variable.name.value] = samples[name]
    return found


@pytest.mark.slow
async def test_every_query_of_the_tests_is_answered_alike(ids: Ids, viewer: Viewer) -> None:
    assert len(documents()) > 50
    for text in documents():
        for target in ("outdial", "target"):
            await BOTH.same(viewer, text, _variables(text, ids | {"outdial": ids[target]}), in_order=False)


@pytest.mark.parametrize("name", QUERIES)
async def test_the_usual_queries_are_compiled(name: str, ids: Ids, viewer: Viewer) -> None:
    query, _ = QUERIES[name]
    before = executions(Way.COMPILED)
    await answer(BOTH.compiled, viewer, query, first=100) if "$first" in query else await answer(
        BOTH.compiled, viewer, query
    )
    assert executions(Way.COMPILED) == before + 1


async def test_a_repeated_mutation_is_answered_alike(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    create = """mutation($id: ID!) { createTargets(input: {outdialId: $id, idempotencyKey: "k", targets: [
        {name: "a", destination0: {target: "+15550100"}}, {destination0: {target: "x"}}]}) {
        createdCount rejectedCount targets { id name destinations { index usable } } userErrors { code path } } }"""
    claim = """mutation($id: ID!) { claimTargets(input: {outdialId: $id, limit: 5, idempotencyKey: "c"}) {
        attempts { id state target { name outdial { name } currentAttempt { id } } } userErrors { code } } }"""
    payload, way = await BOTH.same(viewer, create, {"id": outdial.id})
    assert way is Way.COMPILED
    assert payload["data"]["createTargets"]["userErrors"] == [
        {"code": "INVALID", "path": ["targets", "1", "destination0", "target"]}
    ]
    payload, way = await BOTH.same(viewer, claim, {"id": outdial.id})
    assert way is Way.COMPILED
    [attempt] = payload["data"]["claimTargets"]["attempts"]
    results = [{"attemptId": attempt["id"], "disposition": "ANSWERED"}, {"attemptId": "no id", "disposition": "BUSY"}]
    complete = """mutation($results: [AttemptResultInput!]!) { completeAttempts(input: {results: $results}) {
        attempts { id state disposition endedAt } userErrors { code message path } } }"""
    payload, way = await BOTH.same(viewer, complete, {"results": results})
    assert way is Way.COMPILED
    assert payload["data"]["completeAttempts"]["attempts"][0]["state"] == "COMPLETED"


async def test_events_are_answered_alike(ids: Ids, viewer: Viewer) -> None:
    query = """subscription($ids: [ID!]!) { outdialProgress(outdialIds: $ids) {
        outdials { id name progress { total done doneByReason { reason count } }
            targets(first: 2) { nodes { id } } } } }"""
    found: list[Payload] = []
    for execution in (BOTH.core, BOTH.compiled):
        prepared = execution.prepare(Operation(query, {"ids": [ids["outdial"]]}), viewer)
        responses = execution.run(prepared)
        found.append(json.loads(await anext(responses)))
        await responses.aclose()
    assert found[0] == found[1]
    assert found[0]["data"]["outdialProgress"]["outdials"][0]["progress"]["total"] == 4


# ---------------------------------------------------------------- rows


async def test_a_stored_target_is_the_target_that_its_row_holds(ids: Ids, viewer: Viewer) -> None:
    made = await targets.get_many(viewer, [ids["target"]])
    stored = await targets.get_many(viewer, [ids["target"]], stored=True)
    assert stored == made
    assert {*stored.values()} == {*made.values()}
    with pytest.raises(AttributeError):
        _ = stored[ids["target"]].nothing  # type: ignore[attr-defined]


async def test_no_record_is_made_of_a_target_that_is_only_written_out(
    ids: Ids, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = f"""query($id: ID!) {{ outdial(id: $id) {{ targets(first: 3) {{ nodes {{ {PLAIN_TARGET} }} }} }} }}"""
    await BOTH.same(viewer, query, {"id": ids["outdial"]})

    def refuse(*_: Any) -> Any:
        raise AssertionError("a record")

    monkeypatch.setattr(StoredTarget, "__getattr__", refuse)
    before = executions(Way.COMPILED)
    payload = await answer(BOTH.compiled, viewer, query, id=ids["outdial"])
    assert executions(Way.COMPILED) == before + 1
    assert len(payload["data"]["outdial"]["targets"]["nodes"]) == 3


FIELDS_OF_TARGET = sorted(GRAPHQL.get_type("OutdialTarget").fields)  # type: ignore[union-attr]


def _selected(name: str) -> str:
    """A field of a target, with something inside of it."""
    of = get_named_type(GRAPHQL.get_type("OutdialTarget").fields[name].type)  # type: ignore[union-attr]
    if name == "attempts":
        return "attempts(first: 2) { totalCount nodes { id } }"
    if isinstance(of, GraphQLObjectType):
        return f"{name} {{ {' '.join(_leaves(of))} }}"
    return name


def _leaves(of: GraphQLObjectType) -> list[str]:
    return [name for name, field in of.fields.items() if is_leaf_type(get_named_type(field.type))]


async def test_each_field_of_a_target_gets_the_columns_that_it_needs(ids: Ids, viewer: Viewer) -> None:
    """Alone, and beside one more, so that no field lives on what another asks for."""
    for name, other in zip(FIELDS_OF_TARGET, FIELDS_OF_TARGET[1:] + FIELDS_OF_TARGET[:1], strict=True):
        for selected in (_selected(name), f"{_selected(name)} {_selected(other)}"):
            query = f"query($id: ID!) {{ outdial(id: $id) {{ targets {{ nodes {{ {selected} }} }} }} }}"
            for _ in range(2):  # the second time is compiled
                payload, way = await BOTH.same(viewer, query, {"id": ids["outdial"]})
            assert "errors" not in payload
            assert way is Way.COMPILED


async def test_only_the_columns_that_are_asked_for_are_read(ids: Ids, viewer: Viewer, said: list[str]) -> None:
    query = """query($id: ID!) { outdial(id: $id) {
        targets(first: 3) { nodes { name ...More } pageInfo { endCursor } } named: targets(first: 3) { nodes { key } }
    } } fragment More on OutdialTarget { destination1 { target } }"""
    await BOTH.same(viewer, query, {"id": ids["outdial"]})
    said.clear()
    await answer(BOTH.compiled, viewer, query, id=ids["outdial"])
    [statement] = [text for text in said if "FROM target" in text]  # of both: they want the same page
    assert statement.startswith("SELECT id, outdial_id, key, name, destination_1, tm_create FROM target ")


async def test_so_many_sets_of_columns_are_told_apart_and_then_all_are_read(
    ids: Ids, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_made", {})
    monkeypatch.setattr(stored, "COLUMN_SETS_MAX", 2)
    kinds = [stored.stored_target(frozenset({name})) for name in ("name", "key", "detail", "name", "nothing")]
    assert [kind.LAYOUT == stored.StoredTarget.LAYOUT for kind in kinds] == [False, False, True, False, True]
    query = "query($id: ID!) { outdial(id: $id) { targets { nodes { detail priority } } } }"
    for _ in range(2):
        payload, way = await BOTH.same(viewer, query, {"id": ids["outdial"]})
    assert way is Way.COMPILED
    assert payload["data"]["outdial"]["targets"]["nodes"]


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
async def test_instants_of_rows_have_six_digits(viewer: Viewer, database: str, microsecond: int) -> None:
    outdial = await make.make_outdial(viewer)
    [target] = await make.make_targets(viewer, outdial.id, 1)
    at = target.tm_create.replace(microsecond=microsecond) + timedelta(days=1)
    await targets.update(viewer, target.id, changes={"not_before": at})
    query = "query($id: ID!) { outdial(id: $id) { targets { nodes { nextTryAt tmDelete } } } }"
    for _ in range(2):
        payload, way = await BOTH.same(viewer, query, {"id": outdial.id})
    assert way is Way.COMPILED
    [node] = payload["data"]["outdial"]["targets"]["nodes"]
    assert node == {"nextTryAt": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", "tmDelete": None}


# ---------------------------------------------------------------- what guards an operation


async def answer(execution: Execution, viewer: Viewer, query: str, **variables: Any) -> Payload:
    return await execution.execute(execution.prepare(Operation(query, variables), viewer))


def errors(payload: Payload) -> list[tuple[str, list[str | int]]]:
    return [(error["extensions"]["code"], error["path"]) for error in payload["errors"]]


async def test_scopes_and_customers_hold(ids: Ids, viewer: Viewer, stranger: Viewer) -> None:
    query = "query($id: ID!) { outdial(id: $id) { name targets { nodes { id } } } viewer { customerId } }"
    blind = replace(viewer, scopes=frozenset({Scope.DIAL}))
    payload, _ = await BOTH.same(blind, query, {"id": ids["outdial"]})
    assert errors(payload) == [("FORBIDDEN", ["outdial"])]
    assert payload["data"] == {"outdial": None, "viewer": {"customerId": viewer.customer_id}}
    payload, way = await BOTH.same(stranger, query, {"id": ids["outdial"]})
    assert (payload["data"]["outdial"], way) == (None, Way.COMPILED)
    write = 'mutation { createOutdial(input: {name: "x"}) { outdial { id } } }'
    assert errors(await answer(BOTH.compiled, blind, write)) == [("FORBIDDEN", ["createOutdial"])]


async def test_a_bug_is_masked(ids: Ids, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("postgresql://user:secret@host/name")

    monkeypatch.setattr(context.targets, "pages", fail)
    payload, way = await BOTH.same(viewer, "{ outdials { nodes { id targets { nodes { id } } } } }")
    assert way is Way.REPLAYED
    assert "secret" not in str(payload)
    assert errors(payload)[0] == ("INTERNAL", ["outdials", "nodes", 0, "targets"])


async def test_what_is_away_is_told(ids: Ids, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(context.outdials, "get_many", fail)
    payload, _ = await BOTH.same(viewer, "query($id: ID!) { outdial(id: $id) { name } }", {"id": ids["outdial"]})
    assert errors(payload) == [("UNAVAILABLE", ["outdial"])]


async def test_the_time_limit_holds(ids: Ids, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def wait(*_: Any, **__: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    monkeypatch.setattr(execution_module, "OPERATION_SECONDS_MAX", 0.05)
    monkeypatch.setattr(context.outdials, "get_many", wait)
    payload = await answer(BOTH.compiled, viewer, "query($id: ID!) { outdial(id: $id) { name } }", id=ids["outdial"])
    assert payload["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


def test_limits_hold_before_anything_is_compiled() -> None:
    before = {way: executions(way) for way in Way}
    query = """query($n: Int) { outdials(first: $n) { nodes { targets(first: $n) { nodes {
        attempts(first: 90) { nodes { id } } } } } } }"""
    with pytest.raises(NotExecuted) as caught:
        BOTH.compiled.prepare(Operation(query, {"n": 100}), make_viewer())
    assert caught.value.errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert {way: executions(way) for way in Way} == before


async def test_metrics_name_the_operation_and_the_way(database: str, viewer: Viewer) -> None:
    await answer(BOTH.compiled, viewer, "query Mine { viewer { subject } }")
    text = metrics.render()[0].decode()
    assert 'outdial_graphql_operations_total{name="Mine",outcome="ok",type="query"}' in text
    assert 'outdial_graphql_executions_total{way="compiled"}' in text


async def test_without_compilation_graphql_core_executes(database: str, viewer: Viewer) -> None:
    before = executions(Way.CORE)
    assert await answer(BOTH.core, viewer, "{ viewer { subject } }") == {"data": {"viewer": {"subject": "tester"}}}
    assert executions(Way.CORE) == before + 1
