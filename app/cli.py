"""The command line: parses, calls and prints."""

import asyncio
import logging
import math
import os
import socket
import sqlite3
import sys
from collections.abc import Coroutine
from contextlib import ExitStack
from datetime import timedelta
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
import structlog
import typer
from tortoise.exceptions import DBConnectionError, OperationalError

from app import auth, db, descriptors, ids, logs, memory, tracing
from app.auth import Scope
from app.errors import Unavailable
from app.settings import Settings, SettingsError, ensure_secret, find_secret
from app.transfers import commands, listing
from app.transfers.failures import TransferFailed

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2
DEFAULT_URL = "http://127.0.0.1:8000"
# What the drivers raise if the database is away, refuses the login, or is not a database.
_DATABASE_ERRORS = (
    Unavailable,
    OSError,
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    DBConnectionError,
    OperationalError,
)
_log = structlog.get_logger("outdial.cli")

# Typer's own tracebacks show local variables, and those hold secrets.
app = typer.Typer(
    name="outdial",
    help="An open GraphQL server for outbound calling lists.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """The program. An error that the user can correct is one line on standard error, never a traceback."""
    _occupy_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file's name may have bytes that are not text
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SettingsError as error:
        _fail(str(error), EXIT_WRONG_SETTING)
    except OSError as error:  # a full disk or a missing folder is the machine's state, not a bug
        _fail(commands.words_of(error), EXIT_FAILED)


def _occupy_closed_streams() -> None:
    """Otherwise the next file that is opened, such as the database, takes the place of a closed standard stream."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _print_version(wanted: bool) -> None:
    from importlib.metadata import PackageNotFoundError, version

    if not wanted:
        return
    try:
        number = version("outdial")
    except PackageNotFoundError:  # run from a checkout
        number = "(not installed)"
    typer.echo(f"outdial {number}")
    raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """An open GraphQL server for outbound calling lists."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port. 0 picks a free one.")] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Number of server processes. More than 1 needs PostgreSQL.")
    ] = 1,
) -> None:
    """Start the server: the API and the dashboard."""
    memory.share_heap()
    settings = _settings_of_server()
    descriptors.need(descriptors.SERVER_FILES_MIN + (workers - 1) * descriptors.WORKER_FILES_MIN)
    if workers > 1 and settings.is_sqlite:
        _fail("--workers above 1 needs PostgreSQL: set OUTDIAL_DATABASE_URL to postgresql://…", EXIT_WRONG_SETTING)
    settings = ensure_secret(settings, announce=_say)
    auth.TokenReader(settings)  # so that a wrong key fails at the start, not in a request
    if settings.tracing == "on":
        tracing.check()
    logs.configure(settings)  # again: the log must not repeat the secret
    if not _run_on_database(_prepare(settings)):
        _fail("the database's schema is not up to date; run: outdial migrate", EXIT_FAILED)

    listener, *others = _listen(settings, host, port)
    url = f"http://{_link_host(host)}:{listener.getsockname()[1]}{settings.base_path}"
    for line in (f"Outdial listens on {url}", f"Dashboard: {url}/", f"GraphiQL: {url}/graphql"):
        _print(line)
    if others:
        _print(f"Metrics: http://{_link_host(settings.metrics_host)}:{settings.metrics_port}/metrics")
    if not _serve(settings, [listener, *others], workers):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port. 0 picks a free one.")] = 8000,
) -> None:
    """Start a server with a temporary database, sample outdials and a dialer that only pretends to call."""
    from app import demo as demonstration

    descriptors.need(descriptors.SERVER_FILES_MIN)
    demonstration.run(port)


@app.command()
def dial(
    outdial: commands.OutdialId,
    token: commands.Token = "",
    url: commands.Url = DEFAULT_URL,
    name: Annotated[
        str, typer.Option(help="A name that no other dialer has. Keep it when you restart the dialer.")
    ] = "dialer-1",
    lines: Annotated[int, typer.Option(min=1, max=100, help="Number of calls at the same time.")] = 10,
) -> None:
    """Call the targets of an outdial with the reference dialer. Its calls are simulated.

    Ctrl-C stops it after the calls in progress have ended. A second Ctrl-C stops it at once.
    """
    from app.demo import dialer
    from app.transfers import remote

    with commands.told_in_one_line():
        logging.basicConfig(format="outdial: %(message)s", level=logging.WARNING)
        try:
            asyncio.run(dialer.main(remote.client(url, token), commands.checked_id(outdial), name, lines))
        except* dialer.CannotDial as problem:
            raise TransferFailed(str(problem.exceptions[0])) from None


@app.command()
def migrate(
    distribute: Annotated[
        bool,
        typer.Option("--distribute", help="Also distribute the tables by customer over the nodes of a Citus cluster."),
    ] = False,
) -> None:
    """Update the database's schema to this version."""
    settings = _settings_of_server()
    descriptors.need(descriptors.COMMAND_FILES_MIN)
    if distribute and settings.is_sqlite:
        _fail("--distribute needs PostgreSQL: set OUTDIAL_DATABASE_URL to postgresql://…", EXIT_WRONG_SETTING)
    lines = _run_on_database(_migrate(settings.database_url, distribute=distribute))
    for line in lines:
        _print(line)


@app.command()
def token(
    customer: Annotated[str, typer.Option(help="The customer's UUID.")],
    subject: Annotated[str, typer.Option(help="The name of the person or program that will use the token.")] = "",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What the token allows. Repeat it for several. Default: all.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.001, max=87_600, help="How long the token is valid, in hours.")] = 24,
    link: Annotated[
        bool, typer.Option("--link", help="Print a link to the dashboard that contains the token.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="The dashboard's address, for --link. Default: http://127.0.0.1:8000 and OUTDIAL_BASE_PATH."),
    ] = None,
) -> None:
    """Print a token for the server, or a link that logs in to the dashboard.

    Run it in the folder in which the server runs, or with the same settings.
    """
    if ids.parse(customer) is None:
        raise typer.BadParameter("must be a UUID", param_hint="--customer")
    if math.isnan(hours):
        raise typer.BadParameter("must be a number", param_hint="--hours")
    for option, text in (("--subject", subject), ("--url", url or "")):
        if not text.isprintable():  # as text that is typed in another encoding than UTF-8
            raise typer.BadParameter("must be printable text in UTF-8", param_hint=option)
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://", param_hint="--url")
    settings = find_secret(Settings.load())
    made = auth.issue(settings, customer, subject, scope or list(Scope), timedelta(hours=hours))
    # The part after # stays in the browser: no server and no proxy sees it.
    place = f"{DEFAULT_URL}{settings.base_path}" if url is None else url.rstrip("/")
    typer.echo(f"{place}/#token={made}" if link else made)


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from app.graphql.schema import schema as graphql_schema

    typer.echo(graphql_schema.as_str().rstrip("\n"))


