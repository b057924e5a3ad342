"""The waiters of this process, by topic. A wake-up only means that there may be something to read."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

EVERY_TOPIC = "*"

_waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
_hearers: list[Callable[[Collection[str]], None]] = []


@contextmanager
def waiter(topics: Iterable[str]) -> Iterator[asyncio.Event]:
    """An event that is set when one of the topics is woken. Clear it before you read, not after."""
    event = asyncio.Event()
    listed = frozenset(topics)
    for topic in listed:
        _waiters[topic].add(event)
    try:
        yield event
    finally:
        for topic in listed:
            _waiters[topic].discard(event)
            if not _waiters[topic]:
                del _waiters[topic]


def on_wake(hear: Callable[[Collection[str]], None]) -> None:
    """Call `hear` with the topics of each wake-up, also of other processes; EVERY_TOPIC if some may have been lost."""
    _hearers.append(hear)


def wake(topics: Iterable[str]) -> None:
    listed = list(topics)
    for hear in _hearers:
        hear(listed)
    if EVERY_TOPIC in listed:
        listed = list(_waiters)
    for topic in listed:
        for event in _waiters.get(topic, ()):
            event.set()
