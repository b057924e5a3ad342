"""Callbacks in any order with all else that happens to their targets: kept for their dialer, before all others."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app import attempts, db, reserving, targets
from app.errors import Rejected, UserErrorCode
from app.lifecycle import Disposition, DoneReason, TargetStatus
from app.records import CallbackDraft
from tests.conftest import Databases, Kind
from tests.support import factories as make
from tests.support.folding import FoldingClient, targets_of

EXAMPLES, STEPS = 80, 25
RETRY_SECONDS, LEASE_SECONDS, WINDOW_SECONDS, LIMIT = 100, 60, 300, 1
CLOSE = timedelta(seconds=20)
"""Instants that only the database knows are at most so far from the model's."""
PLACES = (0, 1)
DIALERS = st.sampled_from((None, "ann", "bob"))
WISHES = st.fixed_dictionaries(
    {"ahead": st.sampled_from((-50, 45, 445)), "index": st.none() | st.sampled_from(PLACES), "dialer": DIALERS}
)


@dataclass
class Wish:
    at: datetime
    index: int | None
    dialer: str | None
    offered: list[int] = field(default_factory=list)
    waits: bool = False
    """Whether the attempt in progress does not use it up."""
    opened: datetime | None = None
    is_for_all: bool = False


@dataclass
class Person:
    id: str
    addresses: list[str]
    status: TargetStatus = TargetStatus.IDLE
    reason: DoneReason | None = None
    due: datetime | None = None
    counts: list[int] = field(default_factory=lambda: [0, 0])
    invalid: set[int] = field(default_factory=set)
    listed: set[int] = field(default_factory=set)
    wish: Wish | None = None
    before: tuple[TargetStatus, DoneReason | None, datetime | None] | None = None
    """How it would stand without the callback."""

    def usable(self) -> list[int]:
        return [index for index in PLACES if index not in self.invalid and self.counts[index] < LIMIT]

    def stand(self, status: TargetStatus, reason: DoneReason | None = None, due: datetime | None = None) -> None:
        self.status, self.reason, self.due = status, reason, due

    def without_wish(self, due: datetime) -> tuple[TargetStatus, DoneReason | None, datetime | None]:
        left = self.usable()
        if not left:
            return TargetStatus.DONE, DoneReason.EXHAUSTED, None
        if all(index in self.listed for index in left):
            return TargetStatus.DONE, DoneReason.DO_NOT_CALL, None
        return TargetStatus.IDLE, None, due

    def offers(self, wanted: int | None) -> list[int]:
        there = [index for index in PLACES if index not in self.invalid and index not in self.listed]
        chosen = [index for index in there if index == wanted]
        return chosen or [index for index in there if index in self.usable()] or there

    def keep(self) -> None:
        """It has a callback and nobody has it."""
        assert self.wish is not None
        there = [index for index in PLACES if index not in self.invalid]
        if there and all(index in self.listed for index in there):
            self.wish = None
            self.stand(TargetStatus.DONE, DoneReason.DO_NOT_CALL)
            return
        self.wish.offered = self.offers(self.wish.index)
        self.stand(TargetStatus.IDLE, None, self.wish.at)

    def next_index(self) -> int | None:
        among = self.usable() if self.wish is None else self.wish.offered
        return next((index for index in among if index not in self.listed and index not in self.invalid), None)


