"""The server's side of a process that reads a file (`app.files.worker`): start, input, output, end.

Parsing and checking a million rows takes minutes of a processor; in the server's own process all other requests would
wait.
"""

import asyncio
import os
import signal
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from app.errors import Unavailable
from app.files import protocol
from app.files.protocol import FromWorker, ToWorker

BUFFER_BYTES = 2 * 1024 * 1024
"""How much the readers of a file send ahead: one or two chunks, while another is committed."""
END_SECONDS = 5.0
ERROR_CHARACTERS_MAX = 2_000
MODULE = "app.files.worker"
KILLS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that end a process from outside. Others, such as SIGSEGV, are the process's own fault."""

log = structlog.get_logger(__name__)


class WorkerError(Exception):
    """The process failed: a bug of ours."""


class WorkerProcess:
    """One process that reads a file."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._output: StreamReader = process.stdout
        self._failing: asyncio.Task[WorkerError | Unavailable] | None = None

    @classmethod
    async def started(
        cls, *arguments: str, source: int = PIPE, passed: Sequence[int] = (), buffer_bytes: int = BUFFER_BYTES
    ) -> Self:
        """Start one.

        Args:
            arguments: of the module.
            source: its standard input.
            passed: open files that it gets under the same numbers.
            buffer_bytes: how much it sends ahead.

        Raises:
            OSError: the machine cannot start one more process.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # modules in the folder where the server was started must not replace ours
            "-m",
            MODULE,
            *arguments,
            stdin=source,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(),
            limit=buffer_bytes,
            pass_fds=passed,
        )
        return cls(process)

    async def is_sent(self, frame: ToWorker) -> bool:
        """Send a frame, no faster than it is read. False if the process has ended, which `frame` reports."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(protocol.encode(frame))
            await self._process.stdin.drain()
        except ConnectionError:
            return False
        return True

    async def frame(self) -> FromWorker | None:
        """The next frame; None if the process has ended."""
        try:
            header = await self._output.readexactly(protocol.HEADER.size)
            kind, text_length, carried_length = protocol.HEADER.unpack(header)
            text = await self._output.readexactly(text_length)
            carried = await self._output.readexactly(carried_length)
        except asyncio.IncompleteReadError:
            return None
        frame = protocol.decode(kind, text, carried)
        if not isinstance(frame, FromWorker):
            raise WorkerError(f"the process that reads the file sent {type(frame).__name__}")
        return frame

    async def code(self) -> int:
        """Wait for its end. Returns the exit code; negative for a signal."""
        return await self._process.wait()

    async def failure(self) -> WorkerError | Unavailable:
        """Wait for its end. Returns what is known about it."""
        if self._failing is None:  # several may ask, and only one can read its output
            self._failing = asyncio.create_task(self._failure())
        return await asyncio.shield(self._failing)

    async def _failure(self) -> WorkerError | Unavailable:
        """Without the exception's text, which may contain a row."""
        assert self._process.stderr is not None
        text = (await self._process.stderr.read()).decode(errors="replace")
        frames = [line.strip() for line in text.splitlines() if line.startswith("  File ")]
        code = await self._process.wait()
        if -code in KILLS:
            log.warning("import_worker_killed", signal=-code)
            return Unavailable("The process that reads the file was killed. Send the file again.")
        where = "; ".join(frames)[-ERROR_CHARACTERS_MAX:]
        return WorkerError(f"the process that reads the file ended with {code}: {where}")

    async def end(self) -> None:
        """Kill it, if it has not ended."""
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._failing is not None:
            self._failing.cancel()
            await asyncio.gather(self._failing, return_exceptions=True)
        try:
            async with asyncio.timeout(END_SECONDS):
                # its output must be read to the end, or its end would not be noticed
                await self._process.communicate()
        except TimeoutError:
            log.warning("import_worker_does_not_end", pid=self._process.pid)


def _environment() -> dict[str, str]:
    """The server's environment, without its settings, which have secrets, and with the paths of its modules.

    OpenTelemetry's variables may have the collector's token.
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("OUTDIAL_", "OTEL_"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
