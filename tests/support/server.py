"""Real server processes: started on a free port, waited for, watched, killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import jwt

from tests.support.postgres import free_port

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
JWT_SECRET = "a secret of the tests, long enough for HS256"
REPOSITORY = Path(__file__).parent.parent.parent
SCOPES = ("read", "write", "dial")


def token(customer_id: str, scopes: Iterable[str] = SCOPES, *, lifetime: timedelta = timedelta(hours=1)) -> str:
    """A token as any issuer would make it, without the project's code."""
    expires_at = datetime.now(UTC) + lifetime
    claims = {"customer_id": customer_id, "sub": "tester", "scope": " ".join(scopes), "exp": expires_at}
    return jwt.encode(claims, JWT_SECRET, "HS256")


class ServerError(AssertionError):
    """A server process failed. The message has its output."""


class ServerProcess:
    """`outdial serve` on a database, in its own process.

    Args:
        database_url: a migrated database.
        folder: its working folder, with its log.
        environment: more settings.
        workers: how many processes serve.
        descriptors: how many files each may have open; None for the usual number.
    """

    def __init__(
        self,
        database_url: str,
        folder: Path,
        *,
        environment: dict[str, str] | None = None,
        workers: int = 1,
        descriptors: int | None = None,
    ) -> None:
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")},
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
            "OUTDIAL_DATABASE_URL": database_url,
            "OUTDIAL_JWT_SECRET": JWT_SECRET,
            **(environment or {}),
        }
        self.database_url = database_url
        self._folder = folder
        self._arguments = [] if workers == 1 else ["--workers", str(workers)]
        # A shell sets it: Popen's own hook is not safe beside threads.
        self._shell = [] if descriptors is None else ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"]
        self.exit_code: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / f"server-{id(self):x}.log"
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def launch(self) -> None:
        """Start it, after a kill on the same port and database as before, without waiting for it."""
        self.port = self.port or free_port()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._shell,
                    *(sys.executable, "-m", "app.cli", "serve", "--host", "127.0.0.1", "--port", str(self.port)),
                    *self._arguments,
                ],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerError(f"the server ended with {self._process.returncode}:\n{self.output()}")
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_ready():
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"the server is not ready after {START_SECONDS_MAX} s:\n{self.output()}")
            time.sleep(0.05)
        return self

    async def started(self) -> Self:
        """Like `start`, for tests whose loop must run meanwhile."""
        return await asyncio.to_thread(self.start)

    def kill(self) -> None:
        """End it like a crash: nothing of it runs any more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it like an operator.

        Raises:
            ServerError: it does not end, or it wrote a traceback while it ran.
        """
        if self._process is None:
            return
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"the server did not stop within {STOP_SECONDS_MAX} s:\n{self.output()}") from None
        if self.exit_code:
            raise ServerError(f"the server ended with {self.exit_code}:\n{self.output()}")
        if "Traceback" in self.output() or "INTERNAL" in self.output():
            raise ServerError(f"the server met a bug:\n{self.output()}")

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self.exit_code = self._process.wait(STOP_SECONDS_MAX)
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self.kill()
            sys.stderr.write(self.output())  # pytest shows it with the failure
