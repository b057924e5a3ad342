"""The server's side of the process that reads a file (`app.files.worker`): start, input, output, end.

Parsing and checking a million rows takes minutes of a processor; in the server's own process all other requests would
wait.
"""

import asyncio
import os
import signal
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from app.errors import Unavailable
from app.files import protocol
from app.files.protocol import Chunk, Data, Ended, EndOfFile, FromWorker, Task, ToWorker

BUFFER_BYTES = 2 * 1024 * 1024
"""How much the process sends ahead: one or two chunks, while another is committed."""
PIECE_BYTES_MAX = 1024 * 1024
END_SECONDS = 5.0
ERROR_CHARACTERS_MAX = 2_000
MODULE = "app.files.worker"
KILLS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that end a process from outside. Others, such as SIGSEGV, are the process's own fault."""

log = structlog.get_logger(__name__)


class WorkerError(Exception):
    """The process failed: a bug of ours."""


class WorkerProcess:
    """One file in its own process."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input = process.stdin
        self._output: StreamReader = process.stdout

    async def feed(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the file while it arrives, no faster than it is read. Returns early if no more of it is needed."""
        async for piece in pieces:
            for start in range(0, len(piece), PIECE_BYTES_MAX):
                part = piece[start : start + PIECE_BYTES_MAX]
                if not await self._is_taken(Data(part)):
                    return
        await self._is_taken(EndOfFile())

    async def _is_taken(self, frame: ToWorker) -> bool:
        try:
            self._input.write(protocol.encode(frame))
            await self._input.drain()
        except ConnectionError:
            return False  # the process has said why it ended, and `frames` reports it
        return True

    async def chunks(self) -> AsyncIterator[Chunk | Ended]:
        """The file's chunks in order, then its end.

        Raises:
            WorkerError: it ended without a reason.
            Unavailable: it was killed from outside; nothing is wrong with the file.
        """
        while True:
            frame = await self._frame()
            if not isinstance(frame, (Chunk, Ended)):
                raise WorkerError(f"the process that reads the file sent {type(frame).__name__}")
            yield frame
            if isinstance(frame, Ended):
                return

    async def _frame(self) -> ToWorker | FromWorker:
        try:
            header = await self._output.readexactly(protocol.HEADER.size)
            kind, text_length, carried_length = protocol.HEADER.unpack(header)
            text = await self._output.readexactly(text_length)
            carried = await self._output.readexactly(carried_length)
        except asyncio.IncompleteReadError:
            raise await self._end_of_process() from None
        return protocol.decode(kind, text, carried)

    async def _end_of_process(self) -> WorkerError | Unavailable:
        """What is known about its end, without the exception's text, which may contain a row."""
        assert self._process.stderr is not None
        text = (await self._process.stderr.read()).decode(errors="replace")
        frames = [line.strip() for line in text.splitlines() if line.startswith("  File ")]
        code = await self._process.wait()
        if -code in KILLS:
            log.warning("import_worker_killed", signal=-code)
            return Unavailable("The process that reads the file was killed. Send the file again.")
        where = "; ".join(frames)[-ERROR_CHARACTERS_MAX:]
        return WorkerError(f"the process that reads the file ended with {code}: {where}")


@asynccontextmanager
async def started(task: Task) -> AsyncIterator[WorkerProcess]:
    """A process that reads one file. It has ended when the context is left.

    Raises:
        Unavailable: the machine cannot start one more process.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # modules in the folder where the server was started must not replace ours
            "-m",
            MODULE,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(),
            limit=BUFFER_BYTES,
        )
    except OSError as error:
        log.warning("import_worker_not_started", reason=error.strerror)
        raise Unavailable("No process could be started to read the file. Send it again later.") from None
    try:
        assert process.stdin is not None
        process.stdin.write(protocol.encode(task))
        yield WorkerProcess(process)
    finally:
        await _end(process)


def _environment() -> dict[str, str]:
    """The server's environment, without its settings, which have secrets, and with the paths of its modules."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("OUTDIAL_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    try:
        async with asyncio.timeout(END_SECONDS):
            # its output must be read to the end, or its end would not be noticed
            await process.communicate()
    except TimeoutError:
        log.warning("import_worker_does_not_end", pid=process.pid)
