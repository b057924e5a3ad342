"""The processes that read one file: one, and a second one if there are cores for two and the file is long.

The first reader reads the whole file, and hands parts of it to the second one, which only checks them. Each sends the
chunks that it has made to the server. The first one says whose chunk is next, so the server gets them in the file's
order.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from app.errors import Unavailable
from app.files.protocol import Chunk, Data, Ended, EndOfFile, Handed, Task
from app.imports.worker_process import BUFFER_BYTES, WorkerError, WorkerProcess

READERS_MAX = 2
"""Of a file. The server and the database need the other cores."""
ROWS_ALONE = 2_000
"""The second reader starts after this number of rows: a shorter file is read before it could help."""
PIECE_BYTES_MAX = 1024 * 1024
HANDED_BYTES = 1024 * 1024
"""What the pipe between the readers holds, so that the first one need not wait for the second one."""

log = structlog.get_logger(__name__)


def wanted() -> int:
    """How many readers a file has on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(READERS_MAX, cores)


class _Pipes:
    """Between the readers: parts go to the second one, and it asks for them. The server closes its own copies."""

    def __init__(self) -> None:
        self.parts_out, self.parts_in = os.pipe()
        self.asked_out, self.asked_in = os.pipe()
        self._open = {self.parts_out, self.parts_in, self.asked_out, self.asked_in}
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # the limit of this user; the pipe works at its usual size too
                fcntl.fcntl(self.parts_in, fcntl.F_SETPIPE_SZ, HANDED_BYTES)

    def close(self, *numbers: int) -> None:
        for number in self._open.intersection(numbers):
            os.close(number)
        self._open.difference_update(numbers)

    def close_all(self) -> None:
        self.close(*self._open)


class Readers:
    """One file in its own processes."""

    def __init__(self, first: WorkerProcess, pipes: _Pipes | None) -> None:
        self._first = first
        self._pipes = pipes
        """None if the second reader has started, or there is to be none."""
        self._second: WorkerProcess | None = None
        self._has_second = asyncio.Event()

    async def begin(self, task: Task) -> None:
        await self._first.is_sent(task)

    async def feed(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the file while it arrives, no faster than it is read. Returns early if no more of it is needed."""
        async for piece in pieces:
            for start in range(0, len(piece), PIECE_BYTES_MAX):
                if not await self._first.is_sent(Data(piece[start : start + PIECE_BYTES_MAX])):
                    return
        await self._first.is_sent(EndOfFile())

    async def chunks(self) -> AsyncIterator[Chunk | Ended]:
        """The file's chunks in order, then its end.

        Raises:
            WorkerError: a reader ended without a reason.
            Unavailable: a reader was killed from outside; nothing is wrong with the file.
        """
        rows = 0
        while True:
            found = await self._next()
            if isinstance(found, Chunk):
                rows += len(found.lines) + len(found.rejects)
                if rows >= ROWS_ALONE:
                    await self._start_second()
            yield found
            if isinstance(found, Ended):
                return

    async def _next(self) -> Chunk | Ended:
        source = self._first
        frame = await source.frame()
        if isinstance(frame, Handed) and self._second is not None:
            source = self._second
            frame = await source.frame()
        if frame is None:
            raise await self._failure(source)
        if isinstance(frame, Handed):
            raise WorkerError("a reader handed rows to nobody")
        return frame

    async def _start_second(self) -> None:
        pipes, self._pipes = self._pipes, None
        if pipes is None:
            return
        try:
            self._second = await WorkerProcess.started(
                *("second", str(pipes.asked_in)),
                source=pipes.parts_out,
                passed=[pipes.asked_in],
                buffer_bytes=BUFFER_BYTES // READERS_MAX,
            )
        except OSError as error:
            log.warning("import_worker_not_started", reason=error.strerror)  # the first one does the work alone
        else:
            self._has_second.set()
        finally:
            pipes.close_all()

    async def watch(self) -> None:
        """Returns if the second reader has done its work. The first one's end shows in `chunks`.

        Raises:
            WorkerError: it ended without a reason.
            Unavailable: it was killed from outside.
        """
        await self._has_second.wait()
        assert self._second is not None
        if await self._second.code() != 0:
            raise await self._second.failure()

    async def _failure(self, ended: WorkerProcess) -> WorkerError | Unavailable:
        """Why a reader has ended too early. One that misses the other one ends without an error of its own."""
        both = [self._first] if self._second is None else [self._first, self._second]
        for process in sorted(both, key=lambda process: process is not ended):
            if await process.code() != 0:
                return await process.failure()
        return await ended.failure()

    async def end(self) -> None:
        """Kill the readers that have not ended."""
        try:
            both = [self._first] if self._second is None else [self._first, self._second]
            await asyncio.gather(*(process.end() for process in both))
        finally:
            if self._pipes is not None:
                self._pipes.close_all()


@asynccontextmanager
async def started(task: Task) -> AsyncIterator[Readers]:
    """The readers of one file. They have ended when the context is left.

    Raises:
        Unavailable: the machine cannot start one more process.
    """
    try:
        readers = await _started()
    except OSError as error:
        log.warning("import_worker_not_started", reason=error.strerror)
        raise Unavailable("No process could be started to read the file. Send it again later.") from None
    try:
        await readers.begin(task)
        yield readers
    finally:
        await readers.end()


async def _started() -> Readers:
    if wanted() == 1:
        return Readers(await WorkerProcess.started(), None)
    pipes = _Pipes()
    try:
        first = await WorkerProcess.started(
            *("first", str(pipes.parts_in), str(pipes.asked_out)),
            passed=[pipes.parts_in, pipes.asked_out],
            buffer_bytes=BUFFER_BYTES // READERS_MAX,
        )
    except BaseException:  # also if the upload is cancelled: no pipe may stay open
        pipes.close_all()
        raise
    pipes.close(pipes.parts_in, pipes.asked_out)
    return Readers(first, pipes)
