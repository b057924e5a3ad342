"""Many at once: no target is taken twice, and of two events that meet, one came first."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from app import attempts, clock, events, outdials, suppressions, targets
from app.auth import Viewer
from app.errors import Rejected, UserErrorCode
from app.hours import CallingHours
from app.lifecycle import Disposition, DoneReason, OutdialState, TargetStatus, UnconfirmedAction
from app.pagination import PageRequest
from app.records import (
    CallCap,
    CapScope,
    CapSubject,
    DestinationDraft,
    DuplicateAction,
    PolicyDraft,
    SuppressionDraft,
    TargetFilter,
    TargetOrder,
)
from tests.support import factories as make
from tests.support import races, rows
from tests.support.graphql_client import Client
from tests.support.races import Event, Scene
from tests.support.server import ServerProcess

CLAIMERS = 50
TARGETS = 10_000
ROUNDS = 20
CANCELED_OPERATIONS = 300


@pytest.mark.slow
async def test_fifty_claimers_never_share_a_target(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    made = await make.make_targets(viewer, outdial.id, TARGETS)

    async def claimer(number: int) -> list[str]:
        mine: list[str] = []
        while claimed := await attempts.claim(viewer, outdial.id, limit=random.randint(1, 50), dialer=f"d{number}"):
            mine += [attempt.target_id for attempt in claimed]
        return mine

    taken = [target_id for mine in await asyncio.gather(*map(claimer, range(CLAIMERS))) for target_id in mine]

    assert len(taken) == TARGETS
    assert set(taken) == {target.id for target in made}
    tables = await rows.of(database, viewer.customer_id)
    assert len(tables["attempt"]) == TARGETS
    rows.check(tables)
    rows.check_events(tables)


@pytest.mark.slow
async def test_fifty_claimers_of_four_servers_never_share_a_target(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, viewer: Viewer
) -> None:
    servers = [ServerProcess(postgres_url, tmp_path_factory.mktemp("server")) for _ in range(4)]
    try:
        await asyncio.gather(*[server.started() for server in servers])
        clients = [Client(server.url, viewer.customer_id) for server in servers]
        outdial = await clients[0].outdial()
        for _ in range(TARGETS // 1_000):
            drafts = [{"destination0": {"target": make.phone_number()}} for _ in range(1_000)]
            query = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount } }"
            await clients[0].run(query, input={"outdialId": outdial["id"], "targets": drafts})

        async def claimer(number: int) -> list[str]:
            client, mine = clients[number % len(clients)], list[str]()
            query = (
                "mutation($input: ClaimTargetsInput!) { claimTargets(input: $input) { attempts { target { id } } } }"
            )
            while True:
                limit = random.randint(20, 100)
                data = await client.run(query, input={"outdialId": outdial["id"], "limit": limit})
                taken = [attempt["target"]["id"] for attempt in data["claimTargets"]["attempts"]]
                if not taken:
                    return mine
                mine += taken

        taken = [target_id for mine in await asyncio.gather(*map(claimer, range(CLAIMERS))) for target_id in mine]

        assert len(taken) == len(set(taken)) == TARGETS
        tables = await rows.of(postgres_url, viewer.customer_id)
        rows.check(tables)
        rows.check_events(tables)
        await asyncio.gather(*[client.http.aclose() for client in clients])
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()


# ---------------------------------------------------------------- two events that meet


async def claim(scene: Scene) -> Any:
    return await attempts.claim(scene.viewer, scene.outdial_id)


async def pause(scene: Scene) -> Any:
    return await outdials.update(scene.viewer, scene.outdial_id, changes={"state": OutdialState.PAUSED})


async def lower_limits(scene: Scene) -> Any:
    changes = {"dial_policy": PolicyDraft(max_try_counts=(0,) * 5)}
    return await outdials.update(scene.viewer, scene.outdial_id, changes=changes)


async def lower_own_limits(scene: Scene) -> Any:
    return await targets.update(scene.viewer, scene.target_id, changes={"max_try_counts": (0,) * 5})


async def rename(scene: Scene) -> Any:
    return await targets.update(scene.viewer, scene.target_id, changes={"name": "new"})


async def rename_if_unchanged(scene: Scene) -> Any:
    version = 1 + len(scene.attempt_ids)
    return await targets.update(scene.viewer, scene.target_id, changes={"name": "newer"}, if_version=version)


async def delete_outdial(scene: Scene) -> Any:
    return await outdials.delete(scene.viewer, scene.outdial_id)


async def delete(scene: Scene) -> Any:
    return await targets.delete(scene.viewer, scene.target_id)


async def cancel(scene: Scene) -> Any:
    return await targets.cancel(scene.viewer, scene.target_id)


async def reset(scene: Scene) -> Any:
    reasons = [reason for reason in DoneReason if reason is not DoneReason.DO_NOT_CALL]
    return await targets.reset(scene.viewer, scene.outdial_id, done_reasons=reasons)


async def reset_by_id(scene: Scene) -> Any:
    return await targets.reset(scene.viewer, scene.outdial_id, target_ids=[scene.target_id])


async def _number(scene: Scene) -> str:
    place = (await make.read(scene.viewer, scene.target_id)).destinations[0]
    assert place is not None
    return place.target


async def suppress(scene: Scene) -> None:
    await make.suppress(scene.viewer, await _number(scene))


async def suppress_all(scene: Scene) -> None:
    target = await make.read(scene.viewer, scene.target_id)
    await make.suppress(scene.viewer, *[place.target for place in target.destinations if place is not None])


async def suppress_for_a_day(scene: Scene) -> None:
    await make.suppress(scene.viewer, await _number(scene), expires_at=clock.now() + timedelta(days=1))


async def allow(scene: Scene) -> None:
    await suppressions.remove(scene.viewer, drafts=[SuppressionDraft(await _number(scene))])


async def add_a_target(scene: Scene) -> Any:
    return await make.make_target(scene.viewer, scene.outdial_id, await _number(scene))


async def move_to_the_number(scene: Scene) -> Any:
    changes = {"destination_1": None, "destination_2": DestinationDraft(await _number(scene))}
    return await targets.update(scene.viewer, scene.target_id, changes=changes)


async def claim_elsewhere(scene: Scene) -> Any:
    return await attempts.claim(scene.viewer, scene.other_id)


def policy(**changes: Any) -> Event:
    async def change(scene: Scene) -> Any:
        draft = PolicyDraft(**changes)
        return await outdials.update(scene.viewer, scene.outdial_id, changes={"dial_policy": draft})

    return change


async def reset_all(scene: Scene) -> Any:
    return await targets.reset(scene.viewer, scene.outdial_id, where=TargetFilter())


async def cancel_all(scene: Scene) -> Any:
    return await targets.cancel_many(scene.viewer, scene.outdial_id, where=TargetFilter())


async def cancel_waiting(scene: Scene) -> Any:
    where = TargetFilter(statuses=(TargetStatus.IDLE,))
    return await targets.cancel_many(scene.viewer, scene.outdial_id, where=where)


async def lower_limits_of_all(scene: Scene) -> Any:
    changes = {"max_try_counts": (0,) * 5}
    return await targets.update_many(scene.viewer, scene.outdial_id, where=TargetFilter(), changes=changes)


async def sweep(_scene: Scene) -> Any:
    await attempts.sweep()


async def start(scene: Scene) -> Any:
    return await make.start(scene.viewer, scene.attempt_id)


async def extend(scene: Scene) -> Any:
    return await make.extend(scene.viewer, scene.attempt_id)


async def release(scene: Scene) -> Any:
    return await make.release(scene.viewer, scene.attempt_id)


def report(disposition: Disposition, attempt: int = -1) -> Event:
    async def complete(scene: Scene) -> Any:
        return await make.complete(scene.viewer, scene.attempt_ids[attempt], disposition)

    return complete


answered, busy, invalid = (
    report(Disposition.ANSWERED),
    report(Disposition.BUSY),
    report(Disposition.INVALID_DESTINATION),
)
do_not_call, do_not_call_before = report(Disposition.DO_NOT_CALL), report(Disposition.DO_NOT_CALL, attempt=0)


async def done(viewer: Viewer) -> Scene:
    scene = await races.claimed(viewer)
    make.one(await answered(scene))
    return scene


async def run_out(viewer: Viewer, *, started: bool = True, **policy: Any) -> Scene:
    scene = await races.claimed(viewer, started=started, tries=2, lease_seconds=5, **policy)
    make.pass_time(5)
    return scene


ONCE, TWICE = (CallCap(number, 86_400, CapSubject.ADDRESS, CapScope.CUSTOMER) for number in (1, 2))
NEVER, NOWHERE = CallingHours("Asia/Tokyo", (), ()), CallingHours(None, (), ())
"""Closed at any time, for the whole outdial and for each destination."""


async def on_two_lists(viewer: Viewer, *, both: bool) -> Scene:
    scene = await races.idle(viewer, caps=(ONCE,), max_try_counts=(9, 0, 0, 0, 0))
    other = await make.make_outdial(viewer, policy={"caps": (ONCE,) if both else ()})
    await make.make_target(viewer, other.id, await _number(scene))
    return Scene(viewer, scene.outdial_id, scene.target_id, [], other.id)


async def suppressed(viewer: Viewer) -> Scene:
    scene = await races.idle(viewer, max_try_counts=(9, 0, 0, 0, 0))
    await suppress_for_a_day(scene)
    return scene


RETRY = {"on_unconfirmed": UnconfirmedAction.RETRY}


async def swept(viewer: Viewer) -> Scene:
    scene = await run_out(viewer, **RETRY)
    await attempts.sweep()
    return scene


RACES: dict[str, tuple[Callable[[Viewer], Awaitable[Scene]], Event, Event]] = {
    "claim, claim": (races.idle, claim, claim),
    "claim, pause": (races.idle, claim, pause),
    "claim, delete outdial": (races.idle, claim, delete_outdial),
    "claim, delete": (races.idle, claim, delete),
    "claim, cancel": (races.idle, claim, cancel),
    "claim, reset": (done, claim, reset),
    "claim, reset by id": (done, claim, reset_by_id),
    "claim, reset all": (done, claim, reset_all),
    "claim, cancel all": (races.idle, claim, cancel_all),
    "claim, cancel waiting": (races.idle, claim, cancel_waiting),
    "claim, limits of all": (races.idle, claim, lower_limits_of_all),
    "claim, policy change": (races.idle, claim, lower_limits),
    "claim, own limits": (races.idle, claim, lower_own_limits),
    "claim, update": (races.idle, claim, rename),
    "claim, update if unchanged": (races.idle, claim, rename_if_unchanged),
    "claim, suppression": (races.idle, claim, suppress),
    "claim, suppression of all": (races.idle, claim, suppress_all),
    "claim, suppression for a day": (races.idle, claim, suppress_for_a_day),
    "claim, end of a suppression": (suppressed, claim, allow),
    "claim, caps": (lambda viewer: races.idle(viewer, tries=1), claim, policy(caps=(ONCE,))),
    "claim, higher caps": (lambda viewer: races.idle(viewer, tries=1, caps=(ONCE,)), claim, policy(caps=(TWICE,))),
    "claim, no caps any more": (lambda viewer: races.idle(viewer, tries=1, caps=(ONCE,)), claim, policy(caps=())),
    "claim, claim on another list with caps": (lambda v: on_two_lists(v, both=True), claim, claim_elsewhere),
    "claim, claim on another list without caps": (lambda v: on_two_lists(v, both=False), claim, claim_elsewhere),
    "claim, closed hours": (races.idle, claim, policy(calling_hours=NEVER)),
    "claim, hours that are closed everywhere": (races.idle, claim, policy(calling_hours=NOWHERE)),
    "claim, no hours any more": (lambda v: races.idle(v, calling_hours=NEVER), claim, policy(calling_hours=None)),
    "claim, no hours by zone any more": (
        lambda viewer: races.idle(viewer, calling_hours=NOWHERE),
        claim,
        policy(calling_hours=None),
    ),
    "claim, do not call": (lambda viewer: races.idle(viewer, tries=1), claim, do_not_call),
    "claim, late result": (swept, claim, answered),
    "claim, sweep": (lambda viewer: run_out(viewer, started=False), claim, sweep),
    "complete, sweep": (lambda viewer: run_out(viewer, **RETRY), busy, sweep),
    "complete and finish, sweep": (run_out, answered, sweep),
    "complete unstarted, sweep": (lambda viewer: run_out(viewer, started=False), answered, sweep),
    "do not call, sweep": (lambda viewer: run_out(viewer, started=False), do_not_call, sweep),
    "do not call before, sweep": (run_out, do_not_call_before, sweep),
    "sweep, sweep": (run_out, sweep, sweep),
    "sweep, cancel": (run_out, sweep, cancel),
    "sweep, delete outdial": (run_out, sweep, delete_outdial),
    "complete, cancel": (races.claimed, busy, cancel),
    "complete, delete": (races.claimed, answered, delete),
    "complete, delete outdial": (races.claimed, answered, delete_outdial),
    "complete, reset": (races.claimed, answered, reset),
    "complete, policy change": (races.claimed, busy, lower_limits),
    "complete, own limits": (races.claimed, busy, lower_own_limits),
    "start, suppression": (races.claimed, start, suppress),
    "extend, suppression": (lambda viewer: races.claimed(viewer, started=True), extend, suppress_all),
    "release, suppression": (races.claimed, release, suppress_all),
    "complete, suppression": (races.claimed, busy, suppress_all),
    "complete a call, suppression": (lambda viewer: races.claimed(viewer, started=True), busy, suppress_all),
    "do not call, suppression": (races.claimed, do_not_call, suppress_all),
    "sweep, suppression": (lambda viewer: run_out(viewer, started=False), sweep, suppress_all),
    "create, suppression": (races.idle, add_a_target, suppress),
    "update, suppression": (races.idle, move_to_the_number, suppress),
    "reset, suppression": (done, reset, suppress_all),
    "complete, caps": (races.claimed, busy, policy(caps=(ONCE,))),
    "complete, update": (races.claimed, invalid, rename),
    "complete, complete": (races.claimed, busy, answered),
    "complete, complete the same": (races.claimed, busy, busy),
    "complete, do not call before": (lambda viewer: races.claimed(viewer, tries=2), answered, do_not_call_before),
    "complete, release": (races.claimed, busy, release),
    "complete, cancel all": (races.claimed, busy, cancel_all),
    "complete and finish, cancel all": (races.claimed, answered, cancel_all),
    "release, cancel all": (races.claimed, release, cancel_all),
    "complete, limits of all": (races.claimed, busy, lower_limits_of_all),
    "sweep, cancel all": (run_out, sweep, cancel_all),
    "cancel, cancel all": (races.claimed, cancel, cancel_all),
    "cancel all, cancel all": (races.claimed, cancel_all, cancel_all),
    "reset all, cancel all": (done, reset_all, cancel_all),
    "delete, cancel all": (races.claimed, delete, cancel_all),
    "release, start": (races.claimed, release, start),
    "release, cancel": (races.claimed, release, cancel),
    "start, cancel": (races.claimed, start, cancel),
    "extend, delete": (races.claimed, extend, delete),
    "cancel, delete": (races.claimed, cancel, delete),
    "cancel, cancel": (races.claimed, cancel, cancel),
    "reset, do not call": (done, reset, do_not_call),
    "reset by id, do not call": (done, reset_by_id, do_not_call),
    "reset, reset": (done, reset, reset),
    "reset, own limits": (done, reset, lower_own_limits),
    "reset, policy change": (done, reset, lower_limits),
    "reset, delete": (done, reset, delete),
    "delete, delete outdial": (races.claimed, delete, delete_outdial),
    "update, update if unchanged": (races.idle, rename, rename_if_unchanged),
}


@pytest.mark.slow
@pytest.mark.parametrize("race", RACES)
async def test_of_two_events_that_meet_one_came_first(race: str, database: str, viewer: Viewer) -> None:
    prepare, one, two = RACES[race]
    await races.run(lambda: prepare(viewer), one, two, rounds=ROUNDS, passes_over=one is claim)
    rows.check(await rows.of(database, viewer.customer_id), resets=True)


@pytest.mark.parametrize("action", ["pause", "delete"])
async def test_once_a_pause_or_delete_has_answered_no_attempt_appears(
    action: str, database: str, viewer: Viewer
) -> None:
    outdial = await make.make_outdial(viewer)
    await make.make_targets(viewer, outdial.id, 1_000)
    stopped = asyncio.Event()
    late: list[str] = []
    refusals: list[UserErrorCode] = []

    async def claimer() -> None:
        while True:
            was_stopped = stopped.is_set()
            try:
                claimed = await attempts.claim(viewer, outdial.id, limit=2)
            except Rejected as refusal:
                refusals.extend(error.code for error in refusal.errors)
                return
            if was_stopped:
                late.extend(attempt.id for attempt in claimed)

    claimers = [asyncio.create_task(claimer()) for _ in range(20)]
    await asyncio.sleep(0.1)
    scene = Scene(viewer, outdial.id, "", [])
    await (pause if action == "pause" else delete_outdial)(scene)
    stopped.set()
    at_once = len((await rows.of(database, viewer.customer_id))["attempt"])
    await asyncio.gather(*claimers)
    tables = await rows.of(database, viewer.customer_id)
    assert (len(tables["attempt"]), late) == (at_once, [])
    assert refusals == [UserErrorCode.PAUSED if action == "pause" else UserErrorCode.NOT_FOUND] * 20
    rows.check(tables)


async def test_one_of_many_creators_gets_the_key(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)

    async def create(action: DuplicateAction) -> Any:
        drafts = [make.target_draft(key=f"key {number}") for number in range(20)]
        random.shuffle(drafts)
        return await targets.create_many(viewer, outdial.id, drafts=drafts, on_duplicate_key=action)

    results = await asyncio.gather(*[create(action) for action in DuplicateAction for _ in range(4)])

    assert sum(result.created for result in results) == 20
    tables = await rows.of(database, viewer.customer_id)
    assert sorted(target["key"] for target in tables["target"]) == sorted(f"key {number}" for number in range(20))
    rows.check(tables)
    rows.check_events(tables)


async def test_hundreds_of_canceled_operations_leave_the_database_usable(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer, policy={"retry_interval_seconds": 0})
    await make.make_targets(viewer, outdial.id, 100)

    async def dial() -> None:
        for attempt in await attempts.claim(viewer, outdial.id, limit=3):
            await make.complete(viewer, attempt.id)

    async def read() -> None:
        request, where = PageRequest(), TargetFilter()
        await targets.pages(viewer, [outdial.id], request=request, where=where, order=TargetOrder.NEWEST_FIRST)
        await targets.counts(viewer, [outdial.id], where=where)

    async def watch() -> None:
        async for _ in events.tail(viewer, outdial.id):
            pass

    operations = [dial, read, watch, lambda: make.make_targets(viewer, outdial.id, 5)]
    for number in range(CANCELED_OPERATIONS):
        task = asyncio.create_task(operations[number % len(operations)]())
        await asyncio.sleep(random.uniform(0, 0.006))
        task.cancel()
        await asyncio.wait([task])

    async with asyncio.timeout(20):
        await asyncio.gather(*[read() for _ in range(20)], *[dial() for _ in range(20)])
        tables = await rows.of(database, viewer.customer_id)
    rows.check(tables)
    rows.check_events(tables)
