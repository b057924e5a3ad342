"""The schema: what it promises in its text, who may call what, and how values get in and out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    coerce_input_value,
    is_introspection_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_argument

from app import ids
from app.auth import Scope, Viewer
from app.errors import BadUserInput, Forbidden, UserErrorCode, rejected
from app.graphql.schema import context as contexts
from app.graphql.schema import fields, inputs, payloads, scalars, schema, subscriptions
from app.graphql.schema.context import Context
from app.graphql.schema.enums import describe
from app.lifecycle import AttemptState, OutdialState, TargetStatus, UnconfirmedAction
from app.pagination import Page
from app.records import Attempt, Destination, DialPolicy, ImportJob, Outdial, Progress, Reset, Target

ROOT = Path(__file__).resolve().parent.parent
BORN = datetime(2022, 4, 28, 1, 41, 40, 503790, tzinfo=UTC)
CUSTOMER = "5e4a0680-804e-11ec-8477-2fea5968d85b"


def viewer_with(*scopes: Scope) -> Viewer:
    return Viewer(CUSTOMER, "alice", frozenset(scopes), None)


def an_outdial(**values) -> Outdial:
    policy = DialPolicy((3, 3, 3, 3, 3), 300, 120, UnconfirmedAction.FINISH)
    defaults = {
        "id": ids.new(), "customer_id": CUSTOMER, "campaign_id": None, "name": "spring", "detail": "", "data": "",
        "state": OutdialState.ACTIVE, "dial_policy": policy, "tm_create": BORN, "tm_update": None, "tm_delete": None,
    }  # fmt: skip
    return Outdial(**(defaults | values))


def a_destination(number: str = "+14155550100") -> Destination:
    return Destination(type="TEL", target=number, target_name="", name="", detail="")


def a_target(outdial: Outdial, **values) -> Target:
    defaults = {
        "id": ids.new(), "customer_id": CUSTOMER, "outdial_id": outdial.id, "key": None, "name": "Ann", "detail": "",
        "data": "", "status": TargetStatus.IDLE, "done_reason": None, "priority": 0, "max_try_counts": None,
        "destinations": (None, a_destination(), None, None, a_destination("+14155550104")),
        "try_counts": (0, 3, 0, 0, 1), "invalid_destinations": frozenset(), "next_try_at": BORN,
        "last_attempt_id": None, "version": 1, "tm_create": BORN, "tm_update": BORN, "tm_delete": None,
    }  # fmt: skip
    return Target(**(defaults | values))


def an_attempt(target: Target, **values) -> Attempt:
    defaults = {
        "id": ids.new(), "customer_id": CUSTOMER, "outdial_id": target.outdial_id, "target_id": target.id,
        "destination_index": 1, "destination": a_destination(), "try_number": 1, "state": AttemptState.CLAIMED,
        "disposition": None, "detail": "", "dialer": None, "call_id": None, "lease_seconds": 120, "expires_at": BORN,
        "claimed_at": BORN, "dialed_at": None, "ended_at": None,
    }  # fmt: skip
    return Attempt(**(defaults | values))


async def run(query: str, *scopes: Scope, variables: dict | None = None):
    context = Context(viewer_with(*(scopes or Scope)))
    await context.prepare(query)
    return await schema.execute(query, context_value=context, variable_values=variables)


# ---------------------------------------------------------------- the text


def test_the_exported_schema_is_the_one_that_runs():
    assert (ROOT / "schema.graphql").read_text() == schema.as_str() + "\n"


def described_elements():
    for name, kind in schema._schema.type_map.items():
        if is_introspection_type(kind):
            continue
        yield name, kind
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{name}.{value}", entry) for value, entry in kind.values.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                yield f"{name}.{field_name}", field
                for argument_name, argument in getattr(field, "args", {}).items():
                    yield f"{name}.{field_name}({argument_name}:)", argument


def test_everything_a_client_can_name_is_described():
    assert [name for name, element in described_elements() if not (element.description or "").strip()] == []


def test_an_enum_with_an_undescribed_value_is_refused():
    class Tide(StrEnum):
        EBB = "EBB"
        FLOOD = "FLOOD"

    with pytest.raises(ValueError, match="FLOOD"):
        describe(Tide, "The sea.", {"EBB": "Going out."})
    with pytest.raises(ValueError, match="SLACK"):
        describe(Tide, "The sea.", {"EBB": "Going out.", "FLOOD": "Coming in.", "SLACK": "Neither."})


# ---------------------------------------------------------------- scopes

SCOPES = {
    "Query": {
        "viewer": None, **dict.fromkeys(["node", "nodes", "outdial", "outdials", "target", "importJob"], Scope.READ)
    },
    "Mutation": dict.fromkeys(
        [
            "createOutdial", "updateOutdial", "deleteOutdial",
            "createTarget", "createTargets", "updateTarget", "deleteTarget", "cancelTarget", "resetTargets",
            "cancelImport",
        ],
        Scope.WRITE,
    ) | dict.fromkeys(
        ["claimTargets", "startAttempts", "extendAttempts", "completeAttempts", "releaseAttempts"], Scope.DIAL
    ),
    "Subscription": dict.fromkeys(["targetEvents", "outdialProgress", "outdialEvents", "importProgress"], Scope.READ),
}  # fmt: skip


def root_fields():
    for root in SCOPES:
        for name, field in schema._schema.type_map[root].fields.items():
            yield root, name, field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]


def test_every_root_field_has_its_scope():
    found: dict[str, dict[str, Scope | None]] = {root: {} for root in SCOPES}
    for root, name, field in root_fields():
        assert isinstance(field, fields.Root), f"{root}.{name} goes unguarded"
        found[root][name] = field.scope
    assert found == SCOPES


@pytest.mark.parametrize(
    ("query", "scopes"),
    [
        (f'{{ outdial(id: "{CUSTOMER}") {{ id }} }}', (Scope.WRITE, Scope.DIAL)),
        (f'mutation {{ deleteOutdial(id: "{CUSTOMER}") {{ outdial {{ id }} }} }}', (Scope.READ, Scope.DIAL)),
        (
            f'mutation {{ claimTargets(input: {{outdialId: "{CUSTOMER}"}}) {{ attempts {{ id }} }} }}',
            (Scope.READ, Scope.WRITE),
        ),
    ],
)
async def test_no_scope_stands_in_for_another(query, scopes):
    result = await run(query, *scopes)
    assert isinstance(result.errors[0].original_error, Forbidden)


async def test_a_subscription_without_its_scope_does_not_start():
    result = await schema.subscribe(
        "subscription { outdialEvents { type } }", context_value=Context(viewer_with(Scope.DIAL))
    )
    first = result if not hasattr(result, "__anext__") else await anext(result)
    assert isinstance(first.errors[0].original_error, Forbidden)


async def test_anyone_may_ask_who_they_are():
    result = await run("{ viewer { customerId subject scopes expiresAt } }", Scope.WRITE, Scope.READ)
    assert result.data == {
        "viewer": {"customerId": CUSTOMER, "subject": "alice", "scopes": ["READ", "WRITE"], "expiresAt": None}
    }


async def test_every_mutation_forgets_what_was_read_before():
    assert {name for root, name, field in root_fields() if field.renews} == SCOPES["Mutation"].keys()


# ---------------------------------------------------------------- scalars and ids


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (BORN, "2022-04-28T01:41:40.503790Z"),
        (datetime(2022, 4, 28, tzinfo=UTC), "2022-04-28T00:00:00.000000Z"),
        (datetime(2022, 4, 28, 9, tzinfo=timezone(timedelta(hours=9))), "2022-04-28T00:00:00.000000Z"),
    ],
)
def test_instants_leave_in_utc_with_six_digits(value, text):
    assert scalars.instant_text(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "2022-04-28T01:41:40.503790Z",
        "2022-04-28t01:41:40.503790z",
        "2022-04-28 01:41:40.503790+00:00",
        "2022-04-28T10:41:40.503790+09:00",
        "20220428T014140.503790Z",
        "2022-04-28T01:41:40,503790Z",
    ],
)
def test_any_iso_8601_instant_with_its_offset_is_understood(text):
    value = scalars.instant(text)
    assert value == BORN
    assert value.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2022-04-28T01:41:40",  # no offset
        "2022-04-28",
        "2022-04-28x01:41:40Z",
        "2022-02-30T00:00:00Z",
        "0001-01-01T00:00:00+09:00",  # before the year 1 in UTC
        "9999-12-31T23:59:59-09:00",
        "yesterday",
        "",
        1651110100,
        True,
        None,
        [],
    ],
)
def test_what_is_no_instant_is_refused(value):
    with pytest.raises((ValueError, TypeError), match=r"\bDateTime\b"):
        scalars.instant(value)


async def test_a_refused_scalar_says_why():
    query = 'mutation($at: DateTime) { updateTarget(input: {id: "1", notBefore: $at}) { userErrors { code } } }'
    result = await run(query, variables={"at": "2022-04-28T01:41:40"})
    assert "DateTime needs a date, a time and an offset" in result.errors[0].message


@pytest.mark.parametrize("value", [12, None, ["a"]])
def test_an_event_cursor_is_text(value):
    with pytest.raises(TypeError):
        scalars.cursor(value)


def test_ids_in_arguments_are_understood_in_any_case():
    assert fields.parse_id(CUSTOMER.upper()) == CUSTOMER


@pytest.mark.parametrize(
    "query",
    [
        '{ outdial(id: "1") { id } }',
        '{ target(id: "1") { id } }',
        '{ node(id: "1") { id } }',
        '{ nodes(ids: ["1"]) { id } }',
        '{ outdials(where: {campaignId: "1"}) { nodes { id } } }',
        'mutation { deleteOutdial(id: "1") { outdial { id } } }',
        'mutation { deleteTarget(id: "1") { target { id } } }',
        'mutation { cancelTarget(id: "1") { target { id } } }',
        "{ outdials(first: 0) { nodes { id } } }",
        "{ outdials(first: 101) { nodes { id } } }",
        "{ outdials(first: 1, last: 1) { nodes { id } } }",
        '{ outdials(after: "x") { nodes { id } } }',
    ],
)
async def test_bad_arguments_are_bad_user_input(query):
    result = await run(query)
    assert isinstance(result.errors[0].original_error, BadUserInput)


async def test_nodes_takes_a_hundred_ids():
    result = await run("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", variables={"ids": [ids.new()] * 101})
    assert isinstance(result.errors[0].original_error, BadUserInput)


@pytest.mark.parametrize(
    "arguments",
    [
        "outdialIds: []",
        'outdialIds: ["1"]',
        f"outdialIds: {[CUSTOMER] * 101}".replace("'", '"'),
        f'outdialIds: ["{CUSTOMER}"], intervalMs: 49',
        f'outdialIds: ["{CUSTOMER}"], intervalMs: 60001',
    ],
)
async def test_bad_arguments_of_a_subscription_keep_it_from_starting(arguments):
    query = f"subscription {{ outdialProgress({arguments}) {{ outdials {{ id }} }} }}"
    result = await schema.subscribe(query, context_value=Context(viewer_with(Scope.READ)))
    first = result if not hasattr(result, "__anext__") else await anext(result)
    assert isinstance(first.errors[0].original_error, BadUserInput)


# ---------------------------------------------------------------- mutations


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), []),
        (("name",), ["name"]),
        (("dial_policy", "max_try_counts", "0"), ["dialPolicy", "maxTryCounts", "0"]),
        (("targets", "3", "destination_0", "target"), ["targets", "3", "destination0", "target"]),
        (("on_duplicate_key",), ["onDuplicateKey"]),
        (("if_version",), ["ifVersion"]),
    ],
)
def test_paths_are_told_in_the_names_of_the_schema(steps, path):
    assert payloads.graphql_path(steps) == path


async def test_a_refusal_is_a_user_error_and_no_exception():
    async def refuse() -> Reset:
        raise rejected(UserErrorCode.INVALID, "Both.", "target_ids")

    answer = await payloads.outcome(refuse(), refused=payloads.NOTHING_RESET)
    assert answer.result == Reset(count=0, remaining=0)
    assert [error.code for error in answer.user_errors] == [UserErrorCode.INVALID]


async def test_only_the_fields_that_are_given_are_changed(monkeypatch):
    seen = {}

    async def update(_viewer, target_id, *, changes, if_version=None):
        seen.update(target_id=target_id, changes=dict(changes), if_version=if_version)
        raise rejected(UserErrorCode.NOT_FOUND, "Target not found.", "id")

    monkeypatch.setattr("app.targets.update", update)
    result = await run(
        """mutation { updateTarget(input: {id: "Nonsense", name: "", maxTryCounts: null, destination3: null,
             destination4: {target: "+14155550100"}}) { target { id } userErrors { code path } } }"""
    )
    assert result.errors is None
    assert result.data["updateTarget"] == {"target": None, "userErrors": [{"code": "NOT_FOUND", "path": ["id"]}]}
    destination = seen["changes"].pop("destination_4")
    assert (destination.type, destination.target, destination.target_name) == ("TEL", "+14155550100", "")
    assert seen == {
        "target_id": "Nonsense",
        "changes": {"name": "", "max_try_counts": None, "destination_3": None},
        "if_version": None,
    }


BULK = {
    "CreateTargetsInput": {
        "outdialId": CUSTOMER,
        "targets": [
            {"key": "k", "maxTryCounts": [1, 2, 3, 4, 5], "notBefore": "2022-04-28T01:41:40.503790Z", "priority": 3,
             "destination0": {"target": "1"}, "destination3": {"type": "EMAIL", "target": "a@b.c", "targetName": "x"}},
            {"key": None, "destination0": None, "destination1": None},
            {},
        ],
        "onDuplicateKey": "SKIP",
    },
    "CompleteAttemptsInput": {
        "results": [
            {"attemptId": CUSTOMER, "disposition": "BUSY"},
            {"attemptId": CUSTOMER, "disposition": "BUSY", "detail": "x", "retryAfterSeconds": None},
        ]
    },
    "StartAttemptsInput": {"attempts": [{"attemptId": CUSTOMER}, {"attemptId": CUSTOMER, "callId": "c"}]},
}  # fmt: skip


@pytest.mark.parametrize("name", BULK)
def test_inputs_built_in_one_step_are_those_that_strawberry_builds(name, monkeypatch):
    def built():
        coerced = coerce_input_value(BULK[name], schema._schema.type_map[name])
        converter = schema.schema_converter
        return convert_argument(coerced, getattr(inputs, name), converter.scalar_registry, schema.config)

    quick = built()
    for kind in (inputs.TargetInput, inputs.DestinationInput, inputs.StartAttemptInput, inputs.AttemptResultInput):
        assert kind.__strawberry_definition__.from_input is not None
        monkeypatch.setattr(kind.__strawberry_definition__, "from_input", None)
    assert quick == built()


async def test_a_claim_on_a_paused_outdial_answers_no_attempts(monkeypatch):
    async def claim(_viewer, _outdial_id, **_):
        raise rejected(UserErrorCode.PAUSED, "The outdial is paused. Resume it to claim targets.", "outdial_id")

    monkeypatch.setattr("app.attempts.claim", claim)
    result = await run(
        f"""mutation {{ claimTargets(input: {{outdialId: "{CUSTOMER}"}})
            {{ attempts {{ id }} userErrors {{ code message path }} }} }}"""
    )
    assert result.data["claimTargets"] == {
        "attempts": [],
        "userErrors": [
            {"code": "PAUSED", "message": "The outdial is paused. Resume it to claim targets.", "path": ["outdialId"]}
        ],
    }


# ---------------------------------------------------------------- batching


@pytest.fixture
def calls(monkeypatch):
    """Twenty outdials with two targets each, and a count of how often each use-case is called."""
    outdials = [an_outdial() for _ in range(20)]
    targets = {outdial.id: [a_target(outdial), a_target(outdial)] for outdial in outdials}
    attempts = {target.id: an_attempt(target) for both in targets.values() for target in both}
    counted: dict[str, int] = {}

    def stand_in(name, answer):
        async def use_case(_viewer, *arguments, **_):
            counted[name] = counted.get(name, 0) + 1
            return answer(*arguments)

        monkeypatch.setattr(f"app.{name}", use_case)

    everything = {
        record.id: record for record in (*outdials, *(t for both in targets.values() for t in both), *attempts.values())
    }
    stand_in("outdials.page", lambda _request: Page(outdials, has_next=True))
    stand_in("outdials.count", lambda: 20)
    for noun, kind in (("outdials", Outdial), ("targets", Target), ("attempts", Attempt), ("imports", ImportJob)):
        stand_in(
            f"{noun}.get_many",
            lambda keys, kind=kind: {key: everything[key] for key in keys if isinstance(everything.get(key), kind)},
        )
    stand_in("outdials.progress", lambda keys: {key: Progress(idle=2) for key in keys})
    stand_in("targets.pages", lambda keys: {key: Page(targets[key]) for key in keys})
    stand_in("targets.counts", lambda keys: dict.fromkeys(keys, 2))
    stand_in("attempts.pages_of_targets", lambda keys: {key: Page([attempts[key]]) for key in keys})
    stand_in("attempts.counts_of_targets", lambda keys: dict.fromkeys(keys, 1))
    return counted


async def test_a_nested_page_costs_one_call_for_each_set_of_arguments(calls):
    result = await run(
        """{ outdials(first: 20) { nodes {
            progress { total doneByReason { count } }
            targets(first: 2) { totalCount nodes {
                outdial { id } destinations { index tryCount maxTryCount usable }
                attempts(first: 1) { totalCount nodes { target { id } } } } }
            oldest: targets(first: 2, orderBy: OLDEST_FIRST) { edges { cursor } }
        } } }"""
    )
    assert result.errors is None
    assert calls == {
        "outdials.page": 1,
        "outdials.progress": 1,
        "targets.pages": 2,
        "targets.counts": 1,
        "attempts.pages_of_targets": 1,
        "attempts.counts_of_targets": 1,
        "targets.get_many": 1,
    }
    page = result.data["outdials"]["nodes"][0]["targets"]
    assert page["totalCount"] == 2
    assert page["nodes"][0]["destinations"] == [
        {"index": 1, "tryCount": 3, "maxTryCount": 3, "usable": False},
        {"index": 4, "tryCount": 1, "maxTryCount": 3, "usable": True},
    ]


async def test_the_cursors_of_a_page_are_those_of_its_ends(calls):
    result = await run(
        "{ outdials { edges { cursor } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"
    )
    page = result.data["outdials"]
    assert page["pageInfo"] == {
        "startCursor": page["edges"][0]["cursor"],
        "endCursor": page["edges"][-1]["cursor"],
        "hasNextPage": True,
        "hasPreviousPage": False,
    }
    assert "outdials.count" not in calls


async def test_nodes_are_found_in_one_call_for_each_kind_and_in_order(calls):
    context = Context(viewer_with(Scope.READ))
    page = (await run("{ outdials { nodes { id targets { nodes { id attempts { nodes { id } } } } } } }")).data[
        "outdials"
    ]
    outdial = page["nodes"][0]
    target = outdial["targets"]["nodes"][0]
    attempt = target["attempts"]["nodes"][0]
    wanted = [attempt["id"], ids.new(), outdial["id"].upper(), target["id"], attempt["id"]]
    calls.clear()
    result = await schema.execute(
        "query($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { __typename id } node(id: $id) { id } }",
        variable_values={"ids": wanted, "id": target["id"]},
        context_value=context,
    )
    assert result.data["nodes"] == [
        {"__typename": "Attempt", "id": attempt["id"]},
        None,
        {"__typename": "Outdial", "id": outdial["id"]},
        {"__typename": "OutdialTarget", "id": target["id"]},
        {"__typename": "Attempt", "id": attempt["id"]},
    ]
    assert calls == {f"{noun}.get_many": 1 for noun in ("outdials", "targets", "attempts", "imports")}


async def test_the_event_cursor_is_read_before_anything_else(calls, monkeypatch):
    order = []

    async def position(_customer_id):
        order.append("position")
        return "P"

    monkeypatch.setattr("app.events.position", position)
    monkeypatch.setattr("app.events.cursor", lambda outdial_id, position: f"{position}:{outdial_id}")
    page = contexts.outdials.page

    async def later(*arguments, **named):
        order.append("page")
        return await page(*arguments, **named)

    monkeypatch.setattr("app.outdials.page", later)
    result = await run("{ outdials { nodes { id ...Later } } } fragment Later on Outdial { eventCursor }")
    node = result.data["outdials"]["nodes"][0]
    assert node["eventCursor"] == f"P:{node['id']}"
    assert order == ["position", "page"]


# ---------------------------------------------------------------- streams


async def test_closing_a_stream_closes_its_source_even_before_the_first_event():
    closed = []

    async def values() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    stream = await subscriptions.Stream(values()).open()
    await stream.aclose()
    assert closed == [True]


async def test_an_opened_stream_loses_no_value():
    async def values() -> AsyncIterator[int]:
        for value in range(3):
            yield value

    assert [value async for value in await subscriptions.Stream(values()).open()] == [0, 1, 2]


async def test_a_stream_that_ends_at_once_is_empty():
    async def values() -> AsyncIterator[int]:
        return
        yield

    assert [value async for value in await subscriptions.Stream(values()).open()] == []
