"""Anything may happen to targets in any order: counts add up, and whoever follows the events knows the truth."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from app import attempts, clock, codes, db, foreseeing, outdials, stats, suppressions, targets
from app.errors import UserErrorCode
from app.hours import UnknownTimeZoneAction
from app.lifecycle import AttemptState, Disposition, DoneReason, OutdialState, TargetStatus, UnconfirmedAction
from app.outdials import judging
from app.pacing import Breaker, BreakerState, Pacing
from app.records import CallCap, CapScope, CapSubject, DestinationDraft, PolicyDraft, ResultCodeDraft, SuppressionDraft
from app.retrying import JUDGED_STATES, RetryAction, RetryRule
from app.store import due, lulling
from tests.conftest import Databases, Kind
from tests.state_machine.machine import LEASE_SECONDS, Machine
from tests.support import factories as make
from tests.support.breaking import FAILING
from tests.support.folding import FoldingClient
from tests.support.model import LIVE, ModelAttempt, ModelTarget, Policy
from tests.support.permitting import DEFAULT_ZONE, LATE, ZONES, Try, daily


def _without_wait(rule: RetryRule) -> RetryRule:
    """A rule that finishes has none."""
    return replace(rule, wait_seconds=None) if rule.action is RetryAction.FINISH else rule


EXAMPLES = 50
STEPS = 40
SHRINKING_SECONDS_MAX = 40
CODE = "CARRIER"
INTERVALS = st.sampled_from((0, 1_000))
ACTIONS = st.sampled_from(UnconfirmedAction)
"""Callbacks have tests of their own."""
LIMITS = st.lists(st.integers(0, 2), min_size=5, max_size=5).map(tuple)
CAPS = st.lists(
    st.builds(
        CallCap,
        tries=st.integers(1, 3),
        window_seconds=st.sampled_from((50, 1_000, 20_000)),
        per=st.sampled_from(CapSubject),
        over=st.sampled_from(CapScope),
    ),
    max_size=2,
).map(tuple)
RULES = st.lists(
    st.builds(
        RetryRule,
        states=st.lists(st.sampled_from(sorted(JUDGED_STATES)), max_size=1).map(tuple),
        dispositions=st.lists(st.sampled_from((Disposition.BUSY, Disposition.FAILED)), max_size=1).map(tuple),
        codes=st.lists(st.just(CODE), max_size=1).map(tuple),
        destinations=st.lists(st.integers(0, 2), max_size=2, unique=True).map(tuple),
        from_nth=st.integers(1, 3),
        action=st.sampled_from(RetryAction),
        wait_seconds=st.sampled_from((None, 0, 60)),
        jitter_percent=st.just(0),
    ),
    max_size=3,
).map(lambda rules: tuple(_without_wait(rule) for rule in rules))
HOURS = st.sampled_from(
    [None, *(daily(zone, *times) for zone in (None, None, "Asia/Tokyo") for times in ((8, 20), (20, 8), (6, 23)))]
)
PACES = st.builds(
    Pacing,
    max_open_attempts=st.none() | st.integers(1, 3),
    claims_per_second=st.none() | st.sampled_from((0.001, 0.01, 0.013, 2.5)),
)
BREAKERS = st.builds(
    Breaker,
    failure_percent=st.sampled_from((1, 50)),
    window_seconds=st.sampled_from((40, 3_600)),
    min_calls=st.integers(1, 2),
    pause_seconds=st.sampled_from((30, 700)),
)
FROM_NOW = st.none() | st.sampled_from((-1_000, 400, 5_000))
"""Seconds until a list starts, and from then until it ends."""
RESULTS = [disposition for disposition in Disposition if disposition is not Disposition.CALLBACK]
"""Without a callback."""
TIME_ZONES = st.none() | st.sampled_from(sorted(ZONES.values()))
PLACES = st.lists(st.booleans(), min_size=5, max_size=5).filter(any)


class Dialing(Machine):
    """What an owner, a dialer, the do-not-call list and time do to a list, and the same steps of the model."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        clock.shift = timedelta(0)
        self.policy = self.draw_policy(data, (2,) * 5)
        draft = self.drafted(self.policy)
        self.outdial_id = self.run(make.make_outdial(self.viewer, policy=draft, time_zone=DEFAULT_ZONE)).id
        self.breaker.set_policy(self.policy.pace.breaker, self.now())
        self.elsewhere_id = self.run(make.make_outdial(self.viewer)).id
        self.client = self.run(FoldingClient.join(self.viewer, self.outdial_id))
        self.run(codes.set_all(self.viewer, drafts=[ResultCodeDraft(CODE, "Carrier", Disposition.FAILED)]))
        self.create(data)

    def draw_policy(self, data: st.DataObject, limits: tuple[int, ...]) -> Policy:
        policy = Policy(limits, data.draw(INTERVALS), LEASE_SECONDS, data.draw(ACTIONS))
        if data.draw(st.booleans(), label="caps"):
            policy.caps = data.draw(CAPS)
        if data.draw(st.booleans(), label="rules"):
            policy.rules = data.draw(RULES)
        if data.draw(st.booleans(), label="hours"):
            policy.hours = data.draw(HOURS)
            policy.keeps_order, policy.uses_outdial = data.draw(st.booleans()), data.draw(st.booleans())
        if data.draw(st.booleans(), label="pace"):
            policy.pace = data.draw(PACES)
        if data.draw(st.sampled_from((False, False, True)), label="breaker"):
            policy.pace = replace(policy.pace, breaker=data.draw(BREAKERS))
        if data.draw(st.sampled_from((False, False, True)), label="schedule"):
            starts, lasts = data.draw(FROM_NOW), data.draw(st.none() | st.sampled_from((1_500, 50_000)))
            policy.starts = None if starts is None else self.now() + timedelta(seconds=starts)
            policy.ends = None if lasts is None else self.now() + timedelta(seconds=(starts or 0) + lasts)
        return policy

    def drafted(self, policy: Policy) -> dict[str, Any]:
        action = UnknownTimeZoneAction.USE_OUTDIAL if policy.uses_outdial else UnknownTimeZoneAction.SKIP
        return {
            "max_try_counts": policy.limits,
            "retry_interval_seconds": policy.interval,
            "lease_seconds": policy.lease,
            "on_unconfirmed": policy.action,
            "caps": policy.caps,
            "calling_hours": policy.hours,
            "keep_order": policy.keeps_order,
            "retry_rules": policy.rules,
            "on_unknown_time_zone": action,
            "pacing": policy.pace,
            "starts_at": policy.starts,
            "ends_at": policy.ends,
        }

    # One rule, because Hypothesis leaves some rules out of each run, and without claims little happens here.
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        actions: list[Callable[[st.DataObject], None]] = [self.claim] * 4
        actions += (
            [self.complete, self.complete, self.start, self.start, self.release, self.extend] if self.attempts else []
        )
        actions += [self.pass_time] * 3 + [self.sweep, self.update, self.cancel, self.reset, self.create, self.count]
        actions += [self.change_policy, self.pause, self.delete, self.catch_up]
        actions += [self.suppress, self.suppress, self.unlist, self.call_elsewhere, self.look_ahead]
        actions += [self.judge, self.judge, self.judge, self.close_breaker] if self.policy.pace.breaker else []
        actions += [self.delete_outdial] if len(self.attempts) > 9 else []
        data.draw(st.sampled_from(actions), label="action")(data)

    # ------------------------------------------------------------ the owner

    def create(self, data: st.DataObject) -> None:
        limits = data.draw(st.none() | LIMITS, label="own limits")
        priority = data.draw(st.integers(0, 2), label="priority")
        zone = data.draw(TIME_ZONES, label="time zone")
        drafts = [
            make.target_draft(
                *[self.address(data) if wanted else None for wanted in data.draw(PLACES, label="places")],
                max_try_counts=limits,
                priority=priority,
                time_zone=zone,
            )
            for _ in range(data.draw(st.integers(1, 3), label="how many"))
        ]
        work = make.create_many(self.viewer, self.outdial_id, drafts)
        if self.deleted:
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        for made in self.run(work):
            kept = [place.target if place else None for place in made.destinations]
            target = ModelTarget(made.id, kept, priority, made.next_try_at, limits, listed=self.listed, zone=zone)
            target.idle_or_exhausted(self.policy, made.tm_create)
            self.targets.append(target)

    def update(self, data: st.DataObject) -> None:
        target = self.pick(data)
        index = data.draw(st.integers(0, 4), label="place")
        limits = data.draw(st.none() | LIMITS, label="own limits")
        address = self.address(data) if data.draw(st.booleans(), label="set") else None
        changes: dict[str, Any] = {
            f"destination_{index}": DestinationDraft(address) if address else None,
            "max_try_counts": limits,
            "time_zone": data.draw(TIME_ZONES, label="time zone"),
        }
        kept = [*target.addresses[:index], address, *target.addresses[index + 1 :]]
        work = targets.update(self.viewer, target.id, changes=changes)
        if self.is_gone(target):
            self.refused(work, UserErrorCode.NOT_FOUND)
        elif not any(kept):
            self.refused(work, UserErrorCode.INVALID)
        else:
            self.run(work)
            if target.addresses[index] != address:
                target.invalid.discard(index)
            target.addresses, target.limits, target.zone = kept, limits, changes["time_zone"]
            self.finish_if_over(target)

    def cancel(self, data: st.DataObject) -> None:
        target = self.pick(data)
        work = targets.cancel(self.viewer, target.id)
        if self.is_gone(target):
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        self.run(work)
        if target.status is not TargetStatus.DONE:
            target.revoke()
            target.newest = None
            target.finish(DoneReason.CANCELED)

    def delete(self, data: st.DataObject) -> None:
        target = self.pick(data)
        work = targets.delete(self.viewer, target.id)
        if self.is_gone(target):
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        self.run(work)
        target.revoke()
        target.deleted = True

    def reset(self, data: st.DataObject) -> None:
        if data.draw(st.booleans(), label="by id"):
            chosen = [self.pick(data)]
            reasons = set(DoneReason) - {DoneReason.DO_NOT_CALL}
            work = targets.reset(self.viewer, self.outdial_id, target_ids=[chosen[0].id])
        else:
            chosen = self.targets
            reasons = data.draw(st.sets(st.sampled_from(DoneReason), min_size=1), label="reasons")
            work = targets.reset(self.viewer, self.outdial_id, done_reasons=sorted(reasons))
        if self.deleted:
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        now = self.now()
        matched = [
            target
            for target in chosen
            if not target.deleted
            and target.reason in reasons
            and target.next_open(self.policy, now, [0] * 5) is not None
        ]
        done = self.run(work)
        assert (done.count, done.remaining) == (len(matched), 0)
        for target in matched:
            target.counts, target.newest, target.first, target.endings = [0] * 5, None, 0, []
            target.status, target.reason, target.due = TargetStatus.IDLE, None, self.due(target)

    def pause(self, data: st.DataObject) -> None:
        paused = data.draw(st.sampled_from((False, False, True)), label="paused")
        state = OutdialState.PAUSED if paused else OutdialState.ACTIVE
        work = outdials.update(self.viewer, self.outdial_id, changes={"state": state})
        if self.deleted:
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        self.run(work)
        self.paused = paused

    def change_policy(self, data: st.DataObject) -> None:
        policy = self.draw_policy(data, data.draw(LIMITS))
        draft = PolicyDraft(**self.drafted(policy))
        work = outdials.update(self.viewer, self.outdial_id, changes={"dial_policy": draft})
        if self.deleted:
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        self.run(work)
        self.run(make.finish_exhausted())
        self.run(make.sort_by_zone())
        self.policy = policy
        self.breaker.set_policy(policy.pace.breaker, self.now())
        for target in self.targets:
            self.finish_if_over(target)

    def delete_outdial(self, data: st.DataObject) -> None:
        work = outdials.delete(self.viewer, self.outdial_id)
        if self.deleted:
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        self.catch_up(data)
        self.run(work)
        self.deleted = True
        for target in self.targets:
            target.revoke()

    # ------------------------------------------------------------ the dialer

    def claim(self, data: st.DataObject) -> None:
        limit = data.draw(st.integers(1, 3), label="limit")
        self.says_why_not()
        work = attempts.claim(self.viewer, self.outdial_id, limit=limit)
        if self.deleted or self.paused:
            self.refused(work, UserErrorCode.NOT_FOUND if self.deleted else UserErrorCode.PAUSED)
            return
        # at its beginning or at its end: an hour may begin meanwhile
        first = self.expected(limit, self.now())
        claimed = self.run(work)
        assert [(made.target_id, made.destination_index) for made in claimed] in (
            first,
            self.expected(limit, self.now()),
        )
        by_id = {target.id: target for target in self.targets}
        for made in claimed:
            target, index = by_id[made.target_id], made.destination_index
            target.counts[index] += 1
            target.status, target.due = TargetStatus.PROGRESSING, None
            address = target.addresses[index]
            assert made.destination.target == address
            assert made.try_number == target.counts[index]
            assert address is not None
            target.newest = ModelAttempt(
                made.id, target, index, address, LEASE_SECONDS, made.expires_at, made.claimed_at
            )
            self.attempts.append(target.newest)
            target.endings.append(target.newest)
        if self.breaker.state is BreakerState.OPEN and claimed:
            self.breaker.begin(self.attempts[-1])

    def call_elsewhere(self, data: st.DataObject) -> None:
        """Somebody who is on this list is called on another, which holds nobody."""
        address = self.known_address(data)
        target = self.run(make.make_target(self.viewer, self.elsewhere_id, address))
        for made in self.run(attempts.claim(self.viewer, self.elsewhere_id, limit=50)):
            make.one(self.run(make.complete(self.viewer, made.id, Disposition.ANSWERED)))
            self.elsewhere.append(Try(made.target_id, made.destination.target, made.claimed_at, is_elsewhere=True))
        self.run(targets.cancel(self.viewer, target.id))

    def look_ahead(self, _data: st.DataObject) -> None:
        """When the next claim can find something: a minute more or less, as long as a target may sleep."""
        found = self.run(foreseeing.next_claims(self.viewer, [self.outdial_id])).get(self.outdial_id)
        if self.deleted or self.paused:
            assert found is None
            return
        now = self.now()
        wanted = self.permits().first_claim(self.idle(), now, self.breaker.paused_until)
        assert (found is None) == (wanted is None)
        if found is not None and wanted is not None:
            assert abs(max(found, now) - wanted) <= LATE

    def start(self, data: st.DataObject) -> None:
        attempt = self.pick_attempt(data)
        holds = attempt.holds(self.now())
        batch = self.run(make.start(self.viewer, attempt.id))
        if not holds:
            self.was_refused(batch, attempt, is_call=True)
            return
        attempt.state, attempt.expires = AttemptState.DIALING, make.one(batch).expires_at

    def extend(self, data: st.DataObject) -> None:
        attempt = self.pick_attempt(data)
        holds = attempt.holds(self.now())
        batch = self.run(make.extend(self.viewer, attempt.id))
        if not holds:
            self.was_refused(batch, attempt, is_call=True)
            return
        assert make.one(batch).state is attempt.state
        attempt.expires = make.one(batch).expires_at

    def release(self, data: st.DataObject) -> None:
        attempt = self.pick_attempt(data)
        holds = attempt.holds(self.now())
        batch = self.run(make.release(self.viewer, attempt.id))
        if attempt.state is AttemptState.RELEASED:
            make.one(batch)
        elif holds and attempt.state is AttemptState.DIALING:
            assert make.code(batch) == UserErrorCode.ALREADY_DIALED
        elif holds:
            attempt.state = make.one(batch).state
            attempt.target.counts[attempt.index] -= 1
            attempt.target.idle_or_exhausted(self.policy, self.due(attempt.target))
        else:
            self.was_refused(batch, attempt)

    def complete(self, data: st.DataObject) -> None:
        attempt = self.pick_attempt(data)
        results = RESULTS if self.policy.pace.breaker is None else [*RESULTS, *[Disposition.FAILED] * len(RESULTS)]
        disposition = data.draw(st.sampled_from(results), label="disposition")
        after = data.draw(st.none() | INTERVALS, label="retry after")
        code = CODE if disposition is Disposition.FAILED and data.draw(st.booleans(), label="code") else None
        target = attempt.target
        counts = attempt.holds(self.now()) or (
            attempt.state in {AttemptState.UNCONFIRMED, AttemptState.DIALING} and target.newest is attempt
        )
        gone = self.is_gone(target)
        wishes = disposition is Disposition.DO_NOT_CALL and attempt.disposition is not disposition
        again = disposition is Disposition.DO_NOT_CALL and target.reason is DoneReason.DO_NOT_CALL
        batch = self.run(make.complete(self.viewer, attempt.id, disposition, retry_after_seconds=after, code=code))
        if wishes:
            self.listed[attempt.address] = None
            self.wished.add(attempt.address)
        if again and not gone:
            make.one(batch)
        elif not gone and disposition is Disposition.DO_NOT_CALL and not counts:
            made = make.one(batch)
            if target.status is TargetStatus.PROGRESSING:
                self.breaker.ended(self.now(), has_failed=False)
            attempt.state, attempt.disposition = made.state, made.disposition
            if target.newest is not attempt:
                target.revoke()
            target.newest = None
            target.finish(DoneReason.DO_NOT_CALL)
        elif attempt.disposition is disposition:
            make.one(batch)
        elif counts and not gone:
            attempt.code = code
            if target.status is TargetStatus.PROGRESSING:
                self.breaker.ended(self.now(), has_failed=disposition in FAILING)
            target.complete(attempt, disposition, self.policy, make.one(batch).ended_at, after)
        else:
            self.was_refused(batch, attempt)
        if wishes:
            self.revoke_claimed(attempt.address)
            self.finish_suppressed()

    # ------------------------------------------------------------ the do-not-call list

    def suppress(self, data: st.DataObject) -> None:
        address = self.known_address(data)
        lasts = data.draw(st.none() | st.sampled_from((LEASE_SECONDS, 1_500)), label="lasts")
        until = None if lasts is None else self.now() + timedelta(seconds=lasts)
        self.run(make.suppress(self.viewer, address, expires_at=until))
        if address not in self.wished:
            self.listed[address] = until
        self.revoke_claimed(address)
        self.finish_suppressed()

    def unlist(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.listed) or [make.phone_number()]), label="address")
        batch = self.run(suppressions.remove(self.viewer, drafts=[SuppressionDraft(address)]))
        assert len(batch.suppressions) == (address in self.listed)
        self.listed.pop(address, None)
        self.wished.discard(address)

    # ------------------------------------------------------------ time

    def pass_time(self, data: st.DataObject) -> None:
        seconds = (LEASE_SECONDS // 2, LEASE_SECONDS, 1_000, 1_000, 20_000)
        make.pass_time(data.draw(st.sampled_from(seconds), label="seconds"))
        earlier, permits = self.now() - LATE, self.permits()
        for target in self.idle():
            if not permits.is_held(target, earlier):
                self.free_since.setdefault(target.id, earlier)
        # nobody tells a claim that a suppression has expired: for some seconds it may begin behind its target
        due.marks.forget({db.EVERY_TOPIC})
        if data.draw(st.booleans(), label="sweep"):
            self.sweep(data)

    def count(self, _data: st.DataObject) -> None:
        """Figures are kept in steps, at any moment; at the end they are compared with the ledger."""
        self.run(stats.roll_up())

    def sweep(self, _data: st.DataObject) -> None:
        now = self.now()
        self.run(make.sweep())
        for attempt in self.attempts:
            if attempt.state in LIVE and attempt.expires <= now:
                if attempt.state is AttemptState.DIALING:
                    self.breaker.ended(now, has_failed=True)
                attempt.target.lapse(attempt, self.policy)

    # ------------------------------------------------------------ the breaker

    def judge(self, _data: st.DataObject) -> None:
        make.pass_time(judging.REST_SECONDS)
        self.run(outdials.judge_breakers())
        if not self.deleted:
            found = self.run(outdials.breaker_statuses(self.viewer, [self.outdial_id]))
            self.breaker.judge(found[self.outdial_id], self.now())

    def close_breaker(self, _data: st.DataObject) -> None:
        work = outdials.close_breaker(self.viewer, self.outdial_id)
        if self.deleted:
            self.refused(work, UserErrorCode.NOT_FOUND)
            return
        self.run(work)
        self.breaker.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_counts_add_up_and_folding_every_event_gives_what_a_fresh_read_gives(
    kind: Kind, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is held up is put to sleep before each claim.
    monkeypatch.setattr(lulling, "FEW", 0)
    monkeypatch.setattr(lulling, "REST_SECONDS", 0.0)
    # A failure is to be told before the test's own timeout; Hypothesis would look for a shorter one for 300 seconds.
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", SHRINKING_SECONDS_MAX)
    run(Dialing, kind, databases)


def run(machine: type[Machine], kind: Kind, databases: Databases) -> None:
    """All examples of a machine, on one database."""
    with asyncio.Runner() as runner:
        database = databases.fresh(kind)
        url = runner.run(database.__aenter__())
        runner.run(db.connect(url))
        try:
            machine.runner, machine.url = runner, url
            run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))
        finally:
            runner.run(db.close())
            runner.run(database.__aexit__(None, None, None))
