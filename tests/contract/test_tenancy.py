"""Another customer's object is not there: nothing tells it from one that never existed, wherever its id is given."""

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from graphql import GraphQLSchema, build_client_schema, get_introspection_query

from tests.support import importing, rows, walker
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, Ended, codes
from tests.support.server import ServerProcess

SECRET = "only the owner may read this"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
CURSOR = re.compile(r'("(?:cursor|eventCursor|startCursor|endCursor)": ")[^"]+')


@dataclass(frozen=True)
class Owned:
    """A customer's objects, one of each kind; `campaign` is a name for something that lives elsewhere."""

    outdial: str
    target: str
    attempt: str
    campaign: str
    import_job: str

    def usual(self, field: str, path: walker.Path) -> str:
        """The object of its own that somebody would name in that place."""
        kinds = {
            "outdialId": self.outdial,
            "outdialIds": self.outdial,
            "targetId": self.target,
            "targetIds": self.target,
            "attemptId": self.attempt,
            "attemptIds": self.attempt,
            "campaignId": self.campaign,
            "ids": self.outdial,
        }
        if path[-1] == "id" and takes_import(field):
            return self.import_job
        if path[-1] == "id":
            return self.target if "target" in field.lower() else self.outdial
        assert path[-1] in kinds, f"say here what {field}({path}) takes the id of"
        return kinds[path[-1]]


def takes_import(field: str) -> bool:
    """Whether the `id` that the field takes is an import's."""
    return "import" in field.lower()


async def own(client: Client, *, has_import: bool = True) -> Owned:
    """One of each kind; without an import its id is nobody's. The call under way lasts for the longest walk."""
    campaign = str(uuid4())
    outdial = await client.outdial(name=SECRET, detail=SECRET, data=SECRET, campaignId=campaign)
    target = await client.target(outdial["id"], name=SECRET, detail=SECRET, data=SECRET, key=SECRET)
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"], dialer=SECRET, leaseSeconds=3600))[
        "attempts"
    ]
    await client.good("startAttempts", attempts=[{"attemptId": attempt["id"], "callId": SECRET}])
    await client.target(outdial["id"], name=SECRET, destination0={"target": phone_number(), "name": SECRET})
    job_id = str(uuid4())
    if has_import:
        rejected = f"key,phone\n{SECRET},nobody\n"
        job = await importing.taken(client, outdial["id"], rejected, file_name=SECRET, key=str(uuid4()))
        job_id = job["id"]
    return Owned(outdial["id"], target["id"], attempt["id"], campaign, job_id)


@pytest.fixture
async def schema(client: Client) -> GraphQLSchema:
    introspection: Any = await client.run(get_introspection_query())
    return build_client_schema(introspection)


def plain(answer: Any) -> str:
    """An answer without what differs between any two."""
    text = json.dumps(answer, sort_keys=True)
    return CURSOR.sub(r"\1CURSOR", INSTANT.sub("INSTANT", UUID.sub("UUID", text)))


async def answer_to(client: Client, call: walker.Call) -> Any:
    if call.root != "subscription":
        return await client.send(call.document, **call.variables)
    async with client.subscribe(call.document, **call.variables) as events:
        try:
            return await events.answer()
        except Ended:
            return "ended"


async def test_no_field_takes_an_id_where_this_walk_does_not_go(schema: GraphQLSchema) -> None:
    assert walker.nested_id_arguments(schema) == []
    assert len(walker.slots(schema)) >= 27


async def answer_for(client: Client, schema: GraphQLSchema, slot: walker.Slot, given: str) -> Any:
    """The answer to a call that names an id in one place and, where it must, the caller's own in the others."""
    # Fresh ones for each: what was done to the last ones must not tell one answer from the other.
    mine = await own(client, has_import=takes_import(slot.field))
    ids = {slot.path: given}
    call = walker.call(schema, slot.root, slot.field, ids, lambda path: mine.usual(slot.field, path))
    answer = await answer_to(client, call)
    assert answer == "ended" or set(codes(answer)) <= {"NOT_FOUND"}, (slot, answer)
    return answer


@pytest.mark.slow
async def test_another_customers_id_answers_like_one_that_never_existed(
    schema: GraphQLSchema, client: Client, other: Client, service: ServerProcess
) -> None:
    theirs = await own(other)
    before = await rows.of(service.database_url, other.customer_id)
    for slot in walker.slots(schema):
        nobodys = plain(await answer_for(client, schema, slot, str(uuid4())))
        for kind, given in vars(theirs).items():
            assert plain(await answer_for(client, schema, slot, given)) == nobodys, (slot, kind)
    assert await rows.of(service.database_url, other.customer_id) == before


