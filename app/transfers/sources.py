"""The file to send: opened once, so that it stays the same file, and read as often as necessary.

Input that cannot be read twice, such as standard input or a pipe, is copied to a nameless temporary file, which
disappears with the process. This is necessary because the import's key is made from the content, and the file is sent
again after a lost connection.
"""

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from app.transfers.failures import TransferFailed

PIECE_BYTES = 64 * 1024
SPOOLED_BYTES_MAX = 8 * 1024**3
"""A server takes no larger file, even after decompression."""
STANDARD_INPUT = "-"


class Source:
    """A file to be sent. `with Source.opened(path) as source`."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._file = file
        self.name = name
        """The name for people: text that can be sent and printed, for any bytes in the file's name."""
        self.size = os.fstat(file.fileno()).st_size

    @classmethod
    def opened(cls, path: Path) -> Self:
        """Open a file.

        Raises:
            TransferFailed: it is a folder or a device, or too large.
            OSError: it cannot be read.
        """
        if str(path) == STANDARD_INPUT:
            if sys.stdin is None:
                raise TransferFailed("There is no standard input.")
            return cls("standard input", _spooled(sys.stdin.buffer))
        name = (path.name or str(path)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise TransferFailed(f"{name} is a folder.")
        if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not _is_terminal(path)):
            raise TransferFailed(f"{name} is a device, not a file.")
        file = path.open("rb")
        # Files that the system creates while they are read, as in /proc, have no size.
        if stat.S_ISREG(mode) and os.fstat(file.fileno()).st_size:
            return cls(name, file)
        with file:
            return cls(name, _spooled(file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def digest(self) -> str:
        """The hash of the content."""
        found = hashlib.sha256()
        for piece in self.pieces():
            found.update(piece)
        return found.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """The content, from its beginning.

        Raises:
            TransferFailed: the file became shorter while it was read.
        """
        place = 0
        while place < self.size:  # data that is added meanwhile is not sent
            piece = os.pread(self._file.fileno(), min(PIECE_BYTES, self.size - place), place)
            if not piece:
                raise TransferFailed(f"{self.name} was changed while it was read. Run the command again.")
            place += len(piece)
            yield piece


def _is_terminal(path: Path) -> bool:
    with path.open("rb") as file:
        return file.isatty()


def _check_size(total: int) -> None:
    if total > SPOOLED_BYTES_MAX:
        raise TransferFailed(f"The file is too large: at most {SPOOLED_BYTES_MAX:,} bytes.")


def _spooled(source: BinaryIO) -> BinaryIO:
    """Everything from a pipe, as a temporary file."""
    if source.isatty():
        sys.stderr.write("outdial: reading the file from the terminal. Press Ctrl-D to end it.\n")
    kept: BinaryIO = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - it lives as long as the source
    try:
        total = 0
        while piece := source.read(PIECE_BYTES):
            total += len(piece)
            _check_size(total)
            kept.write(piece)
        kept.flush()
    except BaseException:  # also Ctrl-C: the file on the disk goes with it
        kept.close()
        raise
    return kept
