"""A small GraphQL client: HTTP, and the graphql-transport-ws protocol, implemented here so that nothing is hidden."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

import httpx
import websockets

from tests.support.factories import phone_number
from tests.support.server import token

ANSWER_SECONDS_MAX = 30

DESTINATION = "{ type target targetName name detail }"
TARGET = f"""
    id outdialId key name detail data status doneReason priority maxTryCounts
    destination0 {DESTINATION} destination1 {DESTINATION} destination2 {DESTINATION}
    destination3 {DESTINATION} destination4 {DESTINATION}
    tryCount0 tryCount1 tryCount2 tryCount3 tryCount4
    destinations {{ index tryCount maxTryCount usable }}
    nextTryAt currentAttempt {{ id }} version tmCreate tmUpdate tmDelete
"""
ATTEMPT = f"""
    id target {{ id }} destinationIndex destination {DESTINATION} tryNumber state disposition detail dialer callId
    expiresAt claimedAt dialedAt endedAt
"""
OUTDIAL = """
    id campaignId name detail data state
    dialPolicy { maxTryCounts retryIntervalSeconds leaseSeconds onUnconfirmed }
    progress { total idle progressing done doneByReason { reason count } attempts }
    tmCreate tmUpdate tmDelete
"""
EVENT = """
    cursor type occurredAt outdialId targetId count status previousStatus doneReason tryCounts nextTryAt version
    destinationIndex attemptId disposition
"""
BATCH = f"{{ cursor events {{ {EVENT} }} caughtUp gap }}"
_PAYLOADS = {
    "Outdial": f"outdial {{ {OUTDIAL} }}",
    "Target": f"target {{ {TARGET} }}",
    "Attempts": f"attempts {{ {ATTEMPT} }}",
    "CreateTargets": f"targets {{ {TARGET} }} createdCount updatedCount skippedCount rejectedCount",
    "ResetTargets": "count remaining",
    "Targets": "count remaining",
    "ResultCodes": "resultCodes { code label disposition isRightParty isConversion isRetired }",
    "Suppressions": "suppressions { id type target reason source expiresAt tmCreate }",
}
_MUTATIONS = {  # field: (payload, input type; None if the argument is an id)
    "createOutdial": ("Outdial", "CreateOutdialInput"),
    "updateOutdial": ("Outdial", "UpdateOutdialInput"),
    "deleteOutdial": ("Outdial", None),
    "closeBreaker": ("Outdial", None),
    "createTarget": ("Target", "CreateTargetInput"),
    "createTargets": ("CreateTargets", "CreateTargetsInput"),
    "updateTarget": ("Target", "UpdateTargetInput"),
    "deleteTarget": ("Target", None),
    "cancelTarget": ("Target", None),
    "scheduleCallback": ("Target", "ScheduleCallbackInput"),
    "cancelCallback": ("Target", None),
    "resetTargets": ("ResetTargets", "ResetTargetsInput"),
    "updateTargets": ("Targets", "UpdateTargetsInput"),
    "cancelTargets": ("Targets", "CancelTargetsInput"),
    "addSuppressions": ("Suppressions", "AddSuppressionsInput"),
    "removeSuppressions": ("Suppressions", "RemoveSuppressionsInput"),
    "setResultCodes": ("ResultCodes", "SetResultCodesInput"),
    "claimTargets": ("Attempts", "ClaimTargetsInput"),
    "startAttempts": ("Attempts", "StartAttemptsInput"),
    "extendAttempts": ("Attempts", "ExtendAttemptsInput"),
    "completeAttempts": ("Attempts", "CompleteAttemptsInput"),
    "releaseAttempts": ("Attempts", "ReleaseAttemptsInput"),
}


class GraphQLErrors(AssertionError):  # noqa: N818 - named as in the response
    """The answer has top-level errors, but the test expects none."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(json.dumps(errors))
        self.errors = errors


def codes(answer: dict[str, Any]) -> list[str]:
    """The codes of an answer's top-level errors."""
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


