"""Fetches an export into a file, which is complete or does not exist."""

import asyncio
import gzip
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import httpx

from app.transfers.failures import TransferFailed
from app.transfers.remote import PASSING, Passing, Remote, error_of, failure, refusal, retry_after
from app.transfers.sending import MEDIA_TYPES, Parameters

TRIES_MAX = 6
WAIT_SECONDS_MAX = 30.0
SILENT_SECONDS_MAX = 60


async def fetch_file(
    remote: Remote,
    path: str,
    parameters: Parameters,
    target: Path,
    *,
    received: Callable[[int], None],
    noticed: Callable[[str], None],
) -> None:
    """Fetch into a temporary file, which replaces the target at the end. If the name ends in .gz, it is compressed.

    A pipe or a device is not replaced, and gets the export directly. Errors are then not retried.

    Args:
        remote: the server.
        path: of the REST call.
        parameters: of it.
        target: the file.
        received: gets the number of bytes so far.
        noticed: gets a sentence about each error that is retried.

    Raises:
        TransferFailed: the server refuses, or did not answer `TRIES_MAX` times in a row.
        OSError: the file cannot be written.
    """
    check_writable(target)
    if _is_stream(target):
        with target.open("wb") as stream:
            await _fetch_once(remote, path, parameters, stream, received=received)
        return
    target, part = _places(target)
    wait = 1.0
    try:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                with ExitStack() as stack:
                    file: BinaryIO = stack.enter_context(part.open("wb"))
                    if target.suffix == ".gz":
                        file = cast("BinaryIO", stack.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0)))
                    await fetch(remote, path, parameters, file, received=received)
                part.replace(target)
            except Passing as problem:
                if problem.never_connected and attempt == 1:
                    raise TransferFailed(f"{problem} Is it at {remote.http.base_url}?") from None
                if attempt == TRIES_MAX:
                    raise TransferFailed(f"{problem} Gave up after {attempt} tries.") from None
                pause = min(WAIT_SECONDS_MAX, max(wait, problem.wait or 0.0))
                noticed(f"{problem} Starting again in {pause:.0f} s.")
                await asyncio.sleep(pause)
                wait *= 2
            else:
                return
    finally:
        part.unlink(missing_ok=True)


def _places(target: Path) -> tuple[Path, Path]:
    """The real file, if the target is a link, and the temporary file beside it."""
    found = target.resolve()
    return found, found.with_name(f".{found.name[:200]}.{os.getpid()}.part")


def _is_stream(target: Path) -> bool:
    return target.exists() and not target.is_file()


def check_writable(target: Path) -> None:
    """Check that a file can be written, before there is anything to write.

    Raises:
        TransferFailed: it cannot.
    """
    if target.is_dir():
        raise TransferFailed(f"{target} is a folder.")
    folder = target.resolve().parent
    if not folder.is_dir():
        raise TransferFailed(f"{target}: the folder {folder} does not exist.")
    if not os.access(folder if not target.exists() or target.is_file() else target, os.W_OK):
        raise TransferFailed(f"{target} cannot be written: permission denied.")


async def fetch_to(remote: Remote, path: str, parameters: Parameters, file: BinaryIO) -> None:
    """Write an export directly to an output that cannot be restarted.

    Raises:
        TransferFailed.
    """
    await _fetch_once(remote, path, parameters, file, received=lambda _: None)


async def _fetch_once(
    remote: Remote, path: str, parameters: Parameters, file: BinaryIO, *, received: Callable[[int], None]
) -> None:
    try:
        await fetch(remote, path, parameters, file, received=received)
    except Passing as problem:
        raise TransferFailed(f"{problem} The output is incomplete.") from None
    file.flush()


async def fetch(
    remote: Remote, path: str, parameters: Parameters, file: BinaryIO, *, received: Callable[[int], None]
) -> None:
    """Write an export while it arrives.

    Raises:
        TransferFailed, Passing.
    """
    total = 0
    timeout = httpx.Timeout(SILENT_SECONDS_MAX, connect=10)
    try:
        async with remote.http.stream("GET", path, params=dict(parameters), timeout=timeout) as response:
            if response.status_code != httpx.codes.OK:
                await response.aread()
                if response.status_code in PASSING:
                    raise Passing(refusal(response), retry_after(response))
                raise TransferFailed(refusal(response)) if error_of(response) else remote.is_no_outdial_server(response)
            if not _is_export(response):  # a page to log in, from a proxy or from another server
                raise remote.is_no_outdial_server(response)
            async for piece in response.aiter_bytes():
                file.write(piece)
                total += len(piece)
                received(total)
    except httpx.RequestError as error:
        raise failure(error) from None


def _is_export(response: httpx.Response) -> bool:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in MEDIA_TYPES.values()
