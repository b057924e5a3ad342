"""`outdial import` and `outdial export`."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from app import ids
from app.transfers import fetching, sending
from app.transfers.remote import JsonObject, Remote, TransferFailed
from app.transfers.sending import COUNTS, Delivered, Watch, Wish
from app.transfers.sources import Source

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
REJECTS_SHOWN_MAX = 10

OutdialId = Annotated[str, typer.Option("--outdial", metavar="ID", help="The outdial's id.")]
Url = Annotated[str, typer.Option(envvar="OUTDIAL_URL", help="The server's address.")]
Token = Annotated[
    str,
    typer.Option(envvar="OUTDIAL_TOKEN", help="The token. outdial token prints one.", show_envvar=True, metavar="JWT"),
]
LOCAL = "http://127.0.0.1:8000"


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_)
    app.command("export")(export)


def import_(
    file: Annotated[Path, typer.Argument(help="A CSV or NDJSON file, also gzipped. - reads standard input.")],
    outdial: OutdialId,
    token: Token = "",
    url: Url = LOCAL,
    kind: Annotated[str | None, typer.Option("--format", help="csv or ndjson. Default: by the file's name.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="HEADER:FIELD",
            help="The field of a column, such as Telefon:phone. Header: leaves the column out.",
        ),
    ] = None,
    extra: Annotated[str | None, typer.Option(help="data: keep unknown columns in the target's data, as JSON.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Such as windows-1252. Default: UTF-8, or the byte order mark.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The region of numbers without a country code, such as DE.")
    ] = None,
    dedupe: Annotated[str, typer.Option(help="Where an address must be unique: none, outdial or customer.")] = "none",
    on_duplicate_key: Annotated[
        str, typer.Option(help="reject, skip or update: for a row whose key exists.")
    ] = "reject",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and store nothing.")] = False,
    max_rejects: Annotated[
        int, typer.Option(min=1, help="The import stops after this number of rejected rows.")
    ] = 100_000,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the rejected rows to a file, with the reasons. Correct it and import it.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Import a file again. By default the same file is imported once.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Import a file of targets. If it stops in the middle, the same command continues after the last imported row."""
    optional = {"map": mapping, "extra": extra, "encoding": encoding, "region": region}
    with told_in_one_line():
        outdial_id, remote = checked_id(outdial), Remote(url, token)
        if rejects is not None:
            fetching.check_writable(rejects)
            _check_rejects(rejects, file)
        with Source.opened(file) as source:
            parameters = _sendable(
                {
                    "format": sending.file_format(source.name, kind),
                    "file_name": source.name[-255:],
                    "dedupe": dedupe,
                    "on_duplicate_key": on_duplicate_key,
                    "dry_run": str(dry_run).lower(),
                    "max_rejects": str(max_rejects),
                    **{name: value for name, value in optional.items() if value},
                }
            )
            key = f"again-{uuid.uuid4()}" if again else sending.key_of(source, outdial_id, parameters)
            is_in = _run(_import(Wish(source, outdial_id, parameters, key), remote, rejects, as_json=as_json))
    if not is_in:
        raise typer.Exit(EXIT_FAILED)


def export(
    outdial: OutdialId,
    token: Token = "",
    url: Url = LOCAL,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write. A name with .gz is compressed. Default: standard output.",
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option("--format", help="csv or ndjson. Default: by the file's name.")] = None,
    attempts: Annotated[bool, typer.Option("--attempts", help="Export the attempts instead of the targets.")] = False,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin a CSV file with a byte order mark, which Excel needs for UTF-8.")
    ] = False,
    status: Annotated[
        list[str] | None, typer.Option(help="Only targets with this status: idle, progressing or done.")
    ] = None,
    done_reason: Annotated[
        list[str] | None, typer.Option(help="Only targets that are done for this reason: answered, exhausted, …")
    ] = None,
    destination: Annotated[str | None, typer.Option(help="Only targets with this address.")] = None,
    key: Annotated[str | None, typer.Option(help="Only the target with this key.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only attempts in this state: claimed, dialing, completed, …")
    ] = None,
    disposition: Annotated[
        list[str] | None, typer.Option(help="Only attempts with this result: answered, busy, no_answer, …")
    ] = None,
    dialer: Annotated[str | None, typer.Option(help="Only attempts of this dialer.")] = None,
    call_id: Annotated[str | None, typer.Option(help="Only attempts with this call id.")] = None,
) -> None:
    """Export an outdial's targets, or its attempts, as a file."""
    wishes: dict[str, Any] = {
        "status": status,
        "done_reason": done_reason,
        "destination": destination,
        "key": key,
        "state": state,
        "disposition": disposition,
        "dialer": dialer,
        "call_id": call_id,
        "bom": "true" if bom else None,
    }
    with told_in_one_line():
        form = "csv" if output is None and kind is None else sending.file_format(output.name if output else "", kind)
        parameters = _sendable({"format": form, **{name: value for name, value in wishes.items() if value is not None}})
        path = f"/v1.0/outdials/{checked_id(outdial)}/{'attempts' if attempts else 'targets'}/export"
        _run(_export(Remote(url, token), path, parameters, output))
        if output is not None:
            typer.echo(f"Wrote {output}, {output.stat().st_size:,} bytes.", err=True)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """An error that the user can correct ends the command with one line."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the output has closed it; the interpreter handles this
    except TransferFailed as error:
        fail(str(error))
    except OSError as error:
        fail(words_of(error))


def words_of(error: OSError) -> str:
    """The system's message, with its file."""
    said = error.strerror or str(error) or type(error).__name__
    return said if error.filename is None else f"{os.fsdecode(error.filename)}: {said}"