async def test_what_needs_no_id_shows_nothing_of_another_customer(
    schema: GraphQLSchema, client: Client, other: Client
) -> None:
    theirs = await own(other)
    for kind, name, definition in walker.roots(schema):
        if kind == "query" and not definition.args.get("id") and not definition.args.get("ids"):
            made = walker.call(schema, kind, name, {}, None)
            answer = await client.send(made.document, **made.variables)
            assert codes(answer) == []
            text = json.dumps(answer)
            assert SECRET not in text
            assert all(value not in text for value in (*vars(theirs).values(), other.customer_id))


async def test_filters_by_another_customers_values_find_nothing(client: Client, other: Client) -> None:
    theirs = await own(other)
    mine = await client.outdial(name="mine")
    await client.target(mine["id"])
    number = (await other.read_target(theirs.target) or {})["destination0"]["target"]
    found = await client.run(
        """
        query($id: ID!, $campaign: ID!, $text: String!, $number: String!) {
          outdials(where: {campaignId: $campaign}) { totalCount nodes { id } }
          named: outdials(where: {nameContains: $text}) { totalCount nodes { id } }
          outdial(id: $id) {
            key: targets(where: {key: $text}) { totalCount nodes { id } }
            number: targets(where: {destination: $number}) { totalCount nodes { id } }
            dialer: attempts(where: {dialer: $text}) { totalCount nodes { id } }
            call: attempts(where: {callId: $text}) { totalCount nodes { id } }
          }
        }
        """,
        id=mine["id"], campaign=theirs.campaign, text=SECRET, number=number,
    )  # fmt: skip
    nothing = {"totalCount": 0, "nodes": []}
    assert found == {
        "outdials": nothing,
        "named": nothing,
        "outdial": {"key": nothing, "number": nothing, "dialer": nothing, "call": nothing},
    }


async def test_another_customers_key_and_cursor_are_no_ones(client: Client, other: Client) -> None:
    theirs = await own(other)
    mine = await client.outdial()
    made = await client.target(mine["id"], key=SECRET)
    assert made["key"] == SECRET
    query = "query($id: ID!) { outdial(id: $id) { eventCursor targets { pageInfo { endCursor } } } }"
    their_cursors = (await other.run(query, id=theirs.outdial))["outdial"]
    async with client.target_events(mine["id"], after=their_cursors["eventCursor"]) as events:
        assert codes(await events.answer()) == ["BAD_USER_INPUT"]
    page = "query($id: ID!, $after: String) { outdial(id: $id) { targets(after: $after) { nodes { name } } } }"
    answer = await client.run(page, id=mine["id"], after=their_cursors["targets"]["pageInfo"]["endCursor"])
    assert SECRET not in json.dumps(answer)


async def test_changes_of_another_customer_reach_nobody_else(client: Client, other: Client) -> None:
    mine = await client.outdial(name="mine")
    async with (
        client.subscribe("subscription { outdialEvents { type outdialId outdial { name } } }") as changes,
        client.target_events(mine["id"]) as events,
    ):
        assert (await events.next())["events"] == []
        await own(other)
        await client.good("updateOutdial", id=mine["id"], name="renamed")
        await client.target(mine["id"])
        told = await changes.next()
        assert told == {"type": "UPDATED", "outdialId": mine["id"], "outdial": {"name": "renamed"}}
        assert [event["outdialId"] for event in (await events.next())["events"]] == [mine["id"]]


async def test_an_object_under_the_wrong_parent_is_not_found(client: Client) -> None:
    one, two = await own(client), await own(client)
    reset = await client.mutate("resetTargets", outdialId=one.outdial, targetIds=[two.target])
    await client.good("cancelTarget", two.target)
    again = await client.mutate("resetTargets", outdialId=one.outdial, targetIds=[two.target])
    assert (reset["count"], again["count"]) == (0, 0)
    where = {"key": (await client.read_target(two.target) or {})["key"]}
    moved = await client.mutate("updateTargets", outdialId=one.outdial, where=where, priority=7)
    assert ((await client.read_target(two.target) or {})["priority"], moved["remaining"]) == (0, 0)
    assert (await client.read_target(two.target) or {})["status"] == "DONE"
