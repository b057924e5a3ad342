"""What a process of the server does when it gets a signal, or when the process that started it has ended."""

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def setting(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` when the process gets SIGTERM or SIGINT.

    uvicorn then closes WebSockets, but waits for streams, which do not end by themselves. It stops the lifespan only
    after that.
    """
    with _handling((signal.SIGTERM, signal.SIGINT), stopping.set):
        yield


@contextmanager
def calling(again: Callable[[], None] | None) -> Iterator[None]:
    """Call it at SIGHUP. With None, the signal does what it did before."""
    with _handling((signal.SIGHUP,) if again is not None else (), again or (lambda: None)):
        yield


@contextmanager
def _handling(numbers: tuple[signal.Signals, ...], call: Callable[[], object]) -> Iterator[None]:
    """Call it on the loop at these signals, and what handled them before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals only in the main thread
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        if callable(before[number]):
            before[number](number, frame)

    for number in numbers:
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for ended, handler in before.items():
            signal.signal(ended, handler)


@contextmanager
def watching_parent() -> Iterator[None]:
    """Stop a worker process if its parent ends, even by SIGKILL: nobody else would, and it holds the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    loop, sentinel = asyncio.get_running_loop(), parent.sentinel

    def stop() -> None:
        loop.remove_reader(sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(sentinel, stop)
    try:
        yield
    finally:
        loop.remove_reader(sentinel)
