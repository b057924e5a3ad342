"""Who waits for what in this process. A wake-up carries nothing: it only says that it is worth looking."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

EVERY_TOPIC = "*"

_waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)


@contextmanager
def waiter(topics: Iterable[str]) -> Iterator[asyncio.Event]:
    """An event that is set whenever one of the topics is woken; clear it before you look, not after."""
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


def wake(topics: Iterable[str]) -> None:
    listed = list(topics)
    if EVERY_TOPIC in listed:
        listed = list(_waiters)
    for topic in listed:
        for event in _waiters.get(topic, ()):
            event.set()
