"""How many files this process may have open, connections included. Too few are said at the start, not met later."""

import errno
import resource
from contextlib import suppress

COMMAND_FILES_MIN = 32
"""What a command opens at most: the database or the server, the file, and the modules that it loads meanwhile."""
SERVER_FILES_MIN = 64
"""What a server opens before its first client comes, and about twenty connections."""
WORKER_FILES_MIN = 4
"""What the parent of several workers opens for each further one."""


def raise_limit() -> None:
    """Let this process open as many files as the system allows it: the usual limit of 1,024 is for `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def need(count: int) -> None:
    """Check that this process may have so many files open.

    Raises:
        OSError: EMFILE, with what to do.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < count:
        raise_limit()
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < count:  # -1 is no limit
        raise OSError(errno.EMFILE, f"too few files may be open: {limit}, and {count} are needed. Raise `ulimit -n`")
