"""`outdial suppressions import` and `outdial suppressions export`: the do-not-call list as a file."""

from typing import Annotated

import typer

from app.transfers.commands import (
    LOCAL,
    Bom,
    Encoding,
    Format,
    GivenFile,
    MappedColumns,
    Output,
    Region,
    Token,
    Url,
    run_to_its_end,
    sendable,
    told_in_one_line,
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(help="The do-not-call list, as a file.", no_args_is_help=True)
    group.command("import")(import_)
    group.command("export")(export)
    app.add_typer(group, name="suppressions")


def import_(
    file: GivenFile,
    token: Token = "",
    url: Url = LOCAL,
    kind: Format = None,
    mapping: MappedColumns = None,
    encoding: Encoding = None,
    region: Region = None,
) -> None:
    """Put the addresses of a file on the do-not-call list: the columns target or phone, type, reason, expires_at."""
    from app.transfers import sending, suppressing
    from app.transfers.remote import Remote
    from app.transfers.sources import Source

    optional = {"map": mapping, "encoding": encoding, "region": region}
    with told_in_one_line():
        remote = Remote(url, token)
        with Source.opened(file) as source:
            form = sending.file_format(source.name, kind)
            parameters = sendable({"format": form, **{name: value for name, value in optional.items() if value}})
            work = suppressing.deliver(
                remote, source, parameters, noticed=lambda said: typer.echo(f"outdial: {said}", err=True)
            )
            suppressing.tell(source.name, run_to_its_end(work))


def export(
    token: Token = "",
    url: Url = LOCAL,
    output: Output = None,
    kind: Format = None,
    bom: Bom = False,
    source: Annotated[
        list[str] | None, typer.Option(help="Only addresses from this source: owner, callee or import.")
    ] = None,
) -> None:
    """Export the do-not-call list as a file, which can be imported again."""
    from app.transfers import sending, suppressing, working
    from app.transfers.remote import Remote

    with told_in_one_line():
        form = "csv" if output is None and kind is None else sending.file_format(output.name if output else "", kind)
        wishes = {"source": source, "bom": "true" if bom else None}
        parameters = sendable({"format": form, **{name: value for name, value in wishes.items() if value is not None}})
        run_to_its_end(working.export_file(Remote(url, token), suppressing.EXPORT_PATH, parameters, output))
        if output is not None:
            typer.echo(f"Wrote {output}, {output.stat().st_size:,} bytes.", err=True)
