"""Memory that was needed once goes back to the system.

Python frees what nobody uses any more, but the C library keeps it for later: tens of MiB after a few large answers. In
glibc each thread also has a heap of its own, whose end never goes back. Here all threads have one heap, and what is
free in it is given back soon. On systems without glibc this does nothing.
"""

import asyncio
import ctypes
import gc
import os
from contextlib import suppress
from io import FileIO

LOOK_SECONDS = 1.0
FREE_BYTES_MAX = 4 * 1024 * 1024
"""Less stays: to ask the system for it again would cost more than it is worth."""
AGAIN_AFTER_LOOKS = frozenset({1, 2, 4, 8, 16})
"""Memory is given back at the look that finds more to be free, and again so many looks after it. What becomes free
while some is given back comes too late, and is taken for what cannot go back, such as room between what is used."""
_STATUS_BYTES = 256
"""Of seven numbers."""
_STATUS = "/proc/self/statm"
_ARENA_MAX = -8
"""M_ARENA_MAX of malloc.h."""


class _Figures(ctypes.Structure):
    """struct mallinfo2 of malloc.h."""

    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("ordblks", ctypes.c_size_t),
        ("smblks", ctypes.c_size_t),
        ("hblks", ctypes.c_size_t),
        ("hblkhd", ctypes.c_size_t),
        ("usmblks", ctypes.c_size_t),
        ("fsmblks", ctypes.c_size_t),
        ("uordblks", ctypes.c_size_t),
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    )


def share_heap() -> None:
    """Let threads that begin from now on use the heap of the others. Call it before there are any."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.mallopt(_ARENA_MAX, 1)


async def give_back() -> None:
    """Give free memory back, again and again, until cancelled. Where that cannot be, return at once."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return
    library.mallinfo2.restype = _Figures
    with suppress(FileNotFoundError), _status() as status:
        await _give_back(library, status.fileno())


def _status() -> FileIO:
    """Opened once: later the process may be out of descriptors."""
    return FileIO(_STATUS)


async def _give_back(library: ctypes.CDLL, status: int) -> None:
    usual_used, usual_unused = _bytes(library, status)
    looks = max(AGAIN_AFTER_LOOKS)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        used, unused = _bytes(library, status)
        if used - usual_used > FREE_BYTES_MAX:
            # Some may be in cycles of references, such as those of errors that graphql-core drops. Python would look
            # for them after so many objects, however large they are.
            gc.collect(1)
            usual_used = used = _bytes(library, status)[0]
        usual_used = min(usual_used, used)
        looks = 0 if unused - usual_unused > FREE_BYTES_MAX else looks + 1
        if looks == 0 or looks in AGAIN_AFTER_LOOKS:
            await asyncio.to_thread(library.malloc_trim, 0)
            unused = usual_unused = _bytes(library, status)[1]
        usual_unused = min(usual_unused, unused)


def _bytes(library: ctypes.CDLL, status: int) -> tuple[int, int]:
    """What the C library has given out, and what the process has in memory beyond that.

    Part of that is code, and Python's own blocks. What the library calls free also counts what it has given back.
    """
    figures = library.mallinfo2()
    resident = int(os.pread(status, _STATUS_BYTES, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    used: int = figures.uordblks + figures.hblkhd
    return used, resident - used
