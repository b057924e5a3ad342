"""What a callback makes of a target: the rules against a slow model, and one dialer's callbacks among twenty."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import attempts, callbacks, db, targets, validation
from app.addresses import DestinationType
from app.auth import Viewer
from app.lifecycle import DESTINATIONS, DoneReason, Standing, TargetStatus, Tries, idle_or_done
from app.records import Callback, CallbackDraft, CalledTarget, Destination, rank_of
from tests.support import factories as make
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CLAIMERS, CALLBACKS = 20, 40

FIVE = st.lists(st.integers(0, 2), min_size=DESTINATIONS, max_size=DESTINATIONS)
FLAGS = st.lists(st.booleans(), min_size=DESTINATIONS, max_size=DESTINATIONS)
TRIES = st.builds(
    Tries,
    set=FLAGS,
    invalid=FLAGS,
    counts=FIVE,
    limits=FIVE,
    suppressed=st.dictionaries(st.integers(0, DESTINATIONS - 1), st.sampled_from([None, NOW])),
)
WANTED = st.none() | st.integers(0, DESTINATIONS - 1)


def first_of_the_model(tries: Tries, wanted: int | None) -> int | None:
    """Which destination is called if none is closed, and no suppression but those for ever counts."""
    best = None
    for index in range(DESTINATIONS):
        is_barred = index in tries.suppressed and tries.suppressed[index] is None
        if not tries.set[index] or tries.invalid[index] or is_barred:
            continue
        if index == wanted:
            grade = 0
        elif tries.counts[index] < tries.limits[index]:
            grade = 1
        else:
            grade = 2
        if best is None or (grade, index) < best:
            best = (grade, index)
    return None if best is None else best[1]


@given(tries=TRIES, wanted=WANTED)
def test_the_first_that_is_offered_is_the_wanted_or_the_next_or_else_the_first(
    tries: Tries, wanted: int | None
) -> None:
    offered = callbacks.offered(tries, wanted)
    assert (offered[0] if offered else None) == first_of_the_model(tries, wanted)
    assert sorted(set(offered)) == list(offered)
    lasting = {index: until for index, until in tries.suppressed.items() if until is None}
    granted = replace(tries, offered=offered, suppressed=lasting)
    assert granted.next_index() == first_of_the_model(tries, wanted)


def target_of(tries: Tries, status: TargetStatus = TargetStatus.PROGRESSING) -> CalledTarget:
    place = Destination(DestinationType.TEL, "+15550100000", "", "", "")
    return CalledTarget(
        id="target",
        customer_id="customer",
        outdial_id="outdial",
        status=status,
        done_reason=None,
        max_try_counts=tuple(tries.limits),
        destinations=tuple(place if is_set else None for is_set in tries.set),
        try_counts=tuple(tries.counts),
        invalid_destinations=frozenset(index for index in range(DESTINATIONS) if tries.invalid[index]),
        first_index=tries.first_index,
        next_try_at=NOW if status is TargetStatus.IDLE else None,
        last_attempt_id="attempt",
        version=1,
        tm_update=NOW,
        tm_delete=None,
        priority=3,
        callback=None,
    )


WISH = Callback(NOW + timedelta(hours=1), None, "ann", 900, "")


@given(tries=TRIES, status=st.sampled_from([TargetStatus.IDLE, TargetStatus.PROGRESSING]), moves=st.integers(1, 3))
def test_cancelling_gives_back_what_was_there_before(tries: Tries, status: TargetStatus, moves: int) -> None:
    target = target_of(tries, status)
    wished = target
    for number in range(moves):
        wished = callbacks.scheduled(wished, replace(WISH, at=WISH.at + timedelta(hours=number)), tries)
        if wished.status is TargetStatus.DONE:
            assert (wished.done_reason, wished.callback) == (DoneReason.DO_NOT_CALL, None)
            return
    assert wished.callback is not None
    back = callbacks.canceled(wished, tries)
    assert back.callback is None
    if status is TargetStatus.PROGRESSING:
        assert back == target
    else:
        expected = idle_or_done(tries, NOW)
        assert (back.status, back.done_reason, back.next_try_at) == (
            expected.status,
            expected.done_reason,
            expected.next_try_at,
        )


@given(tries=TRIES, is_during=st.booleans())
def test_only_an_attempt_that_came_after_the_wish_uses_it_up(tries: Tries, is_during: bool) -> None:
    otherwise = Standing(TargetStatus.DONE, DoneReason.ANSWERED)
    wish = replace(WISH, after_attempt_id="attempt" if is_during else "an earlier one")
    after = callbacks.after_end(replace(target_of(tries), callback=wish), "attempt", otherwise, tries)
    returned = callbacks.after_return(replace(target_of(tries), callback=wish), otherwise, tries)
    if not is_during:
        assert (after.status, after.done_reason, after.callback) == (TargetStatus.DONE, DoneReason.ANSWERED, None)
    for kept in (returned, after) if is_during else (returned,):
        if kept.callback is None:  # all addresses must never be called
            assert kept.done_reason is DoneReason.DO_NOT_CALL
            assert first_of_the_model(tries, None) is None
        else:
            assert (kept.status, kept.next_try_at) == (TargetStatus.IDLE, wish.at)
            assert kept.callback.before == otherwise


@given(priority=st.integers(0, 9), dialer=st.none() | st.just("ann"), is_for_all=st.booleans())
def test_a_rank_is_above_all_priorities_or_no_level_at_all(priority: int, dialer: str | None, is_for_all: bool) -> None:
    rank = rank_of(priority, replace(WISH, dialer=dialer, is_for_all=is_for_all))
    assert rank == (-1 if dialer is not None and not is_for_all else 10)
    assert rank_of(priority, None) == priority


async def test_nobody_else_gets_a_callback_within_its_window(database: str, viewer: Viewer) -> None:
    """Twenty claimers at once, with and without names, and everybody's callbacks and other targets among them."""
    outdial = await make.make_outdial(viewer)
    made = await make.make_targets(viewer, outdial.id, CALLBACKS * 2)
    names = [f"dialer {number}" for number in range(CLAIMERS - 2)]
    kept = {target.id: names[number % 5] for number, target in enumerate(made[:CALLBACKS])}
    at = await db.now()
    for target_id, dialer in kept.items():
        draft = CallbackDraft(at, dialer=dialer, window_seconds=86_400)
        await targets.schedule_callback(viewer, target_id, draft=draft)
    got: dict[str, str | None] = {}
    rounds = count()

    async def claim(dialer: str | None) -> None:
        while True:
            found = await attempts.claim(viewer, outdial.id, limit=1 + next(rounds) % 3, dialer=dialer)
            assert got.keys().isdisjoint(one.target_id for one in found)
            got.update((one.target_id, dialer) for one in found)
            if not found:
                return

    await asyncio.gather(*(claim(dialer) for dialer in (*names, None, None)))
    assert got.keys() == {target.id for target in made}
    assert {target_id: got[target_id] for target_id in kept} == kept


