"""The lifecycle over real HTTP: every report on an attempt in every state, and what it does to the target."""

import asyncio
from typing import Any

import pytest

from tests.support import rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, user_errors
from tests.support.server import ServerProcess

LEASE_SECONDS = 5
SWEPT_SECONDS_MAX = 5
PATHS = {
    "start": ["attempts", "0", "attemptId"],
    "extend": ["attemptIds", "0"],
    "complete": ["results", "0", "attemptId"],
    "release": ["attemptIds", "0"],
}
# A state that is named is what the attempt is in afterwards; a code is why it was refused.
TABLE = {
    "CLAIMED": {"start": "DIALING", "extend": "CLAIMED", "complete": "COMPLETED", "release": "RELEASED"},
    "DIALING": {"start": "DIALING", "extend": "DIALING", "complete": "COMPLETED", "release": "ALREADY_DIALED"},
    "COMPLETED": {
        "start": "ALREADY_ENDED",
        "extend": "ALREADY_ENDED",
        "complete": "ALREADY_ENDED",
        "release": "ALREADY_ENDED",
    },
    "RELEASED": {
        "start": "ALREADY_ENDED",
        "extend": "ALREADY_ENDED",
        "complete": "ALREADY_ENDED",
        "release": "RELEASED",
    },
    **{
        lost: dict.fromkeys(("start", "extend", "complete", "release"), "LEASE_LOST")
        for lost in ("EXPIRED", "UNCONFIRMED", "REVOKED")
    },
}
EVENTS = list(PATHS)


async def report(client: Client, event: str, attempt_id: str, disposition: str = "NO_ANSWER") -> dict[str, Any]:
    match event:
        case "start":
            return await client.mutate("startAttempts", attempts=[{"attemptId": attempt_id, "callId": "call"}])
        case "extend":
            return await client.mutate("extendAttempts", attemptIds=[attempt_id])
        case "complete":
            results = [{"attemptId": attempt_id, "disposition": disposition}]
            return await client.mutate("completeAttempts", results=results)
        case _:
            return await client.mutate("releaseAttempts", attemptIds=[attempt_id])


async def attempts_in_every_state(client: Client) -> tuple[str, dict[tuple[str, str], str]]:
    """An outdial and, for each state and event, the id of an attempt of its own in that state."""
    policy = {"retryIntervalSeconds": 0, "onUnconfirmed": "RETRY", "leaseSeconds": 120}
    outdial = await client.outdial(dialPolicy=policy)
    cells = [(state, event) for state in TABLE for event in EVENTS]
    drafts = [{"key": f"{state} {event}", "destination0": {"target": phone_number()}} for state, event in cells]
    made = await client.good("createTargets", outdialId=outdial["id"], targets=drafts)
    keys = {target["id"]: target["key"] for target in made["targets"]}
    attempts: dict[tuple[str, str], str] = {}
    targets: dict[tuple[str, str], str] = {}
    for attempt in (await client.good("claimTargets", outdialId=outdial["id"], limit=500))["attempts"]:
        state, event = keys[attempt["target"]["id"]].split()
        attempts[state, event], targets[state, event] = attempt["id"], attempt["target"]["id"]

    lost = [attempts[state, event] for state, event in cells if state in {"EXPIRED", "UNCONFIRMED"}]
    await client.good("extendAttempts", attemptIds=lost, leaseSeconds=LEASE_SECONDS)
    for event in EVENTS:
        for state in ("DIALING", "UNCONFIRMED"):
            await client.good("startAttempts", attempts=[{"attemptId": attempts[state, event]}])
        assert (await report(client, "complete", attempts["COMPLETED", event], "BUSY"))["userErrors"] == []
        assert (await report(client, "release", attempts["RELEASED", event]))["userErrors"] == []
        await client.good("cancelTarget", targets["REVOKED", event])

    query = """query($id: ID!) { outdial(id: $id) {
        attempts(first: 100, where: {states: [EXPIRED, UNCONFIRMED]}) { totalCount } } }"""
    for _ in range((LEASE_SECONDS + SWEPT_SECONDS_MAX) * 10):
        if (await client.run(query, id=outdial["id"]))["outdial"]["attempts"]["totalCount"] == len(lost):
            break
        await asyncio.sleep(0.1)
    # Whoever else claims them is why a late result is lost.
    await client.good("claimTargets", outdialId=outdial["id"], limit=500)
    return outdial["id"], attempts


