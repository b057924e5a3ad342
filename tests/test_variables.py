"""Variables: how much they may hold, judged before they are coerced, compiled and by graphql-core alone."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull, GraphQLObjectType

from app.auth import Scope, Viewer
from app.graphql.compiled.bounding import LIST_ITEMS_MAX
from app.graphql.compiled.inputs import Variables
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport import masking
from app.graphql.transport.execution import Execution, Operation, Payload
from app.graphql.transport.masking import NotExecuted
from app.lifecycle import Disposition
from tests.support import factories as make
from tests.support.bothways import BothWays

BOTH = BothWays(schema, Context)
WAYS = pytest.mark.parametrize("execution", [BOTH.compiled, BOTH.core], ids=["compiled", "core"])
SECONDS_MAX = 0.25
"""Processor time. Each took seconds to minutes when all values were coerced."""
MANY = 120_000
"""As many `{}` as a body may have."""

ERRORS = "userErrors { code message path }"
CREATE = f"mutation($it: CreateTargetsInput!) {{ createTargets(input: $it) {{ {ERRORS} }} }}"
HOURS = f"""mutation($it: CallingHoursInput!) {{
    createOutdial(input: {{dialPolicy: {{callingHours: $it}}}}) {{ {ERRORS} }}
}}"""
REMOVE = f"mutation($it: RemoveSuppressionsInput!) {{ removeSuppressions(input: $it) {{ {ERRORS} }} }}"
LISTS: dict[str, tuple[str, Callable[[str], dict[str, Any]], Any, int]] = {
    "CreateTargetsInput.targets": (CREATE, lambda outdial_id: {"outdialId": outdial_id}, {}, 1_000),
    "ResetTargetsInput.targetIds": (
        f"mutation($it: ResetTargetsInput!) {{ resetTargets(input: $it) {{ {ERRORS} }} }}",
        lambda outdial_id: {"outdialId": outdial_id},
        str(uuid4()),
        500,
    ),
    "UpdateTargetsInput.maxTryCounts": (
        f"mutation($it: UpdateTargetsInput!) {{ updateTargets(input: $it) {{ {ERRORS} }} }}",
        lambda outdial_id: {"outdialId": outdial_id, "where": {}},
        3,
        5,
    ),
    "StartAttemptsInput.attempts": (
        f"mutation($it: StartAttemptsInput!) {{ startAttempts(input: $it) {{ {ERRORS} }} }}",
        lambda _: {},
        {"attemptId": str(uuid4())},
        500,
    ),
    "ExtendAttemptsInput.attemptIds": (
        f"mutation($it: ExtendAttemptsInput!) {{ extendAttempts(input: $it) {{ {ERRORS} }} }}",
        lambda _: {},
        str(uuid4()),
        500,
    ),
    "ReleaseAttemptsInput.attemptIds": (
        f"mutation($it: ReleaseAttemptsInput!) {{ releaseAttempts(input: $it) {{ {ERRORS} }} }}",
        lambda _: {},
        str(uuid4()),
        500,
    ),
    "CompleteAttemptsInput.results": (
        f"mutation($it: CompleteAttemptsInput!) {{ completeAttempts(input: $it) {{ {ERRORS} }} }}",
        lambda _: {},
        {"attemptId": str(uuid4()), "disposition": "BUSY"},
        500,
    ),
    "DialPolicyInput.maxTryCounts": (
        f"mutation($it: DialPolicyInput!) {{ createOutdial(input: {{dialPolicy: $it}}) {{ {ERRORS} }} }}",
        lambda _: {},
        1,
        5,
    ),
    "DialPolicyInput.caps": (
        f"mutation($it: DialPolicyInput!) {{ createOutdial(input: {{dialPolicy: $it}}) {{ {ERRORS} }} }}",
        lambda _: {},
        {"tries": 1, "windowSeconds": 60, "per": "ADDRESS", "over": "CUSTOMER"},
        5,
    ),
    "CallingHoursInput.windows": (HOURS, lambda _: {}, {"weekday": "MONDAY", "from": "09:00", "to": "10:00"}, 28),
    "CallingHoursInput.exceptions": (HOURS, lambda _: {"windows": []}, {"date": "2027-01-01", "name": "New Year"}, 40),
    "CallingExceptionInput.windows": (
        f"""mutation($it: CallingExceptionInput!) {{
            createOutdial(input: {{dialPolicy: {{callingHours: {{windows: [], exceptions: [$it]}}}}}}) {{ {ERRORS} }}
        }}""",
        lambda _: {"date": "2027-01-01", "name": "New Year"},
        {"from": "09:00", "to": "10:00"},
        3,
    ),
    "DialPolicyInput.retryRules": (
        (
            "mutation($id: ID!, $it: DialPolicyInput!) "
            f"{{ updateOutdial(input: {{id: $id, dialPolicy: $it}}) {{ {ERRORS} }} }}"
        ),
        lambda _: {},
        {"action": "RETRY"},
        20,
    ),
    **{
        f"RetryRuleInput.{name}": (
            (
                "mutation($id: ID!, $it: RetryRuleInput!) "
                f"{{ updateOutdial(input: {{id: $id, dialPolicy: {{retryRules: [$it]}}}}) {{ {ERRORS} }} }}"
            ),
            lambda _: {"action": "RETRY"},
            item,
            most,
        )
        for name, item, most in (
            ("states", "EXPIRED", 3),
            ("dispositions", "BUSY", len(Disposition)),
            ("codes", "SALE", 50),
            ("destinations", 1, 5),
        )
    },
    "AddSuppressionsInput.suppressions": (
        f"mutation($it: AddSuppressionsInput!) {{ addSuppressions(input: $it) {{ {ERRORS} }} }}",
        lambda _: {},
        {"target": "+14155550100"},
        1_000,
    ),
    "RemoveSuppressionsInput.ids": (REMOVE, lambda _: {}, str(uuid4()), 1_000),
    "RemoveSuppressionsInput.addresses": (REMOVE, lambda _: {}, {"target": "+14155550100"}, 1_000),
    "SetResultCodesInput.codes": (
        f"mutation($it: SetResultCodesInput!) {{ setResultCodes(input: $it) {{ {ERRORS} }} }}",
        lambda _: {},
        {"code": "SALE", "label": "Sold it", "disposition": "ANSWERED"},
        200,
    ),
    "AttemptFilter.codes": (
        "query($id: ID!, $it: AttemptFilter) { outdial(id: $id) { attempts(where: $it) { nodes { id } } } }",
        lambda _: {},
        "SALE",
        200,
    ),
    "TargetInput.maxTryCounts": (
        (
            "mutation($id: ID!, $it: TargetInput!) "
            f"{{createTarget(input: {{outdialId: $id, target: $it}}) {{ {ERRORS} }}}}"
        ),
        lambda _: {"destination0": {"target": "+14155550100"}},
        1,
        5,
    ),
    "UpdateTargetInput.maxTryCounts": (
        f"mutation($it: UpdateTargetInput!) {{ updateTarget(input: $it) {{ {ERRORS} }} }}",
        lambda _: {"id": str(uuid4())},
        1,
        5,
    ),
    "Query.nodes.ids": ("query($it: [ID!]!) { nodes(ids: $it) { id } }", lambda _: {}, str(uuid4()), 100),
    "Subscription.outdialProgress.outdialIds": (
        "subscription($it: [ID!]!) { outdialProgress(outdialIds: $it) { outdials { id } } }",
        lambda _: {},
        str(uuid4()),
        100,
    ),
    "TargetEventFilter.targetIds": (
        "subscription($id: ID!, $it: TargetEventFilter) { targetEvents(outdialId: $id, where: $it) { __typename } }",
        lambda _: {},
        str(uuid4()),
        100,
    ),
}
"""By the list: an operation that takes one, the other fields of its variable, an item, and how many it takes."""


async def answer(execution: Execution, viewer: Viewer, query: str, **variables: Any) -> Payload:
    try:
        prepared = execution.prepare(Operation(query, variables), viewer)
        if prepared.kind.value == "subscription":
            return {"first": await anext(execution.run(prepared))}
        return await execution.execute(prepared)
    except NotExecuted as refused:
        return refused.payload


async def timed(execution: Execution, viewer: Viewer, query: str, **variables: Any) -> Payload:
    took = []
    while not took or (min(took) >= SECONDS_MAX and len(took) < 3):  # collecting garbage of other tests takes time, too
        began = time.thread_time()
        payload = await answer(execution, viewer, query, **variables)
        took.append(time.thread_time() - began)
    assert min(took) < SECONDS_MAX, took
    return payload


def said(payload: Payload) -> str:
    """The messages of all errors, of the operation and of the user."""
    data = payload.get("data") or {}
    messages = [error["message"] for error in payload.get("errors", ())]
    for field in data.values():
        messages += [error["message"] for error in field.get("userErrors", ())] if isinstance(field, dict) else []
    return "; ".join(messages)


def _bounded_lists() -> set[str]:
    found = set()
    for of in schema._schema.type_map.values():
        if isinstance(of, GraphQLInputObjectType):
            found |= {f"{of.name}.{name}" for name, field in of.fields.items() if _items_max(field)}
        elif isinstance(of, GraphQLObjectType):
            for name, field in of.fields.items():
                found |= {f"{of.name}.{name}.{each}" for each, argument in field.args.items() if _items_max(argument)}
    return found


def _items_max(field: Any) -> int | None:
    bare = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    declared = getattr(field.extensions.get("strawberry-definition"), "metadata", {}).get("items_max")
    assert declared is None or isinstance(bare, GraphQLList)
    return declared


def test_every_list_with_a_maximum_is_here() -> None:
    assert _bounded_lists() == LISTS.keys()


async def test_a_long_list_is_refused_in_its_fields_own_words_and_the_rest_costs_nothing(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdial = await make.make_outdial(viewer)
    coerced: list[Any] = []
    values = Variables.values
    monkeypatch.setattr(Variables, "values", lambda self, given: coerced.append(given["it"]) or values(self, given))
    for name, (query, others, item, most) in LISTS.items():
        is_list, field = "$it: [" in query, name.split(".")[-1]
        for execution in (BOTH.compiled, BOTH.core):

            async def ask(count: int, execution: Execution = execution) -> str:
                rows = [item] * count  # noqa: B023
                given = rows if is_list else others(outdial.id) | {field: rows}  # noqa: B023
                payload = await timed(execution, viewer, query, it=given, id=outdial.id)  # noqa: B023
                return "" if "first" in payload else said(payload)

            above = await ask(most + 1)
            assert f"{most:,}" in above, name
            if name.startswith(("Subscription", "TargetEvent")):  # those that are not refused may send nothing
                assert "65,536" in await ask(MANY)  # bytes of all variables, which are kept as long as it lasts
            else:
                assert await ask(MANY) == above
                assert above not in await ask(most)
        assert all(len(given if is_list else given[field]) <= most + 1 for given in coerced)
        coerced.clear()


@WAYS
async def test_other_lists_are_refused_before_they_are_coerced(
    execution: Execution, database: str, viewer: Viewer
) -> None:
    query = "query($it: OutdialFilter) { outdials(where: $it) { totalCount } }"
    payload = await timed(execution, viewer, query, it={"states": ["ACTIVE"] * LIST_ITEMS_MAX})
    assert payload == {"data": {"outdials": {"totalCount": 0}}}
    payload = await timed(execution, viewer, query, it={"states": ["ACTIVE"] * (LIST_ITEMS_MAX + 1)})
    assert payload["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "1,001 items" in payload["errors"][0]["message"]


@WAYS
@pytest.mark.parametrize(
    "it",
    [
        {"targets": [{}] * MANY},
        {"targets": [None] * 2 * MANY},
        {"targets": [{f"nam{n}": 1} for n in range(MANY // 2)]},
        {"targets": [{f"nam{n}": 1 for n in range(2 * MANY)}]},
        {"targets": [{"n" * 8_000_000: 1}]},
        {"targets": [{"destination0": {}}] * MANY},
        {"targets": [{"maxTryCounts": ["x"] * 2 * MANY}]},
        {"targets": [{"maxTryCounts": [[{}]] * MANY}]},
        {"targets": [{"notBefore": "x" * 8_000_000}]},
        {"targets": [{"destination0": {"type": "T" * 8_000_000, "target": "x"}}]},
        {"targets": [], "dedupe": "N" * 8_000_000},
        {"targets": [], "dedupe": [["NONE"] * 2 * MANY]},
        [{}] * MANY,
    ],
    ids=range(13),
)
async def test_wrong_variables_have_few_errors_and_short_ones_in_little_time(execution: Execution, it: Any) -> None:
    given = {"outdialId": "x"} | it if isinstance(it, dict) else it
    viewer = make.make_viewer()
    if it != {"targets": [{}] * MANY}:  # which are valid, as far as types go
        payload = await timed(execution, viewer, CREATE, it=given)
        assert {error["extensions"]["code"] for error in payload["errors"]} == {masking.BAD_USER_INPUT}
        assert len(payload["errors"]) <= 51
        assert len(masking.encode(payload)) < 100_000
    payload = await timed(execution, make.make_viewer(scopes=[Scope.READ]), CREATE, it=given)
    assert payload["data"] is None
    assert [error["extensions"]["code"] for error in payload["errors"]] == ["FORBIDDEN"]


async def test_an_operation_without_fields_needs_no_scope() -> None:
    payload, _ = await BOTH.same(make.make_viewer(scopes=[]), "query { }")
    assert payload == {"data": {}}


async def test_a_missing_scope_is_told_as_if_the_operation_were_executed(database: str) -> None:
    blind = make.make_viewer(scopes=[])
    given = {"outdialId": str(uuid4()), "targets": []}
    one, _ = await BOTH.same(blind, CREATE, {"it": given})
    # With a directive or in a fragment, the operation is executed.
    other = CREATE.replace("createTargets(input: $it)", "createTargets(input: $it) @include(if: true)")
    assert one == (await BOTH.same(blind, other, {"it": given}))[0]
    several = 'mutation { a: cancelTarget(id: "x") { userErrors { code } } b: cancelTarget(id: "y") { __typename } }'
    payload, _ = await BOTH.same(blind, several)
    assert [error["path"] for error in payload["errors"]] == [["a"]]
    payload, _ = await BOTH.same(blind, '{ it: outdial(id: "x") { name } }')
    assert payload["data"] == {"it": None}
    payload, _ = await BOTH.same(blind, '{ outdial(id: "x") { name } viewer { subject } }')
    assert payload["data"] is not None
    assert payload["data"]["viewer"]
