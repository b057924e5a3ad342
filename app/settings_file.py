"""The file of settings: lines such as `OUTDIAL_LOG_LEVEL=DEBUG`, as systemd and Docker read them."""

import errno
import os
import re
import stat
from io import BufferedReader
from pathlib import Path

VARIABLE = "OUTDIAL_SETTINGS_FILE"
FILE_BYTES_MAX = 1_048_576
"""Of a file of a key too."""
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class WrongFile(Exception):  # noqa: N818 - the file is wrong, nothing failed
    """The file cannot be read, or a line of it is wrong. The message has no value of it."""


def opened(file: Path, *, may_be_link: bool = True) -> BufferedReader:
    """A regular file, to be read. A pipe or a device may have no end, and the loop would wait for it at SIGHUP.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    # Without O_NONBLOCK, even opening a pipe waits for its writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if may_be_link else os.O_NOFOLLOW)
    descriptor = os.open(file, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return os.fdopen(descriptor, "rb")


def path() -> Path | None:
    """The file that the environment names; None if it names none."""
    found = os.environ.get(VARIABLE)
    return Path(found) if found else None


def read(file: Path) -> dict[str, str]:
    """The variables of the file, by their names. Empty lines and those that begin with # say nothing.

    A value may be in single or double quotes, which are no part of it. Nothing in it is replaced.

    Raises:
        WrongFile: with the number of the line, if a line is wrong.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise WrongFile("holds bytes that are not UTF-8") from None
    try:
        with opened(file) as source:
            content = source.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise WrongFile(f"{file} is too large: at most {FILE_BYTES_MAX:,} bytes")
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise WrongFile(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongFile(f"{file} is not text in UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise WrongFile(f"{file}: line {number} must be a name, an equals sign and a value")
        name, value = match.groups()
        if name in found:
            raise WrongFile(f"{file}: line {number} sets {name} again")
        found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
