"""A list and the model of it: what every step needs, and what must hold after each."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from app import attempts, db
from app.errors import Rejected, UserErrorCode
from app.lifecycle import AttemptState, TargetStatus, UnconfirmedAction
from app.records import AttemptBatch
from tests.support import factories as make
from tests.support import rows
from tests.support.folding import FoldingClient, progress_of, targets_of
from tests.support.model import ENDED, LIVE, ModelAttempt, ModelTarget, Policy, is_listed

LEASE_SECONDS = 100


class Machine(RuleBasedStateMachine):
    """One outdial of a customer of its own; all time passes by clock.shift."""

    runner: asyncio.Runner
    url: str
    outdial_id: str

    def __init__(self) -> None:
        super().__init__()
        self.viewer = make.make_viewer()
        self.targets: list[ModelTarget] = []
        self.attempts: list[ModelAttempt] = []
        self.policy = Policy((2,) * 5, 0, LEASE_SECONDS, UnconfirmedAction.FINISH)
        self.listed: dict[str, datetime | None] = {}
        self.paused = False
        self.deleted = False
        self.client: FoldingClient | None = None

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

    def teardown(self) -> None:
        if self.client is None:
            return
        if not self.deleted:
            self.run(self.client.catch_up())
        rows.check(self.run(rows.of(self.url, self.viewer.customer_id)), resets=True)
        ledger = self.run(attempts.get_many(self.viewer, [attempt.id for attempt in self.attempts]))
        for attempt in self.attempts:
            made = ledger[attempt.id]
            assert (made.state, made.disposition) == (attempt.state, attempt.disposition)

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
        return self.known_address(data) if kind == "known" else make.phone_number()

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
