"""A pace over GraphQL: what a claim that it holds back answers."""

from datetime import datetime, timedelta

from tests.support.graphql_client import Client

CLAIM = """
    mutation($input: ClaimTargetsInput!) {
        claimTargets(input: $input) { attempts { id claimedAt } throttledUntil userErrors { message } }
    }
"""
RELEASE = """
    mutation($input: ReleaseAttemptsInput!) {
        releaseAttempts(input: $input) { attempts { id } throttledUntil userErrors { message } }
    }
"""
WHY = "query($id: ID!) { outdial(id: $id) { nextClaimAt blockedBy { reason until } } }"


async def test_a_claim_that_is_held_back_says_when_to_ask_again_and_a_report_does_not(client: Client) -> None:
    outdial = await client.outdial(dialPolicy={"pacing": {"claimsPerSecond": 0.01}})
    for _ in range(2):
        await client.target(outdial["id"])
    answer = (await client.run(CLAIM, input={"outdialId": outdial["id"], "limit": 2}))["claimTargets"]
    [attempt] = answer["attempts"]
    assert answer["userErrors"] == []
    until = datetime.fromisoformat(answer["throttledUntil"])
    assert until - datetime.fromisoformat(attempt["claimedAt"]) == timedelta(seconds=100)
    assert (await client.run(WHY, id=outdial["id"]))["outdial"] == {
        "nextClaimAt": answer["throttledUntil"],
        "blockedBy": [{"reason": "PACED", "until": answer["throttledUntil"]}],
    }
    released = (await client.run(RELEASE, input={"attemptIds": [attempt["id"]]}))["releaseAttempts"]
    assert released == {"attempts": [{"id": attempt["id"]}], "throttledUntil": None, "userErrors": []}