@pytest.mark.slow
async def test_of_four_servers_only_its_dialer_gets_a_callback_within_its_window(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty dialers that claim as fast as they can; one in five callbacks is kept for a dialer that never comes."""
    monkeypatch.setattr(validation, "CALLBACK_WINDOW_SECONDS_MIN", 1)
    servers = [ServerProcess(postgres_url, tmp_path_factory.mktemp("server")) for _ in range(4)]
    try:
        await asyncio.gather(*[server.started() for server in servers])
        await db.connect(postgres_url)
        clients = [Client(server.url, viewer.customer_id) for server in servers]
        outdial = await make.make_outdial(viewer)
        made = await make.make_targets(viewer, outdial.id, CALLBACKS * 4)
        at, window = await db.now() + timedelta(seconds=2), timedelta(seconds=5)
        kept = {target.id: "away" if number % 5 == 0 else f"dialer {number % 5}" for number, target in enumerate(made)}
        for target_id, dialer in list(kept.items())[: CALLBACKS * 3]:
            draft = CallbackDraft(at, dialer=dialer, window_seconds=int(window.total_seconds()))
            await targets.schedule_callback(viewer, target_id, draft=draft)
        ends = at + window + timedelta(seconds=6)

        async def claim(number: int) -> None:
            client = clients[number % len(clients)]
            while await db.now() < ends:
                await client.good("claimTargets", outdialId=outdial.id, limit=3, dialer=f"dialer {number}")

        await asyncio.gather(*map(claim, range(CLAIMERS)))
        tries = await db.fetch(
            "SELECT target_id, dialer, claimed_at FROM attempt WHERE customer_id = $1", viewer.customer_id
        )
        assert sorted(one["target_id"] for one in tries) == sorted(kept)
        promised = {target.id for target in made[: CALLBACKS * 3]}
        for one in tries:
            if one["target_id"] in promised:
                of_its_dialer = one["dialer"] == kept[one["target_id"]]
                assert one["claimed_at"] >= (at if of_its_dialer else at + window)
        assert any(one["target_id"] in promised and one["claimed_at"] < at + window for one in tries)
        away = [one for one in tries if one["target_id"] in promised and kept[one["target_id"]] == "away"]
        assert len(away) == len(promised) // 5
        await asyncio.gather(*[client.http.aclose() for client in clients])
        for server in servers:
            server.stop()
    finally:
        await db.close()
        for server in servers:
            server.kill()


@pytest.mark.slow
async def test_callbacks_of_others_do_not_slow_a_claim(postgres_url: str, viewer: Viewer) -> None:
    """However many are kept for another dialer, a claim reads none of them."""
    await db.connect(postgres_url, pool_size=1)
    try:
        outdial = await make.make_outdial(viewer)
        made = await make.make_targets(viewer, outdial.id, 300)
        at = await db.now()
        for target in made[:299]:
            await targets.schedule_callback(viewer, target.id, draft=CallbackDraft(at, dialer="another"))
        [found] = await attempts.claim(viewer, outdial.id, dialer="me")  # it also passes what was scheduled just now
        assert found.target_id == made[299].id
        before = await _read()
        assert await attempts.claim(viewer, outdial.id, dialer="me") == []
        assert await _read() - before < 50
    finally:
        await db.close()


async def _read() -> int:
    await asyncio.sleep(1.1)  # a session tells its numbers once a second, at the end of a transaction
    await db.fetch("SELECT 1 AS one")
    names = "('target_due', 'target_due_awake', 'target_reserved')"
    [row] = await db.fetch(f"SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE indexrelname IN {names}")
    return int(row["n"])
