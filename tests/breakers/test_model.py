"""A breaker is what a slow model says, whatever happens to its calls, in any order."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from app.store import lulling
from tests.conftest import Databases, Kind
from tests.state_machine.test_dialing import BREAKERS, SHRINKING_SECONDS_MAX, Dialing, run
from tests.support.model import ModelAttempt, Policy

LIMITS = (9, 9, 9, 9, 9)


class Breaking(Dialing):
    """The list of the large machine, with a breaker in each policy, and with more of what a breaker is about."""

    def draw_policy(self, data: st.DataObject, limits: tuple[int, ...]) -> Policy:
        policy = super().draw_policy(data, LIMITS)
        policy.hours, policy.starts, policy.ends = None, None, None
        breaker = data.draw(st.sampled_from((None, *[True] * 5)), label="has a breaker") and data.draw(BREAKERS)
        policy.pace = replace(policy.pace, breaker=breaker)
        return policy

    def pick_attempt(self, data: st.DataObject) -> ModelAttempt:
        probe = self.breaker.probe
        if probe is not None and data.draw(st.booleans(), label="the call that shows whether calls still fail"):
            return probe
        return super().pick_attempt(data)

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        actions: list[Callable[[st.DataObject], None]] = [self.claim] * 9 + [self.judge] * 6 + [self.pass_time] * 3
        actions += [self.complete] * 5 + [self.start] * 2 + [self.release] if self.attempts else []
        actions += [self.close_breaker, self.change_policy, self.create, self.cancel, self.look_ahead, self.pause]
        data.draw(st.sampled_from(actions), label="action")(data)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_breaker_opens_probes_and_closes_as_the_model_says(
    kind: Kind, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lulling, "FEW", 0)
    monkeypatch.setattr(lulling, "REST_SECONDS", 0.0)
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", SHRINKING_SECONDS_MAX)
    run(Breaking, kind, databases)