def user_errors(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """A payload's user errors as (code, path)."""
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


class Client:
    """The client of one customer at one server."""

    def __init__(self, url: str, customer_id: str, *, scopes: tuple[str, ...] = ("read", "write", "dial")) -> None:
        self.url = url
        self.customer_id = customer_id
        self.token = token(customer_id, scopes)
        self.http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=ANSWER_SECONDS_MAX,
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def send(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer, including errors."""
        response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        answer: dict[str, Any] = response.json()
        return answer

    async def run(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer's data. If there are top-level errors, the test fails."""
        answer = await self.send(query, **variables)
        if answer.get("errors"):
            raise GraphQLErrors(answer["errors"])
        data: dict[str, Any] = answer["data"]
        return data

    async def mutate(self, field: str, argument: str | None = None, **fields: Any) -> dict[str, Any]:
        """The payload of one mutation: `mutate("deleteTarget", id)`, `mutate("claimTargets", outdialId=…, limit=5)`."""
        query, variables = document(field, argument, **fields)
        payload: dict[str, Any] = (await self.run(query, **variables))[field]
        return payload

    async def good(self, field: str, argument: str | None = None, **fields: Any) -> dict[str, Any]:
        """Like `mutate`. If there are user errors, the test fails."""
        payload = await self.mutate(field, argument, **fields)
        assert payload["userErrors"] == []
        return payload

    async def outdial(self, **fields: Any) -> dict[str, Any]:
        """A new outdial."""
        made: dict[str, Any] = (await self.good("createOutdial", **fields))["outdial"]
        return made

    async def target(self, outdial_id: str, **fields: Any) -> dict[str, Any]:
        """A new target, with its own number if no destination is given."""
        if not any(name.startswith("destination") for name in fields):
            fields["destination0"] = {"target": phone_number()}
        made: dict[str, Any] = (await self.good("createTarget", outdialId=outdial_id, target=fields))["target"]
        return made

    async def read_target(self, target_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = (
            await self.run(f"query($id: ID!) {{ target(id: $id) {{ {TARGET} }} }}", id=target_id)
        )["target"]
        return found

    async def read_outdial(self, outdial_id: str) -> dict[str, Any] | None:
        query = f"query($id: ID!) {{ outdial(id: $id) {{ {OUTDIAL} }} }}"
        found: dict[str, Any] | None = (await self.run(query, id=outdial_id))["outdial"]
        return found

    def subscribe(self, query: str, **variables: Any) -> "Subscription":
        return Subscription(self.url.replace("http", "ws") + "/graphql", self.token, query, variables)

    def target_events(self, outdial_id: str, after: str | None = None, **where: Any) -> "Subscription":
        query = (
            "subscription($outdial: ID!, $after: EventCursor, $where: TargetEventFilter) "
            f"{{ targetEvents(outdialId: $outdial, after: $after, where: $where) {BATCH} }}"
        )
        return self.subscribe(query, outdial=outdial_id, after=after, where=where or None)


def document(field: str, argument: str | None = None, **fields: Any) -> tuple[str, dict[str, Any]]:
    """One mutation as a document and its variables."""
    payload, input_type = _MUTATIONS[field]
    selection = f"{{ {_PAYLOADS[payload]} userErrors {{ code message path }} }}"
    if input_type is None:
        return f"mutation($id: ID!) {{ {field}(id: $id) {selection} }}", {"id": argument}
    return f"mutation($input: {input_type}!) {{ {field}(input: $input) {selection} }}", {"input": fields}


class Ended(Exception):  # noqa: N818 - not an error
    """The server completed the subscription."""


class Subscription:
    """One subscription on its own socket: `async with client.subscribe(…) as events: await events.next()`."""

    def __init__(self, url: str, bearer: str, query: str, variables: dict[str, Any]) -> None:
        self._url = url
        self._bearer = bearer
        self._payload = {"query": query, "variables": variables}
        self.socket: websockets.ClientConnection

    async def __aenter__(self) -> Self:
        self.socket = await websockets.connect(
            self._url,
            subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
            max_size=None,
            open_timeout=ANSWER_SECONDS_MAX,
            close_timeout=2,
            proxy=None,
        )
        await self._send({"type": "connection_init", "payload": {"Authorization": f"Bearer {self._bearer}"}})
        message = await self._receive(ANSWER_SECONDS_MAX)
        assert message["type"] == "connection_ack", message
        await self._send({"type": "subscribe", "id": "1", "payload": self._payload})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.socket.close()

    def vanish(self) -> None:
        """Cut the connection without a close frame, like a lost network."""
        self.socket.transport.abort()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def _receive(self, seconds: float) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            message: dict[str, Any] = json.loads(await self.socket.recv())
            return message

    async def answer(self, seconds: float = ANSWER_SECONDS_MAX) -> dict[str, Any]:
        """The next answer: {"data", "errors"}.

        Raises:
            Ended: the server completed the subscription.
            TimeoutError: nothing came.
        """
        while True:
            message = await self._receive(seconds)
            match message["type"]:
                case "next":
                    answer: dict[str, Any] = message["payload"]
                    return answer
                case "error":
                    return {"errors": message["payload"]}
                case "complete":
                    raise Ended
                case "ping":
                    await self._send({"type": "pong"})
                case other:
                    assert other == "pong", message

    async def next(self, seconds: float = ANSWER_SECONDS_MAX) -> Any:
        """The value of the subscription's only field in the next answer. If there are errors, the test fails."""
        answer = await self.answer(seconds)
        if answer.get("errors"):
            raise GraphQLErrors(answer["errors"])
        return next(iter(answer["data"].values()))
