"""Mutations: refusals are user errors, and only what is given is changed."""

import pytest
from graphql import (
    coerce_input_value,
)
from strawberry.types.arguments import convert_argument

from app.errors import UserErrorCode, rejected
from app.graphql.schema import inputs, payloads, schema
from app.records import ChangedTargets
from tests.support.schema import CUSTOMER, run


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
    async def refuse() -> ChangedTargets:
        raise rejected(UserErrorCode.INVALID, "Both.", "target_ids")

    answer = await payloads.outcome(refuse(), refused=payloads.NONE_CHANGED)
    assert answer.result == ChangedTargets(count=0, remaining=0)
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
