"""`outdial import` and `outdial export`. What only they need is imported by them: a server starts without it."""

import asyncio
import os
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from app import descriptors, ids
from app.transfers.failures import TransferFailed

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

OutdialId = Annotated[str, typer.Option("--outdial", metavar="ID", help="The outdial's id.")]
Url = Annotated[str, typer.Option(envvar="OUTDIAL_URL", help="The server's address.")]
Token = Annotated[
    str,
    typer.Option(envvar="OUTDIAL_TOKEN", help="The token. outdial token prints one.", show_envvar=True, metavar="JWT"),
]
GivenFile = Annotated[Path, typer.Argument(help="A CSV or NDJSON file, also gzipped. - reads standard input.")]
Format = Annotated[str | None, typer.Option("--format", help="csv or ndjson. Default: by the file's name.")]
MappedColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="HEADER:FIELD",
        help="The field of a column, such as Telefon:phone. Header: leaves the column out.",
    ),
]
Encoding = Annotated[str | None, typer.Option(help="Such as windows-1252. Default: UTF-8, or the byte order mark.")]
Region = Annotated[str | None, typer.Option(help="The region of numbers without a country code, such as DE.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The file to write. A name with .gz is compressed. Default: standard output.",
    ),
]
Bom = Annotated[
    bool, typer.Option("--bom", help="Begin a CSV file with a byte order mark, which Excel needs for UTF-8.")
]
LOCAL = "http://127.0.0.1:8000"


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_)
    app.command("export")(export)


def import_(
    file: GivenFile,
    outdial: OutdialId,
    token: Token = "",
    url: Url = LOCAL,
    kind: Format = None,
    mapping: MappedColumns = None,
    extra: Annotated[str | None, typer.Option(help="data: keep unknown columns in the target's data, as JSON.")] = None,
    encoding: Encoding = None,
    region: Region = None,
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
    from app.transfers import fetching, sending, working
    from app.transfers.remote import Remote
    from app.transfers.sources import Source

    optional = {"map": mapping, "extra": extra, "encoding": encoding, "region": region}
    with told_in_one_line():
        outdial_id, remote = checked_id(outdial), Remote(url, token)
        if rejects is not None:
            fetching.check_writable(rejects)
            _check_rejects(rejects, file)
        with Source.opened(file) as source:
            parameters = sendable(
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
            is_in = run_to_its_end(
                working.import_file(sending.Wish(source, outdial_id, parameters, key), remote, rejects, as_json=as_json)
            )
    if not is_in:
        raise typer.Exit(EXIT_FAILED)


def export(
    outdial: OutdialId,
    token: Token = "",
    url: Url = LOCAL,
    output: Output = None,
    kind: Format = None,
    attempts: Annotated[bool, typer.Option("--attempts", help="Export the attempts instead of the targets.")] = False,
    bom: Bom = False,
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
    from app.transfers import sending, working
    from app.transfers.remote import Remote

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
        parameters = sendable({"format": form, **{name: value for name, value in wishes.items() if value is not None}})
        path = f"/v1.0/outdials/{checked_id(outdial)}/{'attempts' if attempts else 'targets'}/export"
        run_to_its_end(working.export_file(Remote(url, token), path, parameters, output))
        if output is not None:
            typer.echo(f"Wrote {output}, {output.stat().st_size:,} bytes.", err=True)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """An error that the user can correct ends the command with one line."""
    try:
        descriptors.need(descriptors.COMMAND_FILES_MIN)
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


def sendable(parameters: dict[str, Any]) -> dict[str, Any]:
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


def run_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("outdial: stopped. The same command continues from here.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