def fail(line: str) -> NoReturn:
    typer.echo(f"outdial: {line}", err=True)
    raise typer.Exit(EXIT_FAILED)


def _sendable(parameters: dict[str, Any]) -> sending.Parameters:
    """The parameters of a request.

    Raises:
        TransferFailed: one of them is not text. A shell passes on text in another encoding as bytes.
    """
    for name, value in parameters.items():
        for text in [value] if isinstance(value, str) else value:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise TransferFailed(f"--{name.replace('_', '-')} is not in UTF-8.") from None
    return parameters


def checked_id(text: str) -> str:
    if ids.parse(text) is None:
        raise TransferFailed("--outdial must be a UUID.")
    return text


def _check_rejects(path: Path, imported: Path) -> None:
    if path.is_file() and imported.exists() and path.samefile(imported):
        raise TransferFailed("--rejects has the name of the imported file. Give it another name.")


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("outdial: stopped. The same command continues from here.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


# ---------------------------------------------------------------- import


async def _import(wish: Wish, remote: Remote, rejects: Path | None, *, as_json: bool) -> bool:
    """Whether the whole file was imported."""
    async with remote:
        delivered = await _deliver(remote, wish)
        job = delivered.job
        if rejects is not None:
            await _write_rejects(remote, wish.outdial_id, job["id"], rejects)
        shown = [] if as_json else [row async for row in sending.rejects(remote, job["id"], most=REJECTS_SHOWN_MAX)]
    if as_json:
        typer.echo(json.dumps(job, ensure_ascii=False))
    else:
        _report(wish, delivered, shown, rejects)
    return bool(job["state"] == "COMPLETED")


async def _deliver(remote: Remote, wish: Wish) -> Delivered:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(wish.source.name, total=wish.source.size, rows="")

        def counted(counts: JsonObject) -> None:
            seconds = progress.tasks[0].elapsed or 0.0
            rate = f"{counts['read'] / seconds:,.0f}/s" if seconds else ""
            progress.update(task, rows=f"{counts['read']:,} rows, {counts['rejected']:,} rejected, {rate}")

        watch = Watch(
            sent=lambda total: progress.update(task, completed=total),
            counted=counted,
            noticed=lambda sentence: console.print(
                f"outdial: {sentence}", highlight=False, markup=False, soft_wrap=True
            ),
        )
        return await sending.deliver(remote, wish, watch)


async def _write_rejects(remote: Remote, outdial_id: str, job_id: str, path: Path) -> None:
    """Fetch the file of rejected rows from the server. It can be corrected and imported."""
    console = Console(stderr=True)
    await fetching.fetch_file(
        remote,
        f"/v1.0/outdials/{outdial_id}/imports/{job_id}/rejects",
        {},
        path,
        received=lambda _: None,
        noticed=lambda sentence: console.print(f"outdial: {sentence}", highlight=False, markup=False, soft_wrap=True),
    )


def _report(wish: Wish, delivered: Delivered, shown: list[JsonObject], rejects: Path | None) -> None:
    job, counts = delivered.job, delivered.job["counts"]
    name = delivered.outdial_name or wish.outdial_id
    if job["state"] != "COMPLETED":
        headline = (
            f"{wish.source.name} was not completely imported into {name}: {job['message'] or job['state'].lower()}"
        )
    elif delivered.is_repeat:
        headline = f"{wish.source.name} was already imported into {name}. To import it again, use --again."
    else:
        rows = f"{counts['created'] + counts['updated']:,} of {counts['read']:,} rows of {wish.source.name}"
        headline = f"{rows} imported into {name}:"
        if job["dryRun"]:
            headline = f"{rows} would be imported into {name}. Nothing is stored:"
    typer.echo(headline)
    typer.echo("  " + ", ".join(f"{counts[count]:,} {count}" for count in COUNTS))
    for warning in job["warnings"]:
        typer.echo(f"  {warning}")
    for reject in shown:
        column = f", {reject['column']}" if reject["column"] else ""
        typer.echo(f"  Line {reject['lineNumber']:,}{column}: {reject['message']}")
    more = counts["rejected"] - len(shown)
    if more > 0:
        typer.echo(f"  … and {more:,} more")
    if counts["rejected"] and rejects is None:
        typer.echo("  Use --rejects FILE to write the rejected rows to a file that you can correct and import.")
    elif rejects is not None:
        typer.echo(f"  The rejected rows are in {rejects}.")


# ---------------------------------------------------------------- export


async def _export(remote: Remote, path: str, parameters: sending.Parameters, output: Path | None) -> None:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    async with remote:
        if output is None:
            if sys.stdout is None:
                raise TransferFailed("There is no standard output. Give --output FILE.")
            await fetching.fetch_to(remote, path, parameters, sys.stdout.buffer)
            return
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(output.name, total=None)
            await fetching.fetch_file(
                remote,
                path,
                parameters,
                output,
                received=lambda total: progress.update(task, completed=total),
                noticed=lambda sentence: console.print(
                    f"outdial: {sentence}", highlight=False, markup=False, soft_wrap=True
                ),
            )
