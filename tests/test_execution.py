"""Operations: limits, codes, masking, caches."""

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from graphql import get_introspection_query

from app.errors import BadUserInput
from app.graphql.transport import documents, limits
from app.graphql.transport import execution as execution_module
from app.graphql.transport.execution import Execution, Operation, Payload
from app.graphql.transport.masking import NotExecuted
from tests.support.transport import Context, make_viewer, schema, watch


@pytest.fixture
def execution() -> Execution:
    watch.__init__()  # type: ignore[misc]
    return Execution(schema, Context)


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


async def run(execution: Execution, query: str, name: str | None = None, **variables: Any) -> Payload:
    return await execution.execute(execution.prepare(Operation(query, variables, name), make_viewer()))


async def collect(execution: Execution, query: str, **variables: Any) -> list[Payload]:
    prepared = execution.prepare(Operation(query, variables), make_viewer())
    return [orjson.loads(bytes(response)) async for response in execution.run(prepared)]


def refusal(execution: Execution, query: str, name: str | None = None, **variables: Any) -> tuple[str, str]:
    """The code and the message of a request that is not executed."""
    with pytest.raises(NotExecuted) as caught:
        execution.prepare(Operation(query, variables, name), make_viewer())
    assert "data" not in caught.value.payload
    error = caught.value.errors[0]
    return error["extensions"]["code"], error["message"]


def code(execution: Execution, query: str, name: str | None = None, **variables: Any) -> str:
    return refusal(execution, query, name, **variables)[0]


# ---------------------------------------------------------------- codes


async def test_a_query_answers_its_data_alone(execution: Execution) -> None:
    assert await run(execution, "query($n: String!) { hello(name: $n) }", n="you") == {"data": {"hello": "hello you"}}


def test_each_refusal_has_its_code(execution: Execution) -> None:
    assert code(execution, "{") == "GRAPHQL_PARSE_FAILED"
    assert code(execution, "") == "GRAPHQL_PARSE_FAILED"
    assert code(execution, "{ nothing }") == "GRAPHQL_VALIDATION_FAILED"
    assert code(execution, "query($n: String!) { hello(name: $n) }", n=3) == "BAD_USER_INPUT"
    assert code(execution, "query($n: String!) { hello(name: $n) }") == "BAD_USER_INPUT"
    assert code(execution, "query A { hello }", "B") == "BAD_USER_INPUT"
    assert code(execution, "query A { hello } query B { hello }") == "BAD_USER_INPUT"
    assert code(execution, "fragment F on Query { hello }") == "GRAPHQL_VALIDATION_FAILED"


def test_refusals_say_where(execution: Execution) -> None:
    with pytest.raises(NotExecuted) as caught:
        execution.prepare(Operation("{\n  nothing\n}"), make_viewer())
    assert caught.value.errors == [
        {
            "message": "Cannot query field 'nothing' on type 'Query'.",
            "locations": [{"line": 2, "column": 3}],
            "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
        }
    ]


async def test_an_expected_error_keeps_its_code_and_words(execution: Execution) -> None:
    assert await run(execution, "{ hello missing }") == {
        "data": {"hello": "hello world", "missing": None},
        "errors": [
            {
                "message": "No such thing.",
                "locations": [{"line": 1, "column": 9}],
                "path": ["missing"],
                "extensions": {"code": "NOT_FOUND"},
            }
        ],
    }


@pytest.mark.parametrize("query", ["{ bug }", "{ wrongNumber }"])
async def test_a_bug_tells_the_client_an_id_and_the_log_the_rest(
    execution: Execution, log: list[Any], query: str
) -> None:
    payload = await run(execution, query)
    (error,) = payload["errors"]
    assert "secret" not in str(payload)
    assert error["message"].startswith("Internal error")
    assert error["extensions"]["code"] == "INTERNAL"
    (entry,) = log
    assert entry["error_id"] == error["extensions"]["id"]
    assert "secret" in str(entry["exc_info"])


