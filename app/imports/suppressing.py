"""Files of addresses that must not be called: read like files of targets, and put on the do-not-call list.

There is no job: a row changes nothing if its addresses are on the list for as long already (`app.entries`), so a file
that was cut off is sent again. The file is read by the same processes, in the same turns, and neither it nor its rows
are held in memory.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice

from app import db, suppressions, validation
from app.auth import Viewer
from app.errors import Unavailable
from app.files import columns
from app.files.columns import NAMES
from app.files.drafting import RejectedRow
from app.files.protocol import Chunk, Ended, Task
from app.imports import readers
from app.imports.readers import Readers
from app.imports.running import Stopping, beside, checked, until
from app.imports.turning import ImportTurns, Place
from app.records import ImportOptions, ImportStopReason, SuppressionSource
from app.sheets import LEDGER_COLUMNS
from app.suppressions import SUPPRESSIONS_MAX, Checked

REJECTS_SHOWN_MAX = 100
_OURS = {
    "target": "destination_0_target",
    "type": "destination_0_type",
    "reason": "name",
    "expires_at": "not_before",
}
_ADDRESSES = {
    name for name in NAMES if name.endswith(("_target", "_type")) or name.startswith(("phone", "email", "sip"))
}
_MAPPING = {
    **dict.fromkeys((*(NAMES - _ADDRESSES), *LEDGER_COLUMNS, "id", "outdial_id", "source", "callback"), ""),
    **_OURS,
}
"""What else a file of targets has is passed over, so that such a file suppresses all of its addresses."""
_FIELDS = frozenset({*_OURS, *_ADDRESSES})
"""To which the sender can map columns."""


@dataclass(slots=True)
class Report:
    """What has come of a file."""

    read: int = 0
    added: int = 0
    """Rows that put an address on the list, or kept one on it for longer."""
    unchanged: int = 0
    """Rows whose addresses were all on the list for as long already."""
    expired: int = 0
    """Rows whose time is over already: they are left out."""
    rejected: int = 0
    rejects: list[RejectedRow] = field(default_factory=list)
    """The first of them."""
    warnings: tuple[str, ...] = ()
    reason: ImportStopReason | None = None
    """Why the file could not be read to its end; None if it was. The rows before are on the list."""
    message: str = ""


async def run(
    viewer: Viewer,
    *,
    options: ImportOptions,
    pieces: AsyncIterator[bytes],
    turns: ImportTurns,
    stopping: asyncio.Event,
    is_gzip: bool = False,
) -> Report:
    """Suppress the addresses of a file while it arrives, with the source IMPORT.

    Args:
        viewer: whose list it is.
        options: of which only the format, the mapping, the encoding and the region count.
        pieces: the file's bytes.
        turns: of this server, the same as for other imports.
        stopping: set when the server begins to stop.
        is_gzip: as of `running.run`.

    Raises:
        Rejected: INVALID options.
        Unavailable: the database is away, the server stops, too many imports wait, or the file came too slowly
            while others waited. Send the file again.
    """
    options = checked(options, _FIELDS)
    given = columns.parse_mapping(options.mapping, _FIELDS)
    task = Task(
        is_ndjson=options.is_ndjson,
        is_gzip=is_gzip,
        for_postgres=db.is_postgres(),
        encoding=options.encoding,
        region=options.region,
        mapping=_MAPPING | {name: _OURS.get(meant, meant) for name, meant in given.items()},
        needed=list(given),
        extra_kept=False,
        compares_addresses=False,
        updates=True,  # chunks then have the values of their rows
        settled_line=0,
        settled_digest="",
    )
    try:
        async with turns.place(viewer.customer_id) as place, readers.started(task) as both:
            others = [both.feed(place.pace.of(pieces)), both.watch(), place.until_displaced(), until(stopping)]
            return await beside(_take_in(viewer, both, place), others)
    except Stopping:
        raise Unavailable("The server stops. Send the file again: what is on the list already stays.") from None


async def _take_in(viewer: Viewer, both: Readers, place: Place) -> Report:
    report, waiting = Report(), list[list[Checked]]()
    async for part in both.chunks():
        if isinstance(part, Ended):
            while waiting:
                await _store(viewer, place, waiting, report)
            report.reason, report.message, report.warnings = part.reason, part.message, tuple(part.warnings)
            return report
        waiting += await _judged(report, part)
        while sum(map(len, waiting)) >= SUPPRESSIONS_MAX:
            await _store(viewer, place, waiting, report)
    raise AssertionError("a file ends with its end")


async def _judged(report: Report, chunk: Chunk) -> list[list[Checked]]:
    """The addresses of each row of a chunk. The report counts those that are not stored."""
    assert chunk.targets is not None
    report.read += len(chunk.targets) + len(chunk.rejects)
    report.rejected += len(chunk.rejects)
    report.rejects += map(_in_our_words, chunk.rejects[: REJECTS_SHOWN_MAX - len(report.rejects)])
    now = await db.now()
    found = []
    for target in chunk.targets:
        if target.not_before is not None and target.not_before <= now:
            report.expired += 1
            continue
        reason = target.name[: validation.REASON_CHARACTERS_MAX]
        found.append([Checked(one, reason, target.not_before) for one in target.destinations if one is not None])
    return found


def _in_our_words(reject: RejectedRow) -> RejectedRow:
    """A row of such a file is no target, so it has no destination to set."""
    return replace(reject, message=reject.message.replace(validation.NO_DESTINATION, "The row has no address."))


async def _store(viewer: Viewer, place: Place, waiting: list[list[Checked]], report: Report) -> None:
    """Store the first rows of those that wait, with as many addresses as a transaction takes."""
    sums = accumulate(map(len, waiting))
    stored_rows = waiting[: sum(addresses <= SUPPRESSIONS_MAX for addresses in sums)]
    del waiting[: len(stored_rows)]
    async with place.storing():
        given = [one for row in stored_rows for one in row]
        stored = await suppressions.store_checked(viewer, given, SuppressionSource.IMPORT)
    changed = iter(stored.changed)
    added = sum(any(list(islice(changed, len(row)))) for row in stored_rows)
    report.added += added
    report.unchanged += len(stored_rows) - added
