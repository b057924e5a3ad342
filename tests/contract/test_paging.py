"""Pages by key: every row is seen once in either direction, and a page knows exactly whether there is more."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import rows
from tests.support.factories import phone_number
from tests.support.graphql_client import Client, codes
from tests.support.server import ServerProcess

PAGE = "edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
ARGUMENTS = "$first: Int, $after: String, $last: Int, $before: String"
PASSED = "first: $first, after: $after, last: $last, before: $before"
TARGETS = f"""query($id: ID!, {ARGUMENTS}, $where: TargetFilter, $order: TargetOrder) {{
    outdial(id: $id) {{ page: targets({PASSED}, where: $where, orderBy: $order) {{ {PAGE} }} }} }}"""
ATTEMPTS = f"""query($id: ID!, {ARGUMENTS}, $where: AttemptFilter) {{
    outdial(id: $id) {{ page: attempts({PASSED}, where: $where) {{ {PAGE} }} }} }}"""
OUTDIALS = f"query({ARGUMENTS}, $where: OutdialFilter) {{ page: outdials({PASSED}, where: $where) {{ {PAGE} }} }}"
TARGET_ATTEMPTS = f"""query($id: ID!, $first: Int, $after: String) {{
    target(id: $id) {{ page: attempts(first: $first, after: $after) {{ {PAGE} }} }} }}"""
SIZES = (100, 37)


async def page(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    data = await client.run(query, **variables)
    found: dict[str, Any] = data["page"] if "page" in data else next(iter(data.values()))["page"]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    cursors = [edge["cursor"] for edge in found["edges"]] or [None]
    assert (found["pageInfo"]["startCursor"], found["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])
    return found


async def pages(
    client: Client, query: str, size: int, *, backward: bool = False, **variables: Any
) -> AsyncIterator[Any]:
    """Every page, as a client that follows the cursors sees them."""
    number, place, more = ("last", "before", "hasPreviousPage") if backward else ("first", "after", "hasNextPage")
    edge = "startCursor" if backward else "endCursor"
    cursor = None
    while True:
        found = await page(client, query, **variables, **{number: size, place: cursor})
        yield found
        if not found["pageInfo"][more]:
            return
        cursor = found["pageInfo"][edge]


async def walk(client: Client, query: str, wanted: list[str], **variables: Any) -> None:
    """Forward and backward in pages of several sizes: each row once, in order, with exact flags."""
    for size in SIZES:
        for backward in (False, True):
            got: list[str] = []
            async for found in pages(client, query, size, backward=backward, **variables):
                ids = [node["id"] for node in found["nodes"]]
                got = [*ids, *got] if backward else [*got, *ids]
                first, last = wanted.index(ids[0]), wanted.index(ids[-1])
                assert found["pageInfo"]["hasPreviousPage"] == (first > 0)
                assert found["pageInfo"]["hasNextPage"] == (last < len(wanted) - 1)
            assert got == wanted


async def outdial_of(client: Client, targets: int) -> tuple[str, list[str]]:
    outdial = await client.outdial(dialPolicy={"retryIntervalSeconds": 0})
    drafts = [{"destination0": {"target": phone_number()}} for _ in range(targets)]
    made = await client.good("createTargets", outdialId=outdial["id"], targets=drafts)
    return outdial["id"], [target["id"] for target in made["targets"]]


async def test_a_thousand_targets_with_one_timestamp_are_each_seen_once(client: Client, service: ServerProcess) -> None:
    outdial_id, ids = await outdial_of(client, 1_000)
    await rows.execute(
        service.database_url,
        "UPDATE target SET tm_create = (SELECT min(tm_create) FROM target WHERE outdial_id = $1) WHERE outdial_id = $1",
        outdial_id,
    )
    await walk(client, TARGETS, sorted(ids), id=outdial_id, order="OLDEST_FIRST")
    await walk(client, TARGETS, sorted(ids, reverse=True), id=outdial_id)
    await walk(client, TARGETS, sorted(ids, reverse=True), id=outdial_id, where={"statuses": ["IDLE"]})


async def test_attempts_page_both_ways(client: Client) -> None:
    outdial_id, _ = await outdial_of(client, 150)
    one = (await client.good("claimTargets", outdialId=outdial_id, limit=90, dialer="one"))["attempts"]
    two = (await client.good("claimTargets", outdialId=outdial_id, limit=60, dialer="two"))["attempts"]
    newest = [attempt["id"] for attempt in [*one, *two]][::-1]
    await walk(client, ATTEMPTS, newest, id=outdial_id)
    ones = [attempt["id"] for attempt in one][::-1]
    await walk(client, ATTEMPTS, ones, id=outdial_id, where={"dialer": "one", "states": ["CLAIMED"]})


async def test_the_attempts_of_one_target_page_forward(client: Client) -> None:
    outdial = await client.outdial(dialPolicy={"retryIntervalSeconds": 0, "maxTryCounts": [100] * 5})
    target = await client.target(outdial["id"])
    made = []
    for _ in range(12):
        [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
        made.append(attempt["id"])
        await client.good("completeAttempts", results=[{"attemptId": attempt["id"], "disposition": "BUSY"}])
    got: list[str] = []
    async for found in pages(client, TARGET_ATTEMPTS, 5, id=target["id"]):
        assert found["pageInfo"]["hasPreviousPage"] == bool(got)
        got += [node["id"] for node in found["nodes"]]
    assert got == made[::-1]


async def test_outdials_with_one_timestamp_page_both_ways(client: Client, service: ServerProcess) -> None:
    ids = [(await client.outdial(name=f"list {number}"))["id"] for number in range(110)]
    await rows.execute(
        service.database_url,
        "UPDATE outdial SET tm_create = (SELECT min(tm_create) FROM outdial WHERE customer_id = $1)"
        " WHERE customer_id = $1",
        client.customer_id,
    )
    await walk(client, OUTDIALS, sorted(ids, reverse=True))
    # Names with a 7 anywhere, whatever the filter's case.
    sevens = [outdial_id for number, outdial_id in enumerate(ids) if "7" in str(number)]
    await walk(client, OUTDIALS, sorted(sevens, reverse=True), where={"nameContains": "7"})


async def test_what_comes_or_goes_meanwhile_neither_repeats_nor_hides_another(client: Client) -> None:
    outdial_id, ids = await outdial_of(client, 90)
    for order, wanted in (("OLDEST_FIRST", ids), ("NEWEST_FIRST", ids[::-1])):
        got: list[str] = []
        async for found in pages(client, TARGETS, 20, id=outdial_id, order=order):
            got += [node["id"] for node in found["nodes"]]
            await client.target(outdial_id)
        assert [target_id for target_id in got if target_id in ids] == wanted
        assert len(got) == len(set(got))

    first = await page(client, TARGETS, id=outdial_id, first=10, order="OLDEST_FIRST")
    await client.good("deleteTarget", ids[9])
    after = await page(client, TARGETS, id=outdial_id, after=first["pageInfo"]["endCursor"], order="OLDEST_FIRST")
    assert after["nodes"][0]["id"] == ids[10]
    assert after["pageInfo"]["hasPreviousPage"] is True
    before = await page(
        client, TARGETS, id=outdial_id, last=3, before=first["pageInfo"]["endCursor"], order="OLDEST_FIRST"
    )
    assert [node["id"] for node in before["nodes"]] == ids[6:9]


async def test_the_flags_are_exact_at_every_place(client: Client) -> None:
    outdial_id, ids = await outdial_of(client, 6)
    whole = await page(client, TARGETS, id=outdial_id, order="OLDEST_FIRST")
    cursors = [edge["cursor"] for edge in whole["edges"]]
    for start in range(6):
        for end in range(start + 1, 7):
            between = {
                "after": cursors[start - 1] if start else None,
                "before": cursors[end] if end < 6 else None,
            }
            for number in ("first", "last"):
                for size in (1, 2, 6):
                    found = await page(
                        client, TARGETS, id=outdial_id, order="OLDEST_FIRST", **between, **{number: size}
                    )
                    inside = ids[start:end]
                    wanted = inside[:size] if number == "first" else inside[-size:]
                    assert [node["id"] for node in found["nodes"]] == wanted
                    assert found["pageInfo"]["hasPreviousPage"] == (wanted[0] != ids[0])
                    assert found["pageInfo"]["hasNextPage"] == (wanted[-1] != ids[-1])


async def test_the_flags_of_a_page_without_rows_are_exact(client: Client) -> None:
    """Also beside pages with rows: one cursor is for the lists of all outdials."""
    outdial_id, ids = await outdial_of(client, 3)
    later_id, _ = await outdial_of(client, 2)
    whole = await page(client, TARGETS, id=outdial_id, order="OLDEST_FIRST")
    first, last = whole["edges"][0]["cursor"], whole["edges"][-1]["cursor"]
    for between, previous, following in (
        ({"after": last}, True, False),
        ({"before": first}, False, True),
        ({"after": last, "before": first}, True, True),
        ({"after": first, "before": first}, True, True),
    ):
        for number in ("first", "last"):
            found = await page(client, TARGETS, id=outdial_id, order="OLDEST_FIRST", **between, **{number: 2})
            assert found["nodes"] == []
            assert found["pageInfo"]["hasPreviousPage"] is previous
            assert found["pageInfo"]["hasNextPage"] is following
    both = await client.run(
        """query ($after: String) { outdials { nodes { id
            targets(first: 2, after: $after, orderBy: OLDEST_FIRST) {
                nodes { id } pageInfo { hasPreviousPage } } } } }""",
        after=last,
    )
    shown = {one["id"]: one["targets"] for one in both["outdials"]["nodes"]}
    assert (shown[outdial_id]["nodes"], shown[outdial_id]["pageInfo"]["hasPreviousPage"]) == ([], True)
    assert (len(shown[later_id]["nodes"]), shown[later_id]["pageInfo"]["hasPreviousPage"]) == (2, False)
    assert len(ids) == 3


async def test_a_page_has_fifty_where_nobody_says_how_many(client: Client) -> None:
    outdial_id, ids = await outdial_of(client, 51)
    found = await page(client, TARGETS, id=outdial_id, order="OLDEST_FIRST")
    assert [node["id"] for node in found["nodes"]] == ids[:50]
    assert found["pageInfo"]["hasNextPage"] is True


async def test_an_empty_list_has_no_cursors_and_nothing_around_it(client: Client) -> None:
    outdial = await client.outdial()
    found = await page(client, TARGETS, id=outdial["id"])
    assert found["nodes"] == []
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


MALFORMED = [
    "",
    "x",
    "not a cursor",
    "AAAA",
    "é",
    "\0",
    "A" * 5_000,
    "0192d0a0-0000-7000-8000-000000000001",
    "eyJpZCI6MX0=",
]


@pytest.mark.alternate
@pytest.mark.parametrize(
    "variables",
    [
        *[{"after": cursor} for cursor in MALFORMED],
        *[{"before": cursor, "last": 5} for cursor in MALFORMED],
        {"first": 5, "last": 5},
        *[{name: number} for name in ("first", "last") for number in (0, -1, 101, 2_147_483_647, -2_147_483_648)],
    ],
    ids=lambda variables: str(variables)[:40].replace("\0", "NUL"),
)
async def test_a_malformed_cursor_or_number_is_bad_user_input(variables: dict[str, Any], client: Client) -> None:
    outdial_id, ids = await outdial_of(client, 2)
    for query, named in ((TARGETS, {"id": outdial_id}), (ATTEMPTS, {"id": outdial_id}), (OUTDIALS, {})):
        assert codes(await client.send(query, **named, **variables)) == ["BAD_USER_INPUT"]
    if set(variables) <= {"first", "after"}:
        assert codes(await client.send(TARGET_ATTEMPTS, id=ids[0], **variables)) == ["BAD_USER_INPUT"]


async def test_an_event_cursor_is_no_page_cursor(client: Client) -> None:
    outdial_id, _ = await outdial_of(client, 1)
    data = await client.run("query($id: ID!) { outdial(id: $id) { eventCursor } }", id=outdial_id)
    answer = await client.send(TARGETS, id=outdial_id, after=data["outdial"]["eventCursor"])
    assert codes(answer) == ["BAD_USER_INPUT"]


async def test_total_count_is_exact_under_any_filter(client: Client) -> None:
    outdial_id, ids = await outdial_of(client, 20)
    await client.good("cancelTarget", ids[0])
    await client.good("deleteTarget", ids[1])
    await client.good("claimTargets", outdialId=outdial_id, limit=5, dialer="one")
    await client.good("scheduleCallback", targetId=ids[19], callback={"at": "2026-01-01T00:00:00Z", "dialer": "two"})
    query = """query($id: ID!) { outdials { totalCount } outdial(id: $id) {
        all: targets(first: 1) { totalCount }
        idle: targets(first: 1, where: {statuses: [IDLE]}) { totalCount }
        done: targets(first: 1, where: {doneReasons: [CANCELED], statuses: []}) { totalCount }
        called: targets(first: 1, where: {hasCallback: true}) { totalCount nodes { id } }
        calledElsewhere: targets(first: 1, where: {hasCallback: true, statuses: [PROGRESSING]}) { totalCount }
        uncalled: targets(first: 1, where: {hasCallback: false}) { totalCount }
        none: targets(first: 1, where: {key: "none"}) { totalCount }
        attempts { totalCount }
        two: attempts(where: {dialer: "two"}) { totalCount }
    } }"""
    data = await client.run(query, id=outdial_id)
    assert data["outdials"]["totalCount"] == 1
    assert data["outdial"]["called"]["nodes"] == [{"id": ids[19]}]
    assert {name: found["totalCount"] for name, found in data["outdial"].items()} == {
        "all": 19, "idle": 13, "done": 1, "called": 1, "calledElsewhere": 0, "uncalled": 18, "none": 0, "attempts": 5,
        "two": 0,
    }  # fmt: skip
