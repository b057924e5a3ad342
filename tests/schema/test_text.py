"""The schema's text, and who may call what."""

from enum import StrEnum

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    is_introspection_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.auth import Scope
from app.errors import Forbidden
from app.graphql.schema import fields, schema
from app.graphql.schema.context import Context
from app.graphql.schema.enums import describe
from tests.support.schema import CUSTOMER, run, viewer_with
from tests.support.server import REPOSITORY

# ---------------------------------------------------------------- the text


def test_the_exported_schema_is_the_one_that_runs():
    assert (REPOSITORY / "schema.graphql").read_text() == schema.as_str() + "\n"


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
        "viewer": None, "rateLimit": None, **dict.fromkeys(
            ["node", "nodes", "outdial", "outdials", "target", "importJob", "suppressions", "resultCodes", "stats"],
            Scope.READ,
        ),
    },
    "Mutation": dict.fromkeys(
        [
            "createOutdial", "updateOutdial", "deleteOutdial", "closeBreaker",
            "createTarget", "createTargets", "updateTarget", "deleteTarget", "cancelTarget", "resetTargets",
            "updateTargets", "cancelTargets", "scheduleCallback", "cancelCallback",
            "cancelImport", "addSuppressions", "removeSuppressions", "setResultCodes",
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
