"""Each limit of a value, a batch or a document: what is just within it is taken, and what is just beyond it is refused.

The bounds are the code's own, which a test of the documents compares with the page of limits.
"""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from app import codes, hours, lifecycle, pagination, retrying, validation
from app.attempts import claiming, reporting
from app.graphql.schema import queries
from app.graphql.transport import closing, forms, limits
from app.suppressions import writing
from app.targets import creating, resetting
from tests.support.graphql_client import Client
from tests.support.raw import Raw

Json = Any
Make = Callable[[int], Json]
PHONE = "+14155550100"
WINDOW = {"weekday": "MONDAY", "from": "09:00", "to": "10:00"}


def _phones(count: int) -> list[str]:
    return [f"+1415555{number:04d}" for number in range(count)]


def _policy(**policy: Json) -> Json:
    return {"dialPolicy": policy}


def _cap(**cap: Json) -> Json:
    return _policy(caps=[{"tries": 1, "windowSeconds": 3_600, **cap}])


def _exceptions(count: int, windows: int = 1) -> Json:
    times = [{"from": f"{hour:02d}:00", "to": f"{hour:02d}:30"} for hour in range(windows)]
    days = [{"date": f"2030-{1 + number // 28:02d}-{1 + number % 28:02d}", "windows": times} for number in range(count)]
    return _policy(callingHours={"timeZone": "UTC", "windows": [WINDOW], "exceptions": days})


def _windows(count: int) -> Json:
    times = [
        {"weekday": day, "from": f"{2 * number:02d}:00", "to": f"{2 * number + 1:02d}:00"}
        for number in range(5)
        for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    ]
    return _policy(callingHours={"timeZone": "UTC", "windows": times[:count]})


def _rule(**rule: Json) -> Json:
    return _policy(retryRules=[{"action": "RETRY", **rule}])


def _breaker(**breaker: Json) -> Json:
    whole = {"failurePercent": 50, "windowSeconds": 60, "minCalls": 20, "pauseSeconds": 60, **breaker}
    return _policy(pacing={"breaker": whole})


def _code(**code: Json) -> Json:
    return {"code": "SALE", "label": "Sold it", "disposition": "ANSWERED", **code}


def _callback(**callback: Json) -> Json:
    return {"targetId": str(uuid4()), "callback": {"at": "2026-01-01T00:00:00Z", **callback}}


def _target(**target: Json) -> Json:
    return {"targets": [{"destination0": {"target": PHONE}, **target}]}


