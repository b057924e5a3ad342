"""How values get in and out: instants, cursors, ids and arguments."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import ids
from app.auth import Scope
from app.errors import BadUserInput
from app.graphql.schema import fields, scalars, schema
from app.graphql.schema.context import Context
from tests.support.schema import BORN, CUSTOMER, run, viewer_with


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


@given(st.datetimes(timezones=st.timezones()), st.booleans())
def test_every_instant_leaves_as_python_spells_it(value, is_whole):
    value = value.replace(microsecond=0) if is_whole else value
    try:
        wanted = value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    except OverflowError:
        return
    assert scalars.instant_text(value) == wanted


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
