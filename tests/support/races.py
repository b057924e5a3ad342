"""Two events at once: one of the two orders must explain every result."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app import attempts
from app.auth import Viewer
from app.errors import Rejected
from app.pagination import PageRequest
from app.records import AttemptBatch, AttemptFilter, ChangedTargets, Outdial, Target
from tests.support import factories as make
from tests.support.folding import progress_of, targets_of

HEAD_START_SECONDS_MAX = 0.004


@dataclass
class Scene:
    """The objects of a race: a target in its own outdial, and its attempts, the newest last."""

    viewer: Viewer
    outdial_id: str
    target_id: str
    attempt_ids: list[str]
    other_id: str = ""
    """Another outdial, in which a target has the same number."""

    @property
    def attempt_id(self) -> str:
        return self.attempt_ids[-1]


Event = Callable[[Scene], Awaitable[Any]]


def _plain(result: Any) -> Any:
    """The answer of an event, without ids and times."""
    plain: Any = None
    match result:
        case Rejected():
            plain = [error.code.value for error in result.errors]
        case AttemptBatch():
            states = [attempt.state.value for attempt in result.attempts]
            plain = states, [error.code.value for error in result.errors]
        case list():
            plain = [attempt.state.value for attempt in result]
        case Target():
            plain = result.status.value, result.done_reason, result.tm_delete is not None
        case Outdial():
            plain = result.state.value, result.tm_delete is not None
        case ChangedTargets():
            plain = result.count
    return plain


async def _outcome(scene: Scene, first: Any, second: Any) -> tuple[Any, ...]:
    """Both answers, and the state at the end."""
    found = await targets_of(scene.viewer, scene.outdial_id)
    standing = [
        (target.status.value, target.done_reason, target.try_counts, target.version, target.name) for target in found
    ]
    pages = await attempts.pages_of_outdials(
        scene.viewer, [scene.outdial_id], request=PageRequest(size=100), where=AttemptFilter()
    )
    ledger = [
        (attempt.destination_index, attempt.try_number, attempt.state.value, attempt.disposition)
        for attempt in pages[scene.outdial_id].items
    ]
    progress = await progress_of(scene.viewer, scene.outdial_id)
    return _plain(first), _plain(second), standing, ledger, progress


async def _answer(event: Event, scene: Scene, head_start: float = 0) -> Any:
    await asyncio.sleep(head_start)
    try:
        return await event(scene)
    except Rejected as refusal:
        return refusal


async def run(
    prepare: Callable[[], Awaitable[Scene]], one: Event, two: Event, *, rounds: int, passes_over: bool = False
) -> None:
    """Race the two repeatedly.

    Args:
        prepare: creates the scene for each round.
        one: an event.
        two: another.
        rounds: how often they meet.
        passes_over: `one` is a claim, which may skip a target that is locked at that moment.

    Raises:
        AssertionError: no order explains a result.
    """
    scene = await prepare()
    forward = await _outcome(scene, await _answer(one, scene), await _answer(two, scene))
    scene = await prepare()
    second = await _answer(two, scene)
    backward = await _outcome(scene, await _answer(one, scene), second)
    explained = [forward, backward]
    if passes_over:
        scene = await prepare()
        explained.append(await _outcome(scene, [], await _answer(two, scene)))
    for _ in range(rounds):
        scene = await prepare()
        starts = [0.0, random.uniform(0, HEAD_START_SECONDS_MAX)]
        random.shuffle(starts)
        first, second = await asyncio.gather(_answer(one, scene, starts[0]), _answer(two, scene, starts[1]))
        outcome = await _outcome(scene, first, second)
        assert outcome in explained, f"\n{outcome}\nis none of\n" + "\n".join(map(str, explained))


async def claimed(viewer: Viewer, *, started: bool = False, tries: int = 1, **policy: Any) -> Scene:
    """A target in progress; all tries before were busy."""
    policy = {"retry_interval_seconds": 0, "max_try_counts": (9,) * 5, **policy}
    outdial = await make.make_outdial(viewer, policy=policy)
    target = await make.make_target(viewer, outdial.id, make.phone_number(), make.phone_number())
    made = []
    for number in range(tries):
        attempt = await make.claim(viewer, outdial.id)
        made.append(attempt.id)
        if number < tries - 1:
            make.one(await make.complete(viewer, attempt.id))
    if started:
        make.one(await make.start(viewer, made[-1]))
    return Scene(viewer, outdial.id, target.id, made)


async def idle(viewer: Viewer, *, tries: int = 0, **policy: Any) -> Scene:
    """A target that is due; all tries before were busy."""
    if tries == 0:
        outdial = await make.make_outdial(viewer, policy={"retry_interval_seconds": 0, **policy})
        target = await make.make_target(viewer, outdial.id, make.phone_number(), make.phone_number())
        return Scene(viewer, outdial.id, target.id, [])
    scene = await claimed(viewer, tries=tries, **policy)
    make.one(await make.complete(viewer, scene.attempt_id))
    return scene
