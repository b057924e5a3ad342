"""At most one server for each SQLite file: a second one would end the first one's imports, and sweep too."""

import atexit
import fcntl
import os
import time
from pathlib import Path

from app.database_url import DatabaseUrl
from app.errors import Unavailable

NAMED_WITHIN_SECONDS = 0.5
"""A server that has just taken the lock writes its process id a moment later."""

_held: dict[Path, int] = {}
"""The locks of this process, each with its open file."""


def claim(url: str) -> None:
    """Become the only server of this SQLite file until `give_back`, or until this process ends in any way.

    If this process has it already, it keeps it. PostgreSQL allows any number of servers.

    Raises:
        Unavailable: another process serves it.
    """
    path = DatabaseUrl.parse(url).path
    if path is None or (lock := _lock_of(path)) in _held:
        return
    if path.is_dir() or not lock.parent.is_dir():
        raise Unavailable("unable to open database file")
    if path.exists() and path.stat().st_nlink > 1:
        # SQLite keeps its log beside each name, so two processes would destroy the file.
        raise Unavailable("the file has a second name (a hard link); remove it, or make a copy of the file instead")
    try:
        descriptor = _take(lock)
    except OSError as error:
        raise Unavailable(f"cannot use {lock}: {error.strerror}") from error
    if descriptor is None:
        raise Unavailable(f"{_named(lock)} serves this file already; stop it, or use another file")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    _held[lock] = descriptor
    atexit.register(give_back, url)  # if the start fails


def give_back(url: str) -> None:
    """Let another process serve this file."""
    path = DatabaseUrl.parse(url).path
    if path is None:
        return
    lock = _lock_of(path)
    descriptor = _held.pop(lock, None)
    if descriptor is not None:
        # before the lock is released: the next process that takes this name must find it free
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def other_server(path: Path) -> str | None:
    """The other process that serves this file, as text for a message; None if there is none."""
    lock = _lock_of(path)
    if lock in _held or not lock.exists():
        return None
    descriptor = _take(lock)
    if descriptor is None:
        return _named(lock)
    lock.unlink(missing_ok=True)  # a server that was killed left it
    os.close(descriptor)
    return None


def _lock_of(path: Path) -> Path:
    """Beside the real file, for every path or link to it.

    A lock on the database file is not possible: closing it would release SQLite's own locks of this process.
    """
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}.serving")


def _take(lock: Path) -> int | None:
    """The open file with the lock; None if another process has it."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        if _is_there(lock, descriptor):
            return descriptor
        os.close(descriptor)  # its last owner has just removed it


def _is_there(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _named(lock: Path) -> str:
    deadline = time.monotonic() + NAMED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            text = lock.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            text = ""
        if text.isdecimal():
            return f"the process {text}"
        time.sleep(0.01)
    return "another process"