VALUES: dict[str, tuple[str, Make, int]] = {
    "outdial: name": ("createOutdial", lambda n: {"name": "x" * n}, validation.NAME_CHARACTERS_MAX),
    "outdial: detail": ("createOutdial", lambda n: {"detail": "x" * n}, validation.DETAIL_CHARACTERS_MAX),
    "outdial: data": ("createOutdial", lambda n: {"data": "x" * n}, validation.DATA_CHARACTERS_MAX),
    "idempotency key": (
        "createOutdial",
        lambda n: {"idempotencyKey": "x" * n},
        validation.IDEMPOTENCY_KEY_CHARACTERS_MAX,
    ),
    "tries": ("createOutdial", lambda n: _policy(maxTryCounts=[n] * 5), validation.TRY_COUNT_MAX),
    "retry interval": (
        "createOutdial",
        lambda n: _policy(retryIntervalSeconds=n),
        validation.RETRY_INTERVAL_SECONDS_MAX,
    ),
    "lease of a policy": ("createOutdial", lambda n: _policy(leaseSeconds=n), validation.LEASE_SECONDS_MAX),
    "caps": (
        "createOutdial",
        lambda n: _policy(caps=[{"tries": 1, "windowSeconds": 3_600 * (1 + one)} for one in range(n)]),
        validation.CAPS_MAX,
    ),
    "tries of a cap": ("createOutdial", lambda n: _cap(tries=n), validation.CAP_TRIES_MAX),
    "window of a cap": ("createOutdial", lambda n: _cap(windowSeconds=n), validation.CAP_WINDOW_SECONDS_MAX),
    "windows of calling hours": ("createOutdial", _windows, hours.WINDOWS_MAX),
    "exceptions": ("createOutdial", _exceptions, hours.EXCEPTIONS_MAX),
    "windows of an exception": ("createOutdial", lambda n: _exceptions(1, n), hours.EXCEPTION_WINDOWS_MAX),
    "retry rules": ("createOutdial", lambda n: _policy(retryRules=[{"action": "RETRY"}] * n), retrying.RULES_MAX),
    "codes of a rule": ("createOutdial", lambda n: _rule(codes=["SALE"] * n), retrying.CODES_MAX),
    "nth attempt of a rule": ("createOutdial", lambda n: _rule(fromNth=n), validation.FROM_NTH_MAX),
    "wait of a rule": ("createOutdial", lambda n: _rule(waitSeconds=n), validation.RETRY_INTERVAL_SECONDS_MAX),
    "open attempts": (
        "createOutdial",
        lambda n: _policy(pacing={"maxOpenAttempts": n}),
        validation.OPEN_ATTEMPTS_MAX,
    ),
    "claims per second": (
        "createOutdial",
        lambda n: _policy(pacing={"claimsPerSecond": n}),
        int(validation.CLAIMS_PER_SECOND_MAX),
    ),
    "window of a breaker": (
        "createOutdial",
        lambda n: _breaker(windowSeconds=n),
        validation.BREAKER_WINDOW_SECONDS_MAX,
    ),
    "calls of a breaker": ("createOutdial", lambda n: _breaker(minCalls=n), validation.BREAKER_CALLS_MAX),
    "pause of a breaker": ("createOutdial", lambda n: _breaker(pauseSeconds=n), validation.BREAKER_PAUSE_SECONDS_MAX),
    "key": ("createTargets", lambda n: _target(key="x" * n), validation.KEY_CHARACTERS_MAX),
    "target: name": ("createTargets", lambda n: _target(name="x" * n), validation.NAME_CHARACTERS_MAX),
    "target: detail": ("createTargets", lambda n: _target(detail="x" * n), validation.DETAIL_CHARACTERS_MAX),
    "target: data": ("createTargets", lambda n: _target(data="x" * n), validation.DATA_CHARACTERS_MAX),
    "priority": ("createTargets", lambda n: _target(priority=n), validation.PRIORITY_MAX),
    "destinations": (
        "createTargets",
        lambda n: _target(**{f"destination{at}": {"target": phone} for at, phone in enumerate(_phones(n))}),
        lifecycle.DESTINATIONS,
    ),
    "targets": (
        "createTargets",
        lambda n: {"targets": [{"destination0": {"target": phone}} for phone in _phones(n)]},
        creating.CREATE_TARGETS_MAX,
    ),
    "claimed targets": ("claimTargets", lambda n: {"limit": n}, claiming.CLAIM_TARGETS_MAX),
    "lease": ("claimTargets", lambda n: {"leaseSeconds": n}, validation.LEASE_SECONDS_MAX),
    "dialer": ("claimTargets", lambda n: {"dialer": "x" * n}, validation.DIALER_CHARACTERS_MAX),
    "started attempts": (
        "startAttempts",
        lambda n: {"attempts": [{"attemptId": str(uuid4())} for _ in range(n)]},
        reporting.BATCH_ATTEMPTS_MAX,
    ),
    "call id": (
        "startAttempts",
        lambda n: {"attempts": [{"attemptId": str(uuid4()), "callId": "x" * n}]},
        validation.CALL_ID_CHARACTERS_MAX,
    ),
    "extended attempts": (
        "extendAttempts",
        lambda n: {"attemptIds": [str(uuid4()) for _ in range(n)]},
        reporting.BATCH_ATTEMPTS_MAX,
    ),
    "released attempts": (
        "releaseAttempts",
        lambda n: {"attemptIds": [str(uuid4()) for _ in range(n)]},
        reporting.BATCH_ATTEMPTS_MAX,
    ),
    "completed attempts": (
        "completeAttempts",
        lambda n: {"results": [{"attemptId": str(uuid4()), "disposition": "BUSY"} for _ in range(n)]},
        reporting.BATCH_ATTEMPTS_MAX,
    ),
    **{
        f"{name} of a result": (
            "completeAttempts",
            lambda n, name=name: {"results": [{"attemptId": str(uuid4()), "disposition": "BUSY", name: n}]},
            validation.CALL_SECONDS_MAX,
        )
        for name in ("ringSeconds", "talkSeconds")
    },
    "note of a callback": (
        "scheduleCallback",
        lambda n: _callback(note="x" * n),
        validation.CALLBACK_NOTE_CHARACTERS_MAX,
    ),
    "window of a callback": (
        "scheduleCallback",
        lambda n: _callback(windowSeconds=n),
        validation.CALLBACK_WINDOW_SECONDS_MAX,
    ),
    "dialer of a callback": (
        "scheduleCallback",
        lambda n: _callback(dialer="x" * n),
        validation.DIALER_CHARACTERS_MAX,
    ),
    "destination of a callback": (
        "scheduleCallback",
        lambda n: _callback(destinationIndex=n),
        lifecycle.DESTINATIONS - 1,
    ),
    "ids to reset": (
        "resetTargets",
        lambda n: {"targetIds": [str(uuid4()) for _ in range(n)]},
        resetting.RESET_IDS_MAX,
    ),
    "suppressions": (
        "addSuppressions",
        lambda n: {"suppressions": [{"target": phone} for phone in _phones(n)]},
        writing.SUPPRESSIONS_MAX,
    ),
    "reason": (
        "addSuppressions",
        lambda n: {"suppressions": [{"target": PHONE, "reason": "x" * n}]},
        validation.REASON_CHARACTERS_MAX,
    ),
    "result codes": ("setResultCodes", lambda n: {"codes": [_code(code=f"C{at}") for at in range(n)]}, codes.CODES_MAX),
    "result code": ("setResultCodes", lambda n: {"codes": [_code(code="x" * n)]}, validation.CODE_CHARACTERS_MAX),
    "label": ("setResultCodes", lambda n: {"codes": [_code(label="x" * n)]}, validation.LABEL_CHARACTERS_MAX),
}
LEAST: dict[str, tuple[str, Make, int]] = {
    "lease": ("claimTargets", lambda n: {"leaseSeconds": n}, validation.LEASE_SECONDS_MIN),
    "claimed targets": ("claimTargets", lambda n: {"limit": n}, 1),
    "priority": ("createTargets", lambda n: _target(priority=n), 0),
    **{
        f"{name} of a result": (
            "completeAttempts",
            lambda n, name=name: {"results": [{"attemptId": str(uuid4()), "disposition": "BUSY", name: n}]},
            0,
        )
        for name in ("ringSeconds", "talkSeconds")
    },
    "window of a callback": (
        "scheduleCallback",
        lambda n: _callback(windowSeconds=n),
        validation.CALLBACK_WINDOW_SECONDS_MIN,
    ),
    "destination of a callback": ("scheduleCallback", lambda n: _callback(destinationIndex=n), 0),
    "result code": ("setResultCodes", lambda n: {"codes": [_code(code="x" * n)]}, 1),
    "label": ("setResultCodes", lambda n: {"codes": [_code(label="x" * n)]}, 1),
}
OF_OUTDIAL = {"createTargets", "claimTargets", "resetTargets"}
BEYOND = {"NOT_FOUND", "LEASE_LOST"}
"""Refusals of attempts and targets that there are not: their limits are judged before."""


