"""The public Python client, over HTTP and over WebSocket, against a running server."""

import asyncio
from typing import Any

import pytest
from gql import Client as PublicClient
from gql import GraphQLRequest, gql
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

SECONDS_MAX = 20
WATCH = gql(
    """
    subscription Watch($outdial: ID!, $after: EventCursor) {
      targetEvents(outdialId: $outdial, after: $after) {
        cursor caughtUp gap events { type targetId status target { id destinations { index destination { target } } } }
      }
    }
    """
)
CREATE = gql(
    """
    mutation Create($input: CreateTargetInput!) {
      createTarget(input: $input) { target { id status } userErrors { code path } }
    }
    """
)


def call(request: GraphQLRequest, **variables: Any) -> GraphQLRequest:
    """The same document with these variables."""
    return GraphQLRequest(request, variable_values=variables)


def over_http(service: ServerProcess, client: Client) -> PublicClient:
    transport = HTTPXAsyncTransport(url=f"{service.url}/graphql", headers={"Authorization": f"Bearer {client.token}"})
    return PublicClient(transport=transport, fetch_schema_from_transport=True)


def over_websocket(service: ServerProcess, bearer: str) -> PublicClient:
    transport = WebsocketsTransport(
        url=service.socket_url,
        init_payload={"Authorization": f"Bearer {bearer}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    return PublicClient(transport=transport)


@pytest.fixture
async def outdial_id(client: Client) -> str:
    made: str = (await client.outdial(name="public"))["id"]
    return made


async def test_gql_over_http_reads_the_schema_and_calls_mutations(
    service: ServerProcess, client: Client, outdial_id: str
) -> None:
    async with over_http(service, client) as session:
        wish = {"outdialId": outdial_id, "target": {"destination0": {"target": "+1 (415) 555-0100"}}}
        made = await session.execute(call(CREATE, input=wish))
        assert made["createTarget"]["userErrors"] == []
        page = gql(
            """
                query Page($id: ID!) {
                  node(id: $id) { __typename ... on Outdial {
                    progress { total idle }
                    targets(where: {destination: "+1 415 555 0100"}) { totalCount nodes { id destination0 { target } } }
                  } }
                }
                """
        )
        found = await session.execute(call(page, id=outdial_id))
    target = made["createTarget"]["target"]
    assert found["node"] == {
        "__typename": "Outdial",
        "progress": {"total": 1, "idle": 1},
        "targets": {"totalCount": 1, "nodes": [{"id": target["id"], "destination0": {"target": "+14155550100"}}]},
    }


async def test_gql_over_http_gets_errors_as_errors(service: ServerProcess, client: Client) -> None:
    async with over_http(service, client) as session:
        with pytest.raises(TransportQueryError) as refusal:
            await session.execute(gql("{ outdials(first: 1000) { nodes { id } } }"))
    assert refusal.value.errors is not None
    assert refusal.value.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_gql_over_http_without_a_token_is_turned_away(service: ServerProcess) -> None:
    transport = HTTPXAsyncTransport(url=f"{service.url}/graphql")
    async with PublicClient(transport=transport) as session:
        with pytest.raises((TransportServerError, TransportQueryError)):
            await session.execute(gql("{ viewer { subject } }"))


async def test_gql_over_websocket_queries_and_follows_changes(
    service: ServerProcess, client: Client, outdial_id: str
) -> None:
    async with asyncio.timeout(SECONDS_MAX), over_websocket(service, client.token) as session:
        answer = await session.execute(gql("{ viewer { customerId scopes } }"))
        assert answer["viewer"] == {"customerId": client.customer_id, "scopes": ["READ", "WRITE", "DIAL"]}
        kinds: list[tuple[str, str]] = []
        made: list[str] = []
        async for data in session.subscribe(call(WATCH, outdial=outdial_id)):
            batch = data["targetEvents"]
            assert batch["gap"] is None
            kinds += [(event["type"], event["status"]) for event in batch["events"]]
            if not made:
                assert batch["events"] == []
                number = phone_number()
                wish = {"outdialId": outdial_id, "target": {"destination1": {"target": number}}}
                created = await session.execute(call(CREATE, input=wish))
                made.append(created["createTarget"]["target"]["id"])
                await client.good("claimTargets", outdialId=outdial_id)
                continue
            for event in batch["events"]:
                assert event["targetId"] == made[0]
                assert event["target"]["destinations"] == [{"index": 1, "destination": {"target": number}}]
            if len(kinds) == 2:
                break
    assert kinds == [("CREATED", "IDLE"), ("CLAIMED", "PROGRESSING")]


async def test_gql_over_websocket_is_told_why_a_subscription_cannot_start(
    service: ServerProcess, client: Client
) -> None:
    missing = "00000000-0000-7000-8000-000000000000"
    async with asyncio.timeout(SECONDS_MAX), over_websocket(service, client.token) as session:
        with pytest.raises(TransportQueryError) as refusal:
            async for _ in session.subscribe(call(WATCH, outdial=missing)):
                pass
        assert refusal.value.errors is not None
        assert refusal.value.errors[0]["extensions"]["code"] == "NOT_FOUND"
        # The socket lives on.
        answer = await session.execute(gql("{ viewer { customerId } }"))
        assert answer["viewer"]["customerId"] == client.customer_id


async def test_gql_over_websocket_with_a_bad_token_is_turned_away(service: ServerProcess) -> None:
    with pytest.raises(TransportConnectionFailed) as refusal:
        async with asyncio.timeout(SECONDS_MAX), over_websocket(service, "no token") as session:
            await session.execute(gql("{ viewer { subject } }"))
    assert "4401" in str(refusal.value.__cause__)
