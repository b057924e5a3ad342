"""Sends a file of addresses that must not be called. Sent again, it changes nothing: each try sends all of it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import typer

from app.transfers.failures import TransferFailed
from app.transfers.remote import PASSING, JsonObject, Passing, Remote, failure, json_object, refusal, retry_after
from app.transfers.sending import (
    FIRST_TRIES_MAX,
    MEDIA_TYPES,
    STALLED_SECONDS_MAX,
    TRIES_MAX,
    WAIT_SECONDS_MAX,
    Parameters,
)
from app.transfers.sources import Source

IMPORT_PATH, EXPORT_PATH = "/v1.0/suppressions/import", "/v1.0/suppressions/export"
REJECTS_PRINTED_MAX = 10
_COUNTS = ("read", "added", "unchanged", "expired", "rejected")


async def deliver(
    remote: Remote, source: Source, parameters: Parameters, *, noticed: Callable[[str], None]
) -> JsonObject:
    """Send the file until the server has read it or refuses it. Returns the server's report.

    Raises:
        TransferFailed: the server refuses it, or did not answer several times in a row.
    """
    wait = 1.0
    async with remote:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                return await _send(remote, source, parameters)
            except Passing as problem:
                if problem.never_connected and attempt == 1:
                    raise TransferFailed(f"{problem} Is it at {remote.http.base_url}?") from None
                if attempt == (TRIES_MAX if remote.has_answered else FIRST_TRIES_MAX):
                    raise TransferFailed(f"{problem} Gave up after {attempt} tries.") from None
                pause = min(WAIT_SECONDS_MAX, max(wait, problem.wait or 0.0))
                noticed(f"{problem} Sending the file again in {pause:.0f} s.")
                await asyncio.sleep(pause)
                wait *= 2
    raise AssertionError("the last try returns or raises")


async def _send(remote: Remote, source: Source, parameters: Parameters) -> JsonObject:
    try:
        response = await remote.http.post(
            IMPORT_PATH,
            params={name: value for name, value in parameters.items() if name != "format"},
            headers={"Content-Type": MEDIA_TYPES[str(parameters["format"])]},
            content=_pieces(source),
            timeout=httpx.Timeout(STALLED_SECONDS_MAX, connect=10),
        )
    except httpx.RequestError as error:
        raise failure(error) from None
    remote.has_answered = True
    if response.status_code in PASSING:
        raise Passing(refusal(response), retry_after(response))
    if response.status_code != httpx.codes.OK:
        raise TransferFailed(refusal(response))
    report = json_object(response)
    if not isinstance(report.get("counts"), dict) or not isinstance(report.get("rejects"), list):
        raise remote.is_no_outdial_server(response)
    return report


async def _pieces(source: Source) -> AsyncIterator[bytes]:
    for piece in source.pieces():
        yield piece


def tell(name: str, report: JsonObject) -> None:
    """Print what has come of the file."""
    counts = report["counts"]
    listed = counts["added"] + counts["unchanged"]
    typer.echo(f"{listed:,} of {counts['read']:,} rows of {name} are on the do-not-call list:")
    typer.echo("  " + ", ".join(f"{counts[count]:,} {count}" for count in _COUNTS))
    for warning in report.get("warnings", ()):
        typer.echo(f"  {warning}")
    for reject in report["rejects"][:REJECTS_PRINTED_MAX]:
        typer.echo(f"  line {reject['line_number']}: {reject['message']}")
    more = counts["rejected"] - len(report["rejects"][:REJECTS_PRINTED_MAX])
    if more > 0:
        typer.echo(f"  … and {more:,} more")
