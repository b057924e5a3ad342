"""Sends a file to an import, repeatedly with one key, until it is imported or refused."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.transfers.failures import TransferFailed
from app.transfers.remote import (
    PASSING,
    JsonObject,
    Passing,
    Remote,
    error_of,
    failure,
    refusal,
    retry_after,
)
from app.transfers.sources import Source

STALLED_SECONDS_MAX = 900
"""How long the server may read no bytes: other imports may run first."""
POLL_SECONDS = 0.5
TRIES_MAX = 12
"""In a row without an imported row: about five minutes."""
FIRST_TRIES_MAX = 3
"""If nothing there has ever spoken HTTP: about five seconds."""
WAIT_SECONDS_MAX = 60.0
MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xls", ".ods"})

Parameters = Mapping[str, str | Sequence[str]]

COUNTS = ("read", "created", "updated", "skipped", "rejected")
_JOB_FIELDS = {"id", "state", "stopReason", "message", "dryRun", "warnings", "counts"}
_JOB = """id fileName state stopReason message dryRun warnings tmCreate startedAt finishedAt
  counts { read created updated skipped rejected suppressed }"""
_BY_KEY = f"""query ByKey($id: ID!, $key: String!) {{ outdial(id: $id) {{
  name imports(first: 1, where: {{ idempotencyKey: $key }}) {{ nodes {{ {_JOB} }} }} }} }}"""
_REJECTS = """query Rejects($id: ID!, $first: Int!, $after: String) { importJob(id: $id) {
  rejects(first: $first, after: $after) { pageInfo { hasNextPage endCursor }
  nodes { lineNumber column code message row } } } }"""
REJECTS_PAGE = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """The file to import, and the options."""

    source: Source
    outdial_id: str
    parameters: Parameters
    """The parameters of the REST call."""
    key: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Callbacks for the progress."""

    sent: Callable[[int], None]
    """Bytes of the file so far; starts at zero with every try."""
    counted: Callable[[JsonObject], None]
    """The job's counts."""
    noticed: Callable[[str], None]
    """A sentence about an error that is retried."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of the file."""

    job: JsonObject
    outdial_name: str
    is_repeat: bool
    """It was already imported; nothing was sent."""


def file_format(name: str, named: str | None) -> str:
    """The format of a file, from --format or its name.

    Raises:
        TransferFailed: neither gives it.
    """
    if named is not None:
        if named not in MEDIA_TYPES:
            raise TransferFailed("--format must be csv or ndjson.")
        return named
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix in _WORKBOOKS:
        raise TransferFailed(f"{name} is a workbook. Save its sheet as CSV.")
    found = _SUFFIXES.get(suffix)
    if found is None:
        raise TransferFailed(f"{name}: its format is unknown. Give --format csv or --format ndjson.")
    return found


def key_of(source: Source, outdial_id: str, parameters: Parameters) -> str:
    """The same for the same file, outdial and parameters on any machine, so that the import is done once."""
    said = json.dumps([outdial_id.lower(), source.digest(), sorted(parameters.items())])
    return f"file-{hashlib.sha256(said.encode()).hexdigest()}"


async def deliver(remote: Remote, wish: Wish, watch: Watch) -> Delivered:
    """Send the file until it is imported or refused.

    Raises:
        TransferFailed: the server refuses it, or did not answer several times in a row.
    """
    attempt, rows_before, wait = 0, 0, 1.0
    while True:
        attempt += 1
        try:
            name, job = await _find(remote, wish)
            if job is not None and job["state"] == "COMPLETED":
                return Delivered(job, name, is_repeat=attempt == 1 and rows_before == 0)
            await _send(remote, wish, watch)
            _, job = await _find(remote, wish)
            if job is None:
                raise TransferFailed("The server no longer has the import.")
            return Delivered(job, name, is_repeat=False)
        except Passing as problem:
            rows, known = await _standing(remote, wish)
            if known is not None:
                return known
            if problem.never_connected and attempt == 1 and not rows_before:
                raise TransferFailed(f"{problem} Is it at {remote.http.base_url}?") from None
            if rows > rows_before:
                attempt, rows_before, wait = 0, rows, 1.0
            elif attempt >= (TRIES_MAX if remote.has_answered else FIRST_TRIES_MAX):
                raise TransferFailed(
                    f"{problem} Gave up after {attempt} tries. Run the same command again to continue."
                ) from None
            pause = min(WAIT_SECONDS_MAX, max(wait, problem.wait or 0.0))
            watch.noticed(
                f"{problem} Sending the file again in {pause:.0f} s. It continues after the last imported row."
            )
            await asyncio.sleep(pause)
            wait = min(WAIT_SECONDS_MAX, 2 * wait)