commands.add_to(app)
listing.add_to(app)


# ---------------------------------------------------------------- the database


async def _prepare(settings: Settings) -> bool:
    """Whether the schema is current. A SQLite file is migrated here; PostgreSQL only by `outdial migrate`."""
    if settings.is_sqlite:
        db.claim(settings.database_url)
        await db.migrate(settings.database_url)
        return True
    await db.connect(settings.database_url, pool_size=settings.database_pool_size)
    try:
        return await db.schema_is_current()
    finally:
        await db.close()


async def _migrate(url: str, *, distribute: bool) -> list[str]:
    """Lines that say what was done."""
    if not distribute:
        return [f"Applied {name}" for name in await db.migrate(url)] or ["The schema is current."]
    applied, distributed = await db.distribute(url)
    lines = [f"Applied {name}" for name in applied] + [f"Distributed {table}" for table in distributed]
    return lines or ["The schema is current, and all tables are distributed."]


def _run_on_database(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except _DATABASE_ERRORS as error:
        _refuse_database(error)


def _refuse_database(error: Exception) -> NoReturn:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    _fail(f"OUTDIAL_DATABASE_URL: cannot use the database: {logs.redact(reason)}", EXIT_FAILED)


# ---------------------------------------------------------------- serving


def _listen(settings: Settings, host: str, port: int) -> list[socket.socket]:
    """The listeners: of the server, then of the metrics if they have a port of their own."""
    if port and port == settings.metrics_port:
        _fail(f"OUTDIAL_METRICS_PORT: must not be {port}, which is the server's own port", EXIT_WRONG_SETTING)
    places = [(host, port)]
    if settings.metrics_port is not None:
        places.append((settings.metrics_host, settings.metrics_port))
    with ExitStack() as stack:
        listeners = [stack.enter_context(_listener(*place)) for place in places]
        stack.pop_all()  # from here on the server closes them
    return listeners


def _listener(host: str, port: int) -> socket.socket:
    from app.server import running

    try:
        return running.listen(host, port)
    except OSError as error:
        _fail(f"cannot listen on {host}, port {port}: {error.strerror}", EXIT_FAILED)
    except UnicodeError:  # a name that DNS does not allow
        _fail(f"cannot listen on {host}, port {port}: this is not a host name", EXIT_FAILED)


def _link_host(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - if all addresses are served, a link needs one of them
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _serve(settings: Settings, listeners: list[socket.socket], workers: int) -> bool:
    """Serve until stopped. Returns whether it ever served."""
    from app.server import running

    if workers == 1:
        return running.serve_here(settings, listeners)
    running.serve_by_workers(settings, workers, listeners)
    return True


# ---------------------------------------------------------------- printing


def _settings_of_server() -> Settings:
    """The settings. Configures the log.

    A wrong setting is reported in the log's format too, because a log collector accepts no other lines.
    """
    if any(name.upper() == "OUTDIAL_LOG_FORMAT" and text.lower() == "json" for name, text in os.environ.items()):
        logs.configure(Settings.model_construct(log_format="json"))
    settings = Settings.load()
    logs.configure(settings)
    return settings


def _print(line: str) -> None:
    """Print a line of the command's output: on standard output, or in the log if that is JSON."""
    if logs.writes_json():
        _log.info(line)
    else:
        typer.echo(line)


def _say(sentence: str) -> None:
    """Print a note: on standard error, or in the log if that is JSON."""
    if logs.writes_json():
        _log.info(sentence)
    else:
        typer.echo(sentence, err=True)


def _fail(line: str, code: int) -> NoReturn:
    if logs.writes_json():
        _log.error(line)
    else:
        typer.echo(f"outdial: {line}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
