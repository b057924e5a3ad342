"""The processes that read a file. They have no secrets and no database connection.

The first reader gets the file's bytes on its standard input and sends chunks of checked rows to its standard output. If
there is a second one, it checks parts of the file that the first one hands to it, so that two cores share the work. All
pipes carry the frames of `app.files.protocol`. A full pipe makes the writer wait, so each side has at most a few chunks
in memory. A reader ends when its input does.

    python -m app.files.worker                      one reader alone
    python -m app.files.worker first PARTS ASKED    the numbers of open files: parts go out, requests come in
    python -m app.files.worker second ASKED         parts come in on standard input
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from app import validation
from app.files import parsing, protocol
from app.files.checking import Checking
from app.files.parsing import FileProblem
from app.files.protocol import Data, Ended, FromWorker, Head, Part, Task
from app.files.reading import Hand, Reading, alone

NICENESS = 10
"""Lower than the server's, so that requests are answered first."""
PARTS_AHEAD = 2
"""Of the second reader: one that it checks, and one that waits for it."""


class SenderGone(Exception):  # noqa: N818 - not an error of this process
    """The input ended before the file did."""


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while True:
        frame = protocol.read(source)
        if frame is None:
            raise SenderGone
        if not isinstance(frame, Data):
            return
        yield frame.piece


# ---------------------------------------------------------------- the first reader


def run(source: BinaryIO, target: BinaryIO, hand: Hand = alone) -> None:
    """Read one file to its end, or to the point from which it cannot be read."""
    task = protocol.read(source)
    if task is None:
        return
    assert isinstance(task, Task)
    validation.configure(default_region=task.region)

    def send(frame: FromWorker) -> None:
        target.write(protocol.encode(frame))
        target.flush()

    reading = Reading(task, send, hand)
    try:
        reading.read(_pieces(source))
    except SenderGone:
        return
    except FileProblem as problem:
        send(Ended(problem.reason, problem.message, reading.warnings()))
    else:
        send(Ended(None, "", reading.warnings()))


class Second:
    """The second reader, as the first one sees it.

    Args:
        parts: its input.
        asked: the number of a pipe in which it asks for parts, one byte for each.
    """

    def __init__(self, parts: BinaryIO, asked: int) -> None:
        self._parts = parts
        self._asked = asked
        os.set_blocking(asked, False)
        self._has_head = False

    def hand(self, head: Head, part: Part) -> bool:
        """Give it a part, if it has asked for one."""
        if not self._asks():
            return False
        if not self._has_head:
            self._parts.write(protocol.encode(head))
            self._has_head = True
        self._parts.write(protocol.encode(part))
        self._parts.flush()
        return True

    def _asks(self) -> bool:
        try:
            return bool(os.read(self._asked, 1))
        except BlockingIOError:
            return False


# ---------------------------------------------------------------- the second reader


def run_second(source: BinaryIO, target: BinaryIO, ask: Callable[[int], None]) -> None:
    """Check parts of a file until there are no more.

    Args:
        source: a head and parts.
        target: takes a chunk for each part, in their order.
        ask: asks the first reader for a number of parts.
    """
    ask(PARTS_AHEAD)
    head = protocol.read(source)
    if head is None:
        return
    assert isinstance(head, Head)
    validation.configure(default_region=head.task.region)
    checking = Checking(head)
    while (part := protocol.read(source)) is not None:
        assert isinstance(part, Part)
        target.write(protocol.encode(checking.chunk(_whole(part) if head.task.is_ndjson else part)))
        target.flush()
        ask(1)


def _whole(part: Part) -> Part:
    """With the objects of NDJSON, which come as text."""
    return replace(part, records=[parsing.ndjson_record(row.line_number, row.text) for row in part.records])


# ---------------------------------------------------------------- the process


def main(*arguments: str) -> None:
    os.nice(NICENESS)
    # Ctrl-C in a terminal also reaches this process, but the server decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    with suppress(BrokenPipeError):  # the server is gone, or the second reader is, which the server sees
        match arguments:
            case ("first", parts, asked):
                run(source, target, Second(os.fdopen(int(parts), "wb"), int(asked)).hand)
            case ("second", asks):
                run_second(source, target, _asking(int(asks)))
            case _:
                run(source, target)


def _asking(asks: int) -> Callable[[int], None]:
    def ask(count: int) -> None:
        with suppress(BrokenPipeError):  # the first reader has read the whole file; some parts may be left
            os.write(asks, b"?" * count)

    return ask


if __name__ == "__main__":
    main(*sys.argv[1:])
