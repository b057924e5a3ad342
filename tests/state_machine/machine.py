"""A list and the model of it: what every step needs, and what must hold after each."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from app import attempts, clock, db, dialability, stats
from app.errors import Rejected, UserErrorCode
from app.figures import Bucket, Grouping
from app.lifecycle import AttemptState, TargetStatus, UnconfirmedAction
from app.records import AttemptBatch, CapSubject
from app.stats import cells
from tests.stats import slow
from tests.support import factories as make
from tests.support import rows
from tests.support.breaking import ModelBreaker
from tests.support.folding import FoldingClient, progress_of, targets_of
from tests.support.model import ENDED, LIVE, ModelAttempt, ModelTarget, Policy, is_listed
from tests.support.permitting import LATE, ZONES, Permits, Try

LEASE_SECONDS = 100
WIDER, LOOKS_MAX = 10, 3
"""If a claim with caps finds capped targets alone, it looks at so many times as many, and looks so often."""

Claim = list[tuple[str, int]]
"""The targets that are claimed, with the destinations, in their order."""


class Machine(RuleBasedStateMachine):
    """One outdial of a customer of its own; all time passes by clock.shift."""

    runner: asyncio.Runner
    url: str
    outdial_id: str
    elsewhere_id: str

    def __init__(self) -> None:
        super().__init__()
        self.viewer = make.make_viewer()
        self.targets: list[ModelTarget] = []
        self.attempts: list[ModelAttempt] = []
        self.policy = Policy((2,) * 5, 0, LEASE_SECONDS, UnconfirmedAction.FINISH)
        self.listed: dict[str, datetime | None] = {}
        self.elsewhere: list[Try] = []
        self.asleep: dict[str, datetime] = {}
        self.free_since: dict[str, datetime] = {}
        self.wished: set[str] = set()
        """Those of them whose owners asked for it: no change of the customer's makes these shorter."""
        self.paused = False
        self.deleted = False
        self.client: FoldingClient | None = None
        self.breaker = ModelBreaker()

    # ------------------------------------------------------------ what must hold

    def catch_up(self, data: st.DataObject) -> None:
        if self.deleted or self.client is None:
            return
        self.run(self.client.catch_up())
        if data.draw(st.booleans(), label="another client takes over"):
            self.client = self.run(FoldingClient.join(self.viewer, self.outdial_id, self.client.cursor))

    @invariant()
    def everybody_is_where_the_model_says(self) -> None:
        if self.deleted or not self.targets:
            return
        present = {target.id: target for target in self.targets if not target.deleted}
        found = {target.id: target for target in self.run(targets_of(self.viewer, self.outdial_id))}
        assert found.keys() == present.keys()
        for target_id, model in present.items():
            target = found[target_id]
            assert (target.status, target.done_reason, target.next_try_at) == (model.status, model.reason, model.due)
            assert list(target.try_counts) == model.counts
            assert target.invalid_destinations == model.invalid
        standing = Counter(target.reason or target.status for target in present.values())
        progress = self.run(progress_of(self.viewer, self.outdial_id))
        counted = {TargetStatus.IDLE: progress.idle, TargetStatus.PROGRESSING: progress.progressing}
        assert Counter({**counted, **progress.done_by_reason}) == standing
        assert progress.total == len(present)
        assert progress.attempts == sum(attempt.state is not AttemptState.RELEASED for attempt in self.attempts)

    @invariant()
    def nobody_sleeps_longer_than_a_minute_too_long(self) -> None:
        """A target may sleep while suppressions and caps hold it. It is a hint, which nobody else sees."""
        found = self.run(
            db.fetch(
                "SELECT id, wakes_at FROM target WHERE customer_id = $1 AND wakes_at IS NOT NULL",
                self.viewer.customer_id,
            )
        )
        self.asleep = {row["id"]: row["wakes_at"] for row in found}
        now, permits = self.now(), self.permits()
        for target in self.idle():
            if permits.is_held(target, now):
                self.free_since.pop(target.id, None)
                continue
            since = self.free_since.setdefault(target.id, now)
            if target.id in self.asleep:
                assert self.asleep[target.id] <= since + LATE

    def teardown(self) -> None:
        if self.client is None:
            return
        if not self.deleted:
            self.run(self.client.catch_up())
        rows.check(self.run(rows.of(self.url, self.viewer.customer_id)), resets=True)
        self.run(self.figures_are_those_of_the_ledger())
        told = self.run(
            db.fetch(
                "SELECT type FROM outdial_event WHERE customer_id = $1 AND type IN ('BREAKER_OPENED', 'BREAKER_CLOSED')"
                " ORDER BY epoch, tx, seq",
                self.viewer.customer_id,
            )
        )
        turns = ["BREAKER_OPENED", "BREAKER_CLOSED"] * self.breaker.changes
        assert [row["type"] for row in told] == turns[: self.breaker.changes]
        ledger = self.run(attempts.get_many(self.viewer, [attempt.id for attempt in self.attempts]))
        for attempt in self.attempts:
            made = ledger[attempt.id]
            assert (made.state, made.disposition) == (attempt.state, attempt.disposition)

    async def figures_are_those_of_the_ledger(self) -> None:
        await stats.roll_up()
        hour = cells.floor(clock.now(), cells.HOUR)
        outdial_ids = [self.outdial_id, self.elsewhere_id]
        ledger = await slow.ledger(self.viewer, outdial_ids, hour + timedelta(days=1))
        for bucket, grouping in ((Bucket.HOUR, None), (Bucket.DAY, Grouping.DESTINATION), (None, Grouping.HOUR_OF_DAY)):
            begin = hour - timedelta(days=40)
            wanted = stats.Request(begin, hour + timedelta(hours=1), bucket, "Australia/Lord_Howe", grouping)
            of_all = await stats.of_customer(self.viewer, wanted)
            assert slow.found(of_all, wanted) == slow.expected(ledger, wanted)
            own = [attempt for attempt in ledger if attempt.outdial_id == self.outdial_id]
            of_one = (await stats.of_outdials(self.viewer, [self.outdial_id], request=wanted))[self.outdial_id]
            assert slow.found(of_one, wanted) == slow.expected(own, wanted)

    # ------------------------------------------------------------ who may be called

    def permits(self) -> Permits:
        own = [
            Try(attempt.target.id, attempt.address, attempt.claimed)
            for attempt in self.attempts
            if attempt.state is not AttemptState.RELEASED
        ]
        claims = [(attempt.claimed, None if attempt.state in LIVE else attempt.claimed) for attempt in self.attempts]
        return Permits(self.policy, self.listed, [*own, *self.elsewhere], claims)

    def idle(self) -> list[ModelTarget]:
        return [target for target in self.targets if target.status is TargetStatus.IDLE and not target.deleted]

    def expected(self, limit: int, now: datetime) -> Claim:
        """What a claim takes at an instant: of all that may be called the first, in the order of the contract.

        With caps it looks at as many as it may take, and at more only if it can take none of these.
        """
        permits = self.permits()
        allowed = min(permits.allowed(now, limit), self.breaker.allowed(now, limit))
        if permits.is_list_held(now) or not allowed:
            return []
        due = {target.id: self.asleep.get(target.id, target.due) for target in self.idle()}
        waiting = [target for target in self.idle() if target.due is not None and due[target.id] <= now]
        waiting = [target for target in waiting if permits.next_index(target, now, with_caps=False) is not None]
        waiting.sort(key=lambda target: (-target.priority, due[target.id], target.id))
        if not self.policy.caps:
            return [(target.id, self.index_of(permits, target, now)) for target in waiting[:allowed]]
        looks = limit
        for _ in range(LOOKS_MAX):
            looked, waiting = waiting[:looks], waiting[looks:]
            free = [target for target in looked if permits.next_index(target, now) is not None]
            if free or not looked:
                return self.once_for_each_address(permits, free, now)[:allowed]
            looks *= WIDER
        return []

    def index_of(self, permits: Permits, target: ModelTarget, now: datetime) -> int:
        index = permits.next_index(target, now)
        assert index is not None
        return index

    def once_for_each_address(self, permits: Permits, free: list[ModelTarget], now: datetime) -> Claim:
        by_address = any(cap.per is CapSubject.ADDRESS for cap in self.policy.caps)
        chosen: Claim = []
        seen: set[str | None] = set()
        for target in free:
            index = self.index_of(permits, target, now)
            if not by_address or target.addresses[index] not in seen:
                chosen.append((target.id, index))
            seen.add(target.addresses[index])
        return chosen

    def says_why_not(self) -> None:
        """Nothing blocks a target, and its outdial, exactly if it may be claimed; and the counts say the same."""
        ids, permits = [target.id for target in self.targets], self.permits()
        begun = self.now()
        of_targets = self.run(dialability.blocks_of_targets(self.viewer, ids))
        of_list = self.run(dialability.blocks_of_outdials(self.viewer, [self.outdial_id]))[self.outdial_id]
        counted = self.run(dialability.dialabilities(self.viewer, [self.outdial_id]))[self.outdial_id]
        free = {target_id for target_id in ids if not of_targets[target_id].blocks}
        models = [
            (
                {target.id for target in self.idle() if permits.may_be_claimed(target, at) and not self.deleted},
                self.deleted or self.paused or permits.is_list_held(at) or not self.breaker.allowed(at, 1),
            )
            for at in (begun, self.now())
        ]
        assert (free, bool(of_list)) in models
        assert counted.claimable in {
            0 if self.deleted or self.is_closed(permits, at) else len(model)
            for at, (model, _) in zip((begun, self.now()), models, strict=True)
        }

    def is_closed(self, permits: Permits, at: datetime) -> bool:
        """For a time that is foreseen."""
        is_broken = self.breaker.paused_until is not None and not self.breaker.is_over(at)
        return permits.is_list_closed(at) or not permits.is_running(at) or is_broken

    # ------------------------------------------------------------ what follows from a step

    def revoke_claimed(self, address: str) -> None:
        for attempt in self.attempts:
            if attempt.state is AttemptState.CLAIMED and attempt.address == address:
                attempt.state = AttemptState.REVOKED
                attempt.target.idle_or_exhausted(self.policy, self.due(attempt.target))

    def finish_suppressed(self) -> None:
        self.run(make.finish_suppressed())
        if not self.deleted:
            for target in self.targets:
                self.finish_if_over(target)

    def finish_if_over(self, target: ModelTarget) -> None:
        reason = target.reason_to_finish(self.policy)
        if target.status is TargetStatus.IDLE and reason is not None and not target.deleted:
            target.finish(reason)

    # ------------------------------------------------------------ helpers

    def known_address(self, data: st.DataObject) -> str:
        known = [address for target in self.targets for address in target.addresses if address is not None]
        return data.draw(st.sampled_from(known[-20:] or [make.phone_number()]), label="address")

    def address(self, data: st.DataObject) -> str:
        """A new one, or one that others have, or that is suppressed."""
        kind = data.draw(st.sampled_from(("new", "new", "known", "listed")), label="address")
        if kind == "listed" and self.listed:
            return data.draw(st.sampled_from(sorted(self.listed)), label="listed")
        if kind == "known":
            return self.known_address(data)
        head = data.draw(st.sampled_from(("", *ZONES)), label="zone")
        return head + make.phone_number()[-4:] if head else make.phone_number()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def pick(self, data: st.DataObject) -> ModelTarget:
        return data.draw(st.sampled_from(self.targets), label="target")

    def pick_attempt(self, data: st.DataObject) -> ModelAttempt:
        # What is under way comes first, then the newest: that is what most can happen to.
        newest_first = self.attempts[::-1]
        ordered = sorted(newest_first, key=lambda attempt: attempt.state not in LIVE)
        return data.draw(st.sampled_from(ordered[:8]), label="attempt")

    def is_gone(self, target: ModelTarget) -> bool:
        return target.deleted or self.deleted

    def now(self) -> datetime:
        now: datetime = self.run(db.now())
        return now

    def due(self, target: ModelTarget) -> datetime:
        """When an idle target is due that was due at once: nobody but the database knows the microsecond."""
        due = self.run(make.read(self.viewer, target.id)).next_try_at or self.now()
        assert abs(due - self.now()) < timedelta(seconds=5)
        return due

    def refused(self, work: Any, code: UserErrorCode) -> None:
        with pytest.raises(Rejected) as refusal:
            self.run(work)
        assert {error.code for error in refusal.value.errors} == {code}

    def was_refused(self, batch: AttemptBatch, attempt: ModelAttempt, *, is_call: bool = False) -> None:
        if is_call and attempt.state is AttemptState.REVOKED and is_listed(self.listed, attempt.address, self.now()):
            assert make.code(batch) == UserErrorCode.SUPPRESSED
            return
        wanted = UserErrorCode.ALREADY_ENDED if attempt.state in ENDED else UserErrorCode.LEASE_LOST
        assert make.code(batch) == wanted