async def state_of(client: Client, attempt_id: str) -> str:
    query = "query($id: ID!) { node(id: $id) { ... on Attempt { state } } }"
    state: str = (await client.run(query, id=attempt_id))["node"]["state"]
    return state


@pytest.mark.slow
async def test_every_report_on_an_attempt_in_every_state(client: Client, service: ServerProcess) -> None:
    outdial_id, attempts = await attempts_in_every_state(client)
    for (state, event), attempt_id in attempts.items():
        assert await state_of(client, attempt_id) == state
        before = await rows.of(service.database_url, client.customer_id)
        payload = await report(client, event, attempt_id)
        wanted = TABLE[state][event]
        if wanted.startswith(("ALREADY", "LEASE")):
            assert user_errors(payload) == [(wanted, PATHS[event])], (state, event)
            assert payload["attempts"] == []
            assert await rows.of(service.database_url, client.customer_id) == before, (state, event)
        else:
            assert user_errors(payload) == [], (state, event)
            assert [(attempt["id"], attempt["state"]) for attempt in payload["attempts"]] == [(attempt_id, wanted)]
    tables = await rows.of(service.database_url, client.customer_id)
    rows.check(tables)
    rows.check_events(tables)
    progress = (await client.read_outdial(outdial_id) or {})["progress"]
    assert progress["idle"] + progress["progressing"] + progress["done"] == progress["total"] == len(attempts)


async def test_a_target_from_its_creation_to_its_end(client: Client) -> None:
    """What a client sees on the way: busy, invalid, released, cancelled, reset, and at last answered."""
    policy = {"retryIntervalSeconds": 0, "maxTryCounts": [1, 2, 3, 3, 3]}
    outdial = await client.outdial(dialPolicy=policy)
    places = {f"destination{index}": {"target": phone_number()} for index in (0, 1, 3)}
    target = await client.target(outdial["id"], **places)
    seen = []
    for disposition in ("BUSY", "INVALID_DESTINATION", None, "MACHINE", "cancel", "ANSWERED"):
        [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
        during = await client.read_target(target["id"]) or {}
        assert during["currentAttempt"] == {"id": attempt["id"]}
        assert during["nextTryAt"] is None
        match disposition:
            case None:
                await client.good("releaseAttempts", attemptIds=[attempt["id"]])
            case "cancel":
                await client.good("cancelTarget", target["id"])
                await client.good("resetTargets", outdialId=outdial["id"], doneReasons=["CANCELED"])
            case _:
                assert (await report(client, "complete", attempt["id"], disposition))["userErrors"] == []
        after = await client.read_target(target["id"]) or {}
        assert after["currentAttempt"] is None
        tries = [after[f"tryCount{index}"] for index in range(5)]
        seen.append((attempt["destinationIndex"], attempt["tryNumber"], after["status"], after["doneReason"], tries))
    assert seen == [
        (0, 1, "IDLE", None, [1, 0, 0, 0, 0]),
        (1, 1, "IDLE", None, [1, 1, 0, 0, 0]),
        (3, 1, "IDLE", None, [1, 1, 0, 0, 0]),
        (3, 1, "IDLE", None, [1, 1, 0, 1, 0]),
        (3, 2, "IDLE", None, [0, 0, 0, 0, 0]),
        (0, 1, "DONE", "ANSWERED", [1, 0, 0, 0, 0]),
    ]
    done = await client.read_target(target["id"]) or {}
    assert [
        (place["index"], place["tryCount"], place["maxTryCount"], place["usable"]) for place in done["destinations"]
    ] == [
        (0, 1, 1, False),
        (1, 0, 2, False),
        (3, 0, 3, True),
    ]
    progress = (await client.read_outdial(outdial["id"]) or {})["progress"]
    assert (progress["total"], progress["done"], progress["attempts"]) == (1, 1, 5)