class CallingBack(RuleBasedStateMachine):
    runner: asyncio.Runner

    @initialize()
    def begin(self) -> None:
        self.viewer = make.make_viewer()
        policy = {
            "retry_interval_seconds": RETRY_SECONDS,
            "lease_seconds": LEASE_SECONDS,
            "max_try_counts": (LIMIT,) * 5,
        }
        self.outdial_id = self.run(make.make_outdial(self.viewer, policy=policy)).id
        self.people: list[Person] = []
        for priority in (0, 5, 9):
            numbers = [make.phone_number() for _ in PLACES]
            made = self.run(make.make_target(self.viewer, self.outdial_id, *numbers, priority=priority))
            self.people.append(Person(made.id, numbers, due=made.next_try_at))
        self.live: dict[str, tuple[str, int, bool]] = {}
        """By target: its attempt in progress, the destination, and whether it is dialed."""
        self.client = self.run(FoldingClient.join(self.viewer, self.outdial_id))

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def now(self) -> datetime:
        now: datetime = self.run(db.now())
        return now

    # ------------------------------------------------------------ what must hold

    @invariant()
    def everybody_is_where_the_model_says(self) -> None:
        if not hasattr(self, "people"):
            return
        found = {target.id: target for target in self.run(targets_of(self.viewer, self.outdial_id))}
        for person in self.people:
            target = found[person.id]
            assert (target.status, target.done_reason) == (person.status, person.reason)
            assert (target.next_try_at is None) == (person.due is None)
            if target.next_try_at is not None and person.due is not None:
                assert abs(target.next_try_at - person.due) < CLOSE
                person.due = target.next_try_at
            assert list(target.try_counts[:2]) == person.counts
            assert (target.callback is None) == (person.wish is None)
            if target.callback is not None and person.wish is not None:
                assert (target.callback.destination_index, target.callback.dialer) == (
                    person.wish.index,
                    person.wish.dialer,
                )
                person.wish.at = target.callback.at
        self.run(self.client.catch_up())

    # ------------------------------------------------------------ the owner

    @rule(data=st.data(), wish=WISHES)
    def schedule(self, data: st.DataObject, wish: dict[str, Any]) -> None:
        self.schedule_for(self.pick(data), wish)

    def schedule_for(self, person: Person, wish: dict[str, Any]) -> None:
        work = targets.schedule_callback(self.viewer, person.id, draft=self.draft(wish))
        wanted = wish["index"]
        sought = person.offers(None) if wanted is None else [wanted]
        if person.reason is DoneReason.DO_NOT_CALL:
            self.refused(work, UserErrorCode.CONFLICT)
        elif (sought or person.listed) and all(index in person.listed for index in sought):
            self.refused(work, UserErrorCode.SUPPRESSED)
        else:
            self.run(work)
            self.keep(person, wish)

    def keep(self, person: Person, wish: dict[str, Any]) -> None:
        had_one = person.wish is not None
        asked = Wish(self.now() + timedelta(seconds=max(wish["ahead"], 0)), wish["index"], wish["dialer"])
        person.wish = asked
        if person.status is TargetStatus.PROGRESSING:
            asked.waits = True
            return
        if not had_one:
            person.before = (person.status, person.reason, person.due)
        person.keep()

    @rule(data=st.data())
    def cancel_callback(self, data: st.DataObject) -> None:
        person = self.pick(data)
        self.run(targets.cancel_callback(self.viewer, person.id))
        if person.wish is None:
            return
        person.wish = None
        if person.status is TargetStatus.IDLE and person.before is not None:
            due = person.before[2]
            person.stand(*(person.before if due is None else person.without_wish(due)))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        person = self.pick(data)
        self.run(targets.cancel(self.viewer, person.id))
        if person.status is not TargetStatus.DONE:
            self.live.pop(person.id, None)
            person.wish = None
            person.stand(TargetStatus.DONE, DoneReason.CANCELED)

    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        person = self.pick(data)
        done = self.run(targets.reset(self.viewer, self.outdial_id, target_ids=[person.id]))
        is_open = any(index not in person.invalid and index not in person.listed for index in PLACES)
        is_reset = person.status is TargetStatus.DONE and person.reason is not DoneReason.DO_NOT_CALL and is_open
        assert done.count == is_reset
        if is_reset:
            person.counts = [0, 0]
            person.stand(TargetStatus.IDLE, None, self.now())

    # ------------------------------------------------------------ dialers

    @rule(dialer=DIALERS)
    def claim(self, dialer: str | None) -> None:
        now = self.now()
        free = [
            person
            for person in self.people
            if person.status is TargetStatus.IDLE
            and person.due is not None
            and person.due <= now
            and person.next_index() is not None
            and (person.wish is None or person.wish.is_for_all or person.wish.dialer in (None, dialer))
        ]
        made = self.run(attempts.claim(self.viewer, self.outdial_id, limit=9, dialer=dialer))
        assert {one.target_id: one.destination_index for one in made} == {one.id: one.next_index() for one in free}
        by_id = {person.id: person for person in self.people}
        called_back = [by_id[one.target_id].wish is not None for one in made]
        assert called_back == sorted(called_back, reverse=True), "callbacks come first"
        for one in made:
            person = by_id[one.target_id]
            person.counts[one.destination_index] += 1
            person.stand(TargetStatus.PROGRESSING)
            self.live[person.id] = (one.id, one.destination_index, False)

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        person = self.pick_live(data)
        if person is not None:
            attempt_id, index, _ = self.live[person.id]
            make.one(self.run(make.start(self.viewer, attempt_id)))
            self.live[person.id] = (attempt_id, index, True)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        person = self.pick_live(data)
        if person is None or self.live[person.id][2]:
            return
        attempt_id, index, _ = self.live.pop(person.id)
        make.one(self.run(make.release(self.viewer, attempt_id)))
        person.counts[index] -= 1
        self.returned(person)

    def returned(self, person: Person) -> None:
        """Nobody was called."""
        otherwise = person.without_wish(self.now())
        if person.wish is None:
            person.stand(*otherwise)
            return
        if person.wish.waits:
            person.before = otherwise
        person.keep()

    @rule(data=st.data(), disposition=st.sampled_from(Disposition), wish=WISHES)
    def complete(self, data: st.DataObject, disposition: Disposition, wish: dict[str, Any]) -> None:
        person = self.pick_live(data)
        if person is None:
            return
        attempt_id, index, _ = self.live.pop(person.id)
        callback = self.draft(wish) if disposition is Disposition.CALLBACK else None
        make.one(self.run(make.complete(self.viewer, attempt_id, disposition, callback=callback)))
        if disposition is Disposition.INVALID_DESTINATION:
            person.invalid.add(index)
        if disposition is Disposition.DO_NOT_CALL:
            person.listed.add(index)
            person.wish = None
            person.stand(TargetStatus.DONE, DoneReason.DO_NOT_CALL)
            return
        wait = 0 if disposition is Disposition.INVALID_DESTINATION else RETRY_SECONDS
        otherwise = person.without_wish(self.now() + timedelta(seconds=wait))
        if disposition is Disposition.ANSWERED:
            otherwise = (TargetStatus.DONE, DoneReason.ANSWERED, None)
        if callback is not None:
            wanted = index if wish["index"] is None else wish["index"]
            person.wish = Wish(self.now() + timedelta(seconds=max(wish["ahead"], 0)), wanted, wish["dialer"])
            person.before = otherwise
            person.keep()
        else:
            self.ended(person, otherwise)

    def ended(self, person: Person, otherwise: tuple[TargetStatus, DoneReason | None, datetime | None]) -> None:
        if person.wish is not None and person.wish.waits:
            person.wish.waits = False
            person.before = otherwise
            person.keep()
        else:
            person.wish = None
            person.stand(*otherwise)

    # ------------------------------------------------------------ time

    @rule(seconds=st.sampled_from((70, 170, 570)))
    def pass_time(self, seconds: int) -> None:
        make.pass_time(seconds)
        expired_at = self.now() - timedelta(seconds=seconds - LEASE_SECONDS)
        self.run(make.sweep())
        for person in [person for person in self.people if person.id in self.live]:
            _, _, is_dialed = self.live.pop(person.id)
            due = expired_at + timedelta(seconds=RETRY_SECONDS)
            unconfirmed = (TargetStatus.DONE, DoneReason.UNCONFIRMED, None)
            self.ended(person, unconfirmed if is_dialed else person.without_wish(due))
        self.run(reserving.step())
        now = self.now()
        for person in self.people:
            wish = person.wish
            if wish is None or person.status is not TargetStatus.IDLE or wish.dialer is None or wish.at > now:
                continue
            if wish.opened is None:
                wish.opened = now if person.next_index() is not None else None
            elif wish.opened + timedelta(seconds=WINDOW_SECONDS) <= now:
                wish.is_for_all = True

    @rule(data=st.data(), index=st.none() | st.sampled_from(PLACES), dialer=DIALERS, is_late=st.booleans())
    def let_a_window_begin(self, data: st.DataObject, index: int | None, dialer: str | None, is_late: bool) -> None:
        """Steps that seldom come one after the other by chance; perhaps until the window is over."""
        self.schedule_for(self.pick(data), {"ahead": -50, "index": index, "dialer": "ann"})
        self.pass_time(70)
        if is_late:
            self.pass_time(570)
        self.claim(dialer)

    # ------------------------------------------------------------ helpers

    def draft(self, wish: dict[str, Any]) -> CallbackDraft:
        at = self.now() + timedelta(seconds=wish["ahead"])
        return CallbackDraft(at, wish["index"], wish["dialer"], WINDOW_SECONDS, "at five")

    def pick(self, data: st.DataObject) -> Person:
        return data.draw(st.sampled_from(self.people), label="person")

    def pick_live(self, data: st.DataObject) -> Person | None:
        called = [person for person in self.people if person.id in self.live]
        return data.draw(st.sampled_from(called), label="called") if called else None

    def refused(self, work: Any, code: UserErrorCode) -> None:
        with pytest.raises(Rejected) as refusal:
            self.run(work)
        assert {error.code for error in refusal.value.errors} == {code}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_callback_is_kept_whatever_else_happens(
    kind: Kind, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A failure is to be told before the test's own timeout; Hypothesis would look for a shorter one for 300 seconds.
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 60)
    with asyncio.Runner() as runner:
        database = databases.fresh(kind)
        url = runner.run(database.__aenter__())
        runner.run(db.connect(url))
        try:
            CallingBack.runner = runner
            run_state_machine_as_test(CallingBack, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))
        finally:
            runner.run(db.close())
            runner.run(database.__aexit__(None, None, None))
