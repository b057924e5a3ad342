"""The work of `outdial import` and `outdial export`: a file sent or fetched, and what is printed meanwhile."""

import json
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from app.transfers import fetching, sending
from app.transfers.failures import TransferFailed
from app.transfers.remote import JsonObject, Remote
from app.transfers.sending import COUNTS, Delivered, Watch, Wish

REJECTS_SHOWN_MAX = 10

# ---------------------------------------------------------------- import


async def import_file(wish: Wish, remote: Remote, rejects: Path | None, *, as_json: bool) -> bool:
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
    if counts["suppressed"]:
        which = "has all its" if counts["suppressed"] == 1 else "have all their"
        typer.echo(f"  {counts['suppressed']:,} of them {which} addresses on the do-not-call list")
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


async def export_file(remote: Remote, path: str, parameters: sending.Parameters, output: Path | None) -> None:
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