async def test_null_for_an_argument_that_takes_none_is_the_clients_error(execution: Execution, log: list[Any]) -> None:
    payload = await run(execution, "query($n: String) { hello(name: $n) }", n=None)
    assert payload["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert log == []


async def test_what_fails_before_the_resolvers_is_rendered_too(execution: Execution) -> None:
    payload = await run(execution, "{ prepareFails }")
    assert payload["data"] is None
    assert payload["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}


async def test_an_operation_ends_after_its_time(execution: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_module, "OPERATION_SECONDS_MAX", 0.05)
    started = time.monotonic()
    payload = await run(execution, "{ wait(seconds: 20) }")
    assert time.monotonic() - started < 15
    assert payload["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert watch.open == 0


async def test_each_operation_has_a_context_of_its_own(execution: Execution) -> None:
    await asyncio.gather(run(execution, "{ context }"), run(execution, "{ context }"))
    first, second = watch.contexts
    assert first is not second
    assert (first.prepared, first.refreshed) == (1, 0)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        3,
        "text",
        [],
        [{"query": "{ hello }"}],
        {},
        {"query": None},
        {"query": ["{ hello }"]},
        {"query": "{ hello }", "variables": []},
        {"query": "{ hello }", "variables": "{}"},
        {"query": "{ hello }", "operationName": 1},
        {"query": "{ hello }", "extensions": False},
    ],
)
def test_malformed_parameters_are_refused(parameters: Any) -> None:
    with pytest.raises(BadUserInput):
        Operation.read(parameters)


def test_null_parameters_are_absent() -> None:
    parameters = {"query": "{ hello }", "variables": None, "operationName": None, "extensions": None}
    assert Operation.read(parameters) == Operation("{ hello }")


# ---------------------------------------------------------------- subscriptions


async def test_a_subscription_renews_its_context_before_and_after_each_event(execution: Execution) -> None:
    payloads = await collect(execution, "subscription { count(to: 3) { number renewed } }")
    assert payloads == [{"data": {"count": {"number": n, "renewed": 2 * n + 1}}} for n in range(3)]
    assert watch.open == 0


async def test_a_subscription_that_cannot_start_is_refused(execution: Execution) -> None:
    with pytest.raises(NotExecuted) as caught:
        await collect(execution, "subscription { refused { number } }")
    assert caught.value.errors[0]["extensions"] == {"code": "NOT_FOUND"}


async def test_a_source_that_fails_ends_the_subscription_masked(execution: Execution) -> None:
    prepared = execution.prepare(Operation("subscription { count(to: 3, failAt: 1) { number } }"), make_viewer())
    responses = execution.run(prepared)
    payloads = [orjson.loads(await anext(responses))]
    with pytest.raises(NotExecuted) as caught:
        await anext(responses)
    assert payloads == [{"data": {"count": {"number": 0}}}]
    assert "secret" not in str(caught.value.errors)
    assert caught.value.errors[0]["extensions"]["code"] == "INTERNAL"


async def test_hundreds_of_cancelled_subscriptions_leave_nothing_open(execution: Execution) -> None:
    for pause in (0.0, 0.001):
        tasks = [
            asyncio.create_task(
                collect(execution, "subscription($p: Float!) { count(to: 9999, pause: $p) { number } }", p=pause)
            )
            for _ in range(150)
        ]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert watch.opened == 300
    assert watch.open == 0


# ---------------------------------------------------------------- caches


async def test_a_repeated_document_is_neither_parsed_nor_validated_again(
    execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("parse", "validate"):
        original = getattr(documents, name)

        def counted(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            calls.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(documents, name, counted)
    for n in range(5):
        await run(execution, "query($n: String!) { hello(name: $n) }", n=str(n))
    assert calls == ["parse", "validate"]


async def test_the_cache_is_bounded_by_number_and_by_text(
    execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "CACHED_DOCUMENTS_MAX", 10)
    for n in range(30):
        await run(execution, f"query A{n} {{ hello }}")
    assert len(execution._documents.kept) == 10
    await run(execution, "query A20 { hello }")  # used again, so it stays
    for n in range(9):
        await run(execution, f"query B{n} {{ hello }}")
    assert "query A20 { hello }" in execution._documents.kept
    monkeypatch.setattr(documents, "CACHED_CHARACTERS_MAX", 1_000)
    for n in range(10):
        await run(execution, f"query C{n} {{ hello }} #{'x' * 300}")
    assert sum(map(len, execution._documents.kept)) == execution._documents.kept_characters <= 1_000


def test_bad_documents_push_no_good_ones_out(execution: Execution) -> None:
    code(execution, "{ nothing }")
    assert not execution._documents.kept


# ---------------------------------------------------------------- limits


def test_long_documents_are_refused_before_they_are_read(execution: Execution) -> None:
    started = time.process_time()
    assert code(execution, "{" + " hello" * 20_000 + "}") == "LIMIT_EXCEEDED"
    assert time.process_time() - started < 0.05
    kind, message = refusal(execution, "{ several(ids: [" + "1 " * 5_000 + "]) { name } }")
    assert kind == "LIMIT_EXCEEDED"
    assert "variables" in message


@pytest.mark.parametrize("opening", ["{a", "{a(x:[", "{a(x:{a:", "query($x:[", "{...{"])
def test_documents_nested_too_deep_to_parse_are_no_bug(execution: Execution, opening: str) -> None:
    assert code(execution, opening * 1_000) in {"LIMIT_EXCEEDED", "GRAPHQL_PARSE_FAILED"}


def nested(depth: int, inner: str = "name") -> str:
    for _ in range(depth):
        inner = f"child {{ {inner} }}"
    return f"{{ item {{ {inner} }} }}"


async def test_fields_are_nested_fifteen_deep_at_the_most(execution: Execution) -> None:
    assert "errors" not in await run(execution, nested(13))
    assert code(execution, nested(14)) == "LIMIT_EXCEEDED"
    fragments = "{ item { ...F } } fragment F on Item { ...G } fragment G on Item { "
    assert code(execution, fragments + "child { " * 14 + "name" + " }" * 15) == "LIMIT_EXCEEDED"


def test_fragments_are_no_way_to_nest_deeper(execution: Execution) -> None:
    chain = "".join(f"fragment F{n} on Item {{ ...F{n + 1} }} " for n in range(90))
    query = f"{{ item {{ ...F0 }} }} {chain} fragment F90 on Item {{ name }}"
    assert code(execution, query) == "LIMIT_EXCEEDED"
    assert code(execution, "{ item { " + "... { " * 60 + "name" + " }" * 60 + " } }") == "LIMIT_EXCEEDED"
    many = "".join(f"fragment F{n} on Item {{ name }} " for n in range(101))
    assert code(execution, "{ item { name } }" + many) == "LIMIT_EXCEEDED"


def test_fragments_that_spread_each_other_are_invalid_not_endless(execution: Execution) -> None:
    query = "{ item { ...A } } fragment A on Item { ...B } fragment B on Item { child { ...A } }"
    assert code(execution, query) == "GRAPHQL_VALIDATION_FAILED"
    assert code(execution, "{ item { ...Nowhere } }") == "GRAPHQL_VALIDATION_FAILED"


async def test_aliases_and_repeated_fields_are_bounded(execution: Execution) -> None:
    def aliased(count: int) -> str:
        return "{ item { " + " ".join(f"a{n}: name" for n in range(count)) + " } }"

    assert "errors" not in await run(execution, aliased(100))
    assert code(execution, aliased(101)) == "LIMIT_EXCEEDED"
    started = time.process_time()
    assert code(execution, "{ item {" + " child { name }" * 1_000 + "} }") == "LIMIT_EXCEEDED"
    assert time.process_time() - started < 0.5
    # Also where only a fragment that nobody spreads has them.
    unused = "fragment F on Item { " + "child { name } " * 200 + "}"
    assert code(execution, "{ hello } " + unused) == "LIMIT_EXCEEDED"


async def test_root_fields_are_bounded(execution: Execution) -> None:
    def wide(count: int) -> str:
        return "{ " + " ".join(f"a{n}: hello" for n in range(count)) + " }"

    assert "errors" not in await run(execution, wide(50))
    assert code(execution, wide(51)) == "LIMIT_EXCEEDED"
    halves = "{ ...F ...G } "
    for name in "FG":
        halves += f"fragment {name} on Query {{ " + " ".join(f"{name}{n}: hello" for n in range(26)) + " } "
    assert code(execution, halves) == "LIMIT_EXCEEDED"


async def test_pages_in_pages_are_bounded_by_what_they_could_return(execution: Execution) -> None:
    query = "query($n: Int) { items(first: $n) { items(first: 100) { name } } }"
    assert "errors" not in await run(execution, query, n=100)
    two_levels = "query($n: Int) { items(first: $n) { items(first: 50) { items { name } } } }"
    assert "errors" not in await run(execution, two_levels, n=9)
    assert code(execution, two_levels, n=10) == "LIMIT_EXCEEDED"
    assert code(execution, two_levels) == "LIMIT_EXCEEDED"  # 50 where none is given
    assert code(execution, two_levels.replace("Int)", "Int = 10)")) == "LIMIT_EXCEEDED"
    assert code(execution, two_levels.replace("$n: Int", "$n: Int = 10").replace("first: $n", "last: $n")) == (
        "LIMIT_EXCEEDED"
    )
    spread = "{ items(first: 10) { ...F } } fragment F on Item { items(last: 50) { ...G } } "
    spread += "fragment G on Item { items { name } }"
    assert code(execution, spread) == "LIMIT_EXCEEDED"


async def test_a_page_size_outside_its_bounds_is_left_to_its_field(execution: Execution) -> None:
    assert "errors" not in await run(execution, "{ items(first: 1000000) { name } }")
    assert "errors" not in await run(execution, "{ items(first: -5) { items { items { name } } } }")


async def test_lists_in_arguments_count_as_pages(execution: Execution) -> None:
    query = "query($ids: [Int!]!) { several(ids: $ids) { items { items { name } } } }"
    assert "errors" not in await run(execution, query, ids=[1] * 9)
    assert code(execution, query, ids=[1] * 10) == "LIMIT_EXCEEDED"
    literal = f"{{ several(ids: {[1] * 10}) {{ items {{ items {{ name }} }} }} }}"
    assert code(execution, literal) == "LIMIT_EXCEEDED"
    write = "mutation($input: RowsInput!) { write(input: $input) { items { items { name } } } }"
    assert "errors" not in await run(execution, write, input={"rows": [1] * 9})
    assert code(execution, write, input={"rows": [1] * 10}) == "LIMIT_EXCEEDED"
    assert code(execution, write, input={"rows": [1], "limit": 10}) == "LIMIT_EXCEEDED"
    inline = "mutation($rows: [Int!]!, $n: Int!) { write(input: {rows: $rows, limit: $n}) { ...F } } "
    inline += "fragment F on Item { items { items { name } } }"
    assert code(execution, inline, rows=[1] * 10, n=1) == "LIMIT_EXCEEDED"
    limited = "mutation { write(input: {rows: [], limit: 10}) { items { items { name } } } }"
    assert code(execution, limited) == "LIMIT_EXCEEDED"


def test_fields_of_many_objects_are_bounded(execution: Execution) -> None:
    names = " ".join(f"a{n}: name" for n in range(90))
    query = f"{{ items(first: 100) {{ items(first: 100) {{ {names} }} }} }}"
    assert code(execution, query) == "LIMIT_EXCEEDED"


def test_exponential_fragments_cost_linear_time(execution: Execution) -> None:
    levels = "".join(
        f"fragment F{n} on Item {{ ...F{n + 1} ... on Item {{ ...F{n + 1} }} ... {{ ...F{n + 1} }} }} "
        for n in range(20)
    )
    query = f"{{ item {{ ...F0 }} }} {levels} fragment F20 on Item {{ items {{ name }} }}"
    started = time.process_time()
    assert code(execution, query) == "LIMIT_EXCEEDED"
    assert time.process_time() - started < 1


@pytest.mark.parametrize("options", [{}, {"input_value_deprecation": True, "directive_is_repeatable": True}])
async def test_the_introspection_of_graphiql_passes(execution: Execution, options: dict[str, bool]) -> None:
    payload = await run(execution, get_introspection_query(**options))
    assert "errors" not in payload


def test_introspection_is_bounded(execution: Execution) -> None:
    inner = "name"
    for _ in range(3):
        inner = f"fields {{ type {{ {inner} }} }}"
    assert code(execution, f"{{ __schema {{ types {{ {inner} }} }} }}") in {
        "GRAPHQL_VALIDATION_FAILED",
        "LIMIT_EXCEEDED",
    }
    wide = " ".join(f"a{n}: types {{ fields {{ type {{ fields {{ type {{ name }} }} }} }} }}" for n in range(99))
    assert code(execution, f"{{ __schema {{ {wide} }} }}") == "LIMIT_EXCEEDED"
    deep = "ofType { " * 25 + "name" + " }" * 25
    assert code(execution, f'{{ __type(name: "Item") {{ {deep} }} }}') == "LIMIT_EXCEEDED"


async def test_limits_cost_microseconds_for_a_known_document(execution: Execution) -> None:
    query = "query($n: Int) { items(first: $n) { name items(first: 20) { name child { name } } } }"
    await run(execution, query, n=3)
    plan = execution._documents.kept[query].plans[""]
    gc.collect()
    started = time.process_time()
    for _ in range(1_000):
        limits.check_size(plan, {"n": 3})
    assert time.process_time() - started < 0.2
