"""The command line: it parses, calls and prints."""

import asyncio
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
import typer
from tortoise.exceptions import DBConnectionError, OperationalError

from app import auth, db, ids, logs
from app.auth import Scope
from app.errors import Unavailable
from app.settings import Settings, SettingsError, ensure_secret
from app.transfers import commands

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2
# What a database that is away, closed to us or no database makes the drivers raise.
_DATABASE_ERRORS = (
    Unavailable,
    OSError,
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    DBConnectionError,
    OperationalError,
)
DEFAULT_URL = "http://127.0.0.1:8000"
BACKLOG_MAX = 2048
SHUTDOWN_SECONDS = 10
"""After SIGTERM, requests under way have so long to finish; sockets are told to come back at once."""

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
    """The program. What the user can put right is one line on standard error, never a traceback."""
    try:
        app()
    except SettingsError as error:
        _fail(str(error), EXIT_WRONG_SETTING)


def _print_version(wanted: bool) -> None:
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
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; more than one needs PostgreSQL.")] = 1,
) -> None:
    """Serve the API."""
    settings = Settings.load()
    if workers > 1 and settings.is_sqlite:
        _fail("--workers above 1 needs PostgreSQL: set OUTDIAL_DATABASE_URL to postgresql://…", EXIT_WRONG_SETTING)
    settings = ensure_secret(settings, announce=_say)
    auth.TokenReader(settings)  # so that a wrong key stops the start and not a request
    logs.configure(settings)
    if not _run_on_database(_prepare(settings)):
        _fail("the database's schema is not the one of this version; run: outdial migrate", EXIT_FAILED)

    listener = _listen(host, port)
    url = f"http://{_link_host(host)}:{listener.getsockname()[1]}{settings.base_path}"
    typer.echo(f"Outdial listens on {url}")
    typer.echo(f"Dashboard: {url}/")
    typer.echo(f"GraphiQL: {url}/graphql")
    if workers == 1:
        _serve_here(settings, listener)
    else:
        _serve_by_workers(settings, workers, listener)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve a throwaway database with sample outdials and a dialer at work."""
    from app import demo as demonstration

    demonstration.run(port)


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    settings = Settings.load()
    logs.configure(settings)
    applied = _run_on_database(db.migrate(settings.database_url))
    typer.echo("\n".join(f"Applied {name}" for name in applied) if applied else "The schema is current.")


@app.command()
def token(
    customer: Annotated[str, typer.Option(help="The customer's UUID.")],
    subject: Annotated[str, typer.Option(help="Who will act.")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help="What the token allows; all of it where none.")] = None,
    hours: Annotated[float, typer.Option(min=0.001, max=87_600, help="How long it is good.")] = 24,
    link: Annotated[bool, typer.Option("--link", help="Print the dashboard's link with the token in it.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            help="Where the dashboard is, for the link. Default: http://127.0.0.1:8000 and OUTDIAL_BASE_PATH."
        ),
    ] = None,
) -> None:
    """Print a token that this server takes, or a link that logs a browser in with one."""
    if ids.parse(customer) is None:
        raise typer.BadParameter("must be a UUID", param_hint="--customer")
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://", param_hint="--url")
    settings = ensure_secret(Settings.load())
    made = auth.issue(settings, customer, subject, scope or list(Scope), timedelta(hours=hours))
    # What follows # stays in the browser: no server and no proxy sees it.
    place = f"{DEFAULT_URL}{settings.base_path}" if url is None else url.rstrip("/")
    typer.echo(f"{place}/#token={made}" if link else made)


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from app.graphql.schema import schema as graphql_schema

    typer.echo(graphql_schema.as_str().rstrip("\n"))


commands.add_to(app)


# ---------------------------------------------------------------- the database


async def _prepare(settings: Settings) -> bool:
    """Whether the schema is current. A file's is made so; a shared database's only when its owner says so."""
    if settings.is_sqlite:
        db.claim(settings.database_url)
        await db.migrate(settings.database_url)
        return True
    await db.connect(settings.database_url, pool_size=settings.database_pool_size)
    try:
        return await db.schema_is_current()
    finally:
        await db.close()


def _run_on_database(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except _DATABASE_ERRORS as error:
        _refuse_database(error)


def _refuse_database(error: Exception) -> NoReturn:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    _fail(f"OUTDIAL_DATABASE_URL: cannot use the database: {logs.redact(reason)}", EXIT_FAILED)


# ---------------------------------------------------------------- serving


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything is announced: what is printed is true, port 0 and a taken port included."""
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG_MAX)
        except OSError as error:
            _fail(f"cannot listen on {host}, port {port}: {error.strerror}", EXIT_FAILED)
        stack.pop_all()  # it is the server's to close from here on
    listener.set_inheritable(True)
    return listener


def _link_host(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - where everybody is let in, a link needs one name
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _server_options(settings: Settings) -> dict[str, Any]:
    from app.server import sockets

    return {
        **sockets.options(settings),
        "log_config": None,  # everything goes through app.logs
        "lifespan": "on",  # a start that fails ends the process
        "proxy_headers": False,  # anybody can send them
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
    }


def _serve_here(settings: Settings, listener: socket.socket) -> None:
    import uvicorn

    from app import server

    runner = uvicorn.Server(uvicorn.Config(server.create_app(settings), **_server_options(settings)))
    with suppress(KeyboardInterrupt):  # raised again by uvicorn once everything is closed
        runner.run(sockets=[listener])
    if not runner.started:
        raise typer.Exit(EXIT_FAILED)


def _serve_by_workers(settings: Settings, workers: int, listener: socket.socket) -> None:
    """Each worker reads the environment for itself; there is no made secret to hand on, that is for SQLite alone."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    directory = tempfile.mkdtemp(prefix="outdial-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # before any worker imports prometheus_client
    try:
        config = uvicorn.Config("app.server:create", factory=True, workers=workers, **_server_options(settings))
        with suppress(KeyboardInterrupt):
            Multiprocess(config, sockets=[listener]).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ---------------------------------------------------------------- printing


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _fail(line: str, code: int) -> NoReturn:
    _say(f"outdial: {line}")
    sys.exit(code)


if __name__ == "__main__":
    main()
