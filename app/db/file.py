"""Whether SQLite's file is still the one that was opened.

SQLite goes on writing into a file that has no name any more: everything would be acknowledged, and lost at the end of
the process. In WAL mode it does not look itself.
"""

import os
from pathlib import Path

from app.db.failures import Moved

Identity = tuple[int, int]
"""Of a file, whatever its name is."""


class File:
    """The database's file, and its write-ahead log, which stays there from the first unit of work on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._identity = _identity(path)
        self._identity_of_log: Identity | None = None

    def check(self) -> None:
        """Look whether both are still there.

        Raises:
            Moved: one of them was deleted, moved or replaced.
        """
        of_log = _identity(self._log)
        if self._identity_of_log is None:
            self._identity_of_log = of_log
        if _identity(self._path) != self._identity or of_log != self._identity_of_log:
            raise Moved


def _identity(path: Path) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - it is called in each unit of work, and a Path takes twice as long
    except OSError:
        return None
    return found.st_dev, found.st_ino