async def rejects(remote: Remote, job_id: str, *, most: int | None = None) -> AsyncIterator[JsonObject]:
    """The rejected rows in the order of the file: all of them, or the first `limit`."""
    after: str | None = None
    while most is None or most > 0:
        first = REJECTS_PAGE if most is None else min(most, REJECTS_PAGE)
        data = await remote.ask(_REJECTS, id=job_id, first=first, after=after)
        try:
            page = data["importJob"]["rejects"]
            nodes, more, after = page["nodes"], page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        except (LookupError, TypeError):
            raise remote.is_no_outdial_server() from None
        for reject in nodes:
            yield reject
        if not more:
            return
        most = None if most is None else most - first


async def _find(remote: Remote, wish: Wish) -> tuple[str, JsonObject | None]:
    data = await remote.ask(_BY_KEY, id=wish.outdial_id, key=wish.key)
    try:
        outdial = data["outdial"]
        found = None if outdial is None else (outdial["name"], _first_job(outdial["imports"]["nodes"]))
    except (LookupError, TypeError):
        raise remote.is_no_outdial_server() from None
    if found is None:
        raise TransferFailed(f"Outdial {wish.outdial_id} not found. Check --outdial and the token's customer.")
    return found


def _first_job(nodes: Sequence[JsonObject]) -> JsonObject | None:
    """The first job; None if there is none.

    Raises:
        LookupError, TypeError: it is no job.
    """
    if not nodes:
        return None
    job = nodes[0]
    has_all = isinstance(job, dict) and job.keys() >= _JOB_FIELDS and isinstance(job["warnings"], list)
    if not has_all or not all(isinstance(job["counts"][name], int) for name in (*COUNTS, "suppressed")):
        raise TypeError("this is no import job")
    return job


async def _standing(remote: Remote, wish: Wish) -> tuple[int, Delivered | None]:
    """After an answer was lost: how many rows are imported, and the job if it has ended for good."""
    try:
        name, job = await _find(remote, wish)
    except (Passing, TransferFailed):
        return 0, None
    if job is None:
        return 0, None
    is_final = job["state"] in {"COMPLETED", "FAILED", "CANCELED"} and job["stopReason"] != "INTERRUPTED"
    return job["counts"]["read"], Delivered(job, name, is_repeat=False) if is_final else None


async def _send(remote: Remote, wish: Wish, watch: Watch) -> None:
    """One upload. Returns if the server has answered with a result, good or bad.

    Raises:
        TransferFailed, Passing.
    """
    watching = asyncio.create_task(_watch(remote, wish, watch))
    try:
        response = await remote.http.post(
            f"/v1.0/outdials/{wish.outdial_id}/targets/import",
            params={name: value for name, value in wish.parameters.items() if name != "format"},
            headers={
                "Content-Type": MEDIA_TYPES[str(wish.parameters["format"])],
                "Idempotency-Key": wish.key,
            },
            content=_pieces(wish.source, watch.sent),
            timeout=httpx.Timeout(STALLED_SECONDS_MAX, connect=10),
        )
    except httpx.RequestError as error:
        raise failure(error) from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if response.status_code in PASSING:
        raise Passing(refusal(response), retry_after(response))
    if response.status_code != httpx.codes.OK and "import" not in error_of(response):
        raise TransferFailed(refusal(response))


async def _pieces(source: Source, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    total = 0
    for piece in source.pieces():
        yield piece
        total += len(piece)
        sent(total)


async def _watch(remote: Remote, wish: Wish, watch: Watch) -> None:
    while True:
        await asyncio.sleep(POLL_SECONDS)
        with suppress(Passing, TransferFailed):  # the sender gets the error
            _, job = await _find(remote, wish)
            if job is not None:
                watch.counted(job["counts"])
