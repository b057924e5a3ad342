"""A claim takes what the slow model allows, whatever the pace, and says when more may be claimed."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import attempts, clock, db, dialability, foreseeing, pacing
from app.blocks import BlockReason
from app.pacing import Pacing, Usage
from app.records import CallCap, CapScope, CapSubject
from tests.conftest import Databases, Kind
from tests.support import factories as make
from tests.support.pacing import DAY, allowed, change_policy, ledger, paced, window_of

TARGETS = 12
RATES = st.none() | st.sampled_from((0.01, 0.013, 0.02, 0.1, 2.0, 4.5))
PACES = st.tuples(st.none() | st.integers(1, 6), RATES)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("claim", "claim", "claim", "key", "report", "release", "wait", "policy")), st.integers(0, 7)
    ),
    min_size=5,
    max_size=20,
)
NEVER_HOLDS = CallCap(100, DAY, CapSubject.ADDRESS, CapScope.OUTDIAL)
"""With a cap, claims have other parts and locks."""


@pytest.fixture
def runner(kind: Kind, databases: Databases) -> Iterator[asyncio.Runner]:
    """Of one database for all examples, each of which has a customer of its own."""
    with asyncio.Runner() as made:
        fresh = databases.fresh(kind)
        made.run(db.connect(made.run(fresh.__aenter__())))
        try:
            yield made
        finally:
            made.run(db.close())
            made.run(fresh.__aexit__(None, None, None))


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(paces=st.lists(PACES, min_size=3, max_size=3), has_caps=st.booleans(), steps=STEPS)
def test_a_claim_takes_exactly_what_the_pace_allows(
    paces: list[tuple[int | None, float | None]], has_caps: bool, steps: list[tuple[str, int]], runner: asyncio.Runner
) -> None:
    async def play() -> None:
        viewer = make.make_viewer()
        most, rate = paces[0]
        caps = (NEVER_HOLDS,) if has_caps else ()
        outdial = await paced(viewer, max_open=most, rate=rate, targets=TARGETS, caps=caps)
        pace = Pacing(most, rate)
        opened: list[str] = []
        for number, (what, size) in enumerate(steps):
            if what == "wait":
                make.pass_time((0.3, 1, 5, 10, 30, 50, 77, 100)[size])
            elif what == "policy":
                pace = Pacing(*paces[size % 3])
                await change_policy(viewer, outdial, pacing=pace)
            elif what in {"report", "release"} and opened:
                ended = opened.pop(size % len(opened))
                make.one(await (make.complete if what == "report" else make.release)(viewer, ended))
            elif what in {"claim", "key"}:
                before, begun = await ledger(viewer), await db.now()
                said = (await dialability.blocks_of_outdials(viewer, [outdial.id]))[outdial.id]
                next_at = (await foreseeing.next_claims(viewer, [outdial.id]))[outdial.id]
                wanted = size + 1
                key = f"claim {number}" if what == "key" else None
                found = await attempts.claim(viewer, outdial.id, limit=wanted, idempotency_key=key)
                opened += [attempt.id for attempt in found]
                at = found[0].claimed_at if found else await db.now()
                idle = TARGETS - sum(ended is None for _, ended in before)
                limits = {allowed(pace, before, instant, wanted) for instant in (begun, at)}
                assert len(found) in {min(limit, idle) for limit in limits}, (pace, before)
                if len(limits) == 1:
                    [limit] = limits
                    check_words(pace, said, next_at, begun, limit, idle)
                    assert (found.throttled_until is not None) == (limit < wanted and limit <= idle)
                if found.throttled_until is not None:
                    check_throttled(pace, [*before, *[(at, None)] * len(found)], found.throttled_until, begun, at)
                if key is not None and found:
                    again = await attempts.claim(viewer, outdial.id, limit=wanted, idempotency_key=key)
                    assert [one.id for one in again] == [one.id for one in found]
                    assert again.throttled_until is None

    clock.shift = timedelta(0)
    runner.run(play())


def check_words(
    pace: Pacing,
    said: object,
    next_at: datetime | None,
    begun: datetime,
    limit: int,
    idle: int,
) -> None:
    """What is said before a claim is what it does."""
    assert isinstance(said, list)
    assert [block.reason for block in said] == ([BlockReason.PACED] if limit == 0 else [])
    if not idle:
        assert next_at is None
    elif limit:
        assert next_at is not None
        assert next_at <= begun
    elif pace.max_open_attempts is None:
        assert next_at == said[0].until
        assert next_at is not None
        assert next_at > begun


def check_throttled(
    pace: Pacing, tries: list[tuple[datetime, datetime | None]], until: datetime, begun: datetime, ended: datetime
) -> None:
    """It is the instant at which the rate lets one more be claimed, or a second later."""
    earliest, latest = begun + timedelta(seconds=1), ended + timedelta(seconds=1)
    if pace.claims_per_second is None:
        assert earliest <= until <= latest
        return
    most, window = window_of(pace.claims_per_second)
    in_it = sorted(at for at, _ in tries)[-most:]
    by_rate = in_it[0] + window if len(in_it) == most else None
    if pace.max_open_attempts is None:
        assert until == by_rate
    else:
        assert until == by_rate or earliest <= until <= latest
    usage = Usage(sum(end is None for _, end in tries), len(in_it), in_it[0] if in_it else None)
    if not pacing.is_full(pace, usage):
        assert until == by_rate