async def refusals(client: Client, mutation: str, given: Json) -> list[str]:
    """What the answer says is wrong, but for what does not exist."""
    name = mutation[0].upper() + mutation[1:]
    if mutation in OF_OUTDIAL:
        given = {"outdialId": (await client.outdial())["id"], **given}
    if mutation == "claimTargets":
        given = {"dialer": "one", **given}
    query = f"mutation ($i: {name}Input!) {{ {mutation}(input: $i) {{ userErrors {{ code message }} }} }}"
    answer = await client.send(query, i=given)
    if "errors" in answer:
        return [error["message"] for error in answer["errors"]]
    errors = answer["data"][mutation]["userErrors"]
    return [error["message"] for error in errors if error["code"] not in BEYOND]


@pytest.mark.parametrize("limit", VALUES)
async def test_what_is_just_within_a_limit_is_taken_and_what_is_just_beyond_is_refused(
    client: Client, limit: str
) -> None:
    mutation, make, most = VALUES[limit]
    assert await refusals(client, mutation, make(most)) == []
    assert await refusals(client, mutation, make(most + 1)) != []


@pytest.mark.parametrize("limit", LEAST)
async def test_what_is_the_least_is_taken_and_less_is_refused(client: Client, limit: str) -> None:
    mutation, make, least = LEAST[limit]
    assert await refusals(client, mutation, make(least)) == []
    assert await refusals(client, mutation, make(least - 1)) != []


# ---------------------------------------------------------------- documents and pages

NAME = "viewer { subject }"


def _many(count: int, field: str, *within: str) -> str:
    """A selection with so many fields, in which # is the number of each, inside of others."""
    inner = " ".join(field.replace("#", str(number)) for number in range(count))
    for outer in reversed(within):
        inner = f"{outer} {{ {inner} }}"
    return f"{{ {inner} }}"


def _fragments(count: int) -> str:
    return _many(count, "...f#", "viewer") + " ".join(f" fragment f{n} on Viewer {{ subject }}" for n in range(count))


def _nodes(count: int) -> str:
    ids = ", ".join(f'"{uuid4()}"' for _ in range(count))
    return f"{{ nodes(ids: [{ids}]) {{ id }} }}"


DOCUMENTS: dict[str, tuple[Callable[[int], str], int]] = {
    "first": (lambda n: f"{{ outdials(first: {n}) {{ nodes {{ id }} }} }}", pagination.PAGE_SIZE_MAX),
    "last": (lambda n: f"{{ outdials(last: {n}) {{ nodes {{ id }} }} }}", pagination.PAGE_SIZE_MAX),
    "nodes": (_nodes, queries.NODES_MAX),
    "root fields": (lambda n: _many(n, f"a#: {NAME}"), forms.ROOT_FIELDS_MAX),
    "aliases": (lambda n: _many(n, "a#: subject", "viewer"), forms.ALIASES_MAX),
    "fragments": (_fragments, forms.FRAGMENTS_MAX),
    "operations": (lambda n: " ".join(f"query q{one} {{ {NAME} }}" for one in range(n)), forms.OPERATIONS_MAX),
    "characters": (lambda n: f"{{ {NAME} }} #".ljust(n, "x"), forms.QUERY_CHARACTERS_MAX),
    "searches": (
        lambda n: _many(n, "a#: targets(first: 1) { totalCount }", "outdials(first: 1)", "nodes"),
        limits.SEARCHES_MAX,
    ),
}


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("limit", DOCUMENTS)
async def test_a_document_just_within_a_limit_runs_and_one_just_beyond_does_not(client: Client, limit: str) -> None:
    make, most = DOCUMENTS[limit]
    answers = []
    for size in (most, most + 1):
        body = {"query": make(size), **({"operationName": "q0"} if limit == "operations" else {})}
        answers.append((await client.http.post("/graphql", json=body)).json())
    taken, refused = answers
    assert "errors" not in taken
    assert {error["extensions"]["code"] for error in refused["errors"]} <= {"LIMIT_EXCEEDED", "BAD_USER_INPUT"}


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", ["POST", "GET", "stream", "socket"])
async def test_the_name_that_a_request_gives_has_a_length(client: Client, way: str) -> None:
    longest = "x" * forms.REQUESTED_NAME_CHARACTERS_MAX
    for name, told in ((longest, None), (longest + "x", "LIMIT_EXCEEDED")):
        request = {"query": f"query {name} {{ {NAME} }}", "operationName": name}
        if way == "socket":
            with Raw(int(client.url.rpartition(":")[2])).upgrade().initialise(client.token) as socket:
                heard = socket.say(type="subscribe", id="1", payload=request).hear()
                assert heard["type"] == ("next" if told is None else "error")
                errors = heard["payload"] if told else []
        elif way == "stream":
            answer = await client.http.post("/graphql", json=request, headers={"Accept": "text/event-stream"})
            data = json.loads(re.findall("data: (.+)", answer.text)[0])
            errors = data.get("errors", [])
        else:
            sent = {"json": request} if way == "POST" else {"params": request}
            errors = (await client.http.request(way, "/graphql", **sent)).json().get("errors", [])
        assert [error["extensions"]["code"] for error in errors] == ([] if told is None else [told])


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_an_operation_has_an_id_of_a_length(client: Client) -> None:
    for length, told in [(closing.OPERATION_ID_CHARACTERS_MAX, None), (closing.OPERATION_ID_CHARACTERS_MAX + 1, 4400)]:
        with Raw(int(client.url.rpartition(":")[2])).upgrade().initialise(client.token) as socket:
            heard = socket.say(type="subscribe", id="x" * length, payload={"query": "{ viewer { subject } }"}).hear()
            assert (heard["type"] == "next") if told is None else (heard == told)
