"""Connects to PostgreSQL as the URL says: for the pool, for listening and for migrations.

What the URL leaves open, asyncpg takes from the environment: PGUSER, PGPASSWORD, PGPASSFILE, ~/.pgpass, and PGSSLMODE
with the other variables and files of TLS. Where the database is, the URL alone says: PGHOST and the like are not read.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import asyncpg

from app.database_url import DatabaseUrl
from app.database_url.parameters import settings_of, sslmode

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

CONNECT_SECONDS = 8.0
"""For all hosts together, if connect_timeout is not given: an operation waits ten seconds in all."""
STATEMENT_TIMEOUT_SECONDS = 30
SILENCE_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5
"""When we give up a server that does not even keep to its own limit: its machine answers, and it hangs."""
LOCK_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_SECONDS = 60
"""An abandoned transaction of ours delays every subscriber (see app.events)."""
DEAD_AFTER_SECONDS = 10
"""If the server's machine disappears, no message arrives: without these probes a statement waits for 15 minutes."""
_PROBES = 3

_TLS = (
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
_FINAL = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""Errors that the next host would return too."""


async def connect(url: DatabaseUrl, settings: Mapping[str, str] | None = None) -> Connection:
    """A new connection to the first host that answers and is not read-only.

    Args:
        url: of the database.
        settings: of the session, before all others.

    Raises:
        OSError: no host answers.
        asyncpg.TargetServerAttributeNotMatched: all of them are read-only.
        asyncpg.PostgresError: the server refuses.
    """
    hosts = list(url.hosts)
    if url.parameters.get("load_balance_hosts") == "random":
        random.shuffle(hosts)
    arguments = _arguments(url, settings or {})
    for index, (host, port) in enumerate(hosts, 1):
        try:
            connection: Connection = await asyncpg.connect(host=host, port=port, **arguments)
        except _FINAL:
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError):
            if index == len(hosts):
                raise
        else:
            _probe(connection, url.parameters)
            return connection
    raise AssertionError("a URL has a host")


def connect_seconds(url: DatabaseUrl) -> float:
    """How long the login at one host may take."""
    given = url.parameters.get("connect_timeout")
    return float(given) if given else CONNECT_SECONDS / len(url.hosts)


def _arguments(url: DatabaseUrl, settings: Mapping[str, str]) -> dict[str, Any]:
    given = url.parameters
    set_up = {**_settings(given), **settings}
    is_bounded = set_up.get("statement_timeout") == _milliseconds(STATEMENT_TIMEOUT_SECONDS)
    arguments: dict[str, Any] = {
        # asyncpg takes TLS files only from a URL; this URL has nothing else
        "dsn": _tls_url(given),
        "user": url.user,
        "password": url.password,
        "database": url.database,
        "timeout": connect_seconds(url),
        "command_timeout": SILENCE_SECONDS if is_bounded else None,
        "server_settings": set_up,
        "target_session_attrs": given.get("target_session_attrs", "read-write"),
    }
    for name in ("passfile", "krbsrvname", "gsslib"):
        if name in given:
            arguments[name] = given[name]
    if given.get("sslrootcert") == "system":
        arguments["ssl"] = _system_context(given)
    return arguments


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    """Settings of the session: ours, unless the URL's options set them."""
    ours = {
        "application_name": given.get("application_name", given.get("fallback_application_name", "outdial")),
        "timezone": "UTC",
        "datestyle": "ISO",
        # Each statement sees what was committed before it began: units of work first take locks, and then look.
        "default_transaction_isolation": "read committed",
        # Every statement's text fits all of its values. Without this, PostgreSQL plans many of them anew each time.
        "plan_cache_mode": "force_generic_plan",
        # Such a plan stays while its table grows. Made for a few rows, it would read all of a million for each key.
        "enable_seqscan": "off",
        # Made without the values, it takes each customer for an average one. For a page of an outdial it would combine
        # the outdial's rows with those of the whole customer: 90 ms instead of 0.1 if the customer has a million.
        "enable_bitmapscan": "off",
        # It would start two processes to find one row: 9 ms instead of 0.1 for a search by address.
        "max_parallel_workers_per_gather": "0",
        "jit": "off",  # before PostgreSQL 18, a plan without an index would count as so dear that it is compiled
        "statement_timeout": _milliseconds(STATEMENT_TIMEOUT_SECONDS),
        "lock_timeout": _milliseconds(LOCK_TIMEOUT_SECONDS),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_SECONDS),
    }
    options = given.get("options", "")
    theirs = settings_of(options)
    kept = {name: value for name, value in ours.items() if name not in theirs or name in given}
    return {**kept, "options": options} if options else kept


def _milliseconds(seconds: int) -> str:
    return str(seconds * 1000)


# ---------------------------------------------------------------- TLS


def _tls_url(given: Mapping[str, str]) -> str:
    asked = {name: given[name] for name in _TLS if name in given and given[name] != "system"}
    mode = sslmode(given)
    if mode is not None:
        asked["sslmode"] = mode
    return f"postgresql://?{urlencode(asked)}" if asked else "postgresql://"


def _system_context(given: Mapping[str, str]) -> ssl.SSLContext:
    """For `sslrootcert=system`: the machine's certificate authorities. asyncpg has no such option."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    for name, attribute in (
        ("ssl_min_protocol_version", "minimum_version"),
        ("ssl_max_protocol_version", "maximum_version"),
    ):
        if name in given:
            setattr(context, attribute, ssl.TLSVersion[given[name].replace(".", "_")])
    _load_files(context, given)
    return context


def check_files(given: Mapping[str, str]) -> None:
    """Check the files that the URL names, before a connection uses them.

    Raises:
        ValueError: one line that names the parameter whose file cannot be used.
    """
    _load_files(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), given)
    if "passfile" in given:
        if not _is_readable(given["passfile"]):
            raise ValueError("passfile: the file cannot be read")
        if Path(given["passfile"]).stat().st_mode & 0o077:
            raise ValueError("passfile: others can read the file; run chmod 600 on it")


def _load_files(context: ssl.SSLContext, given: Mapping[str, str]) -> None:
    for name in ("sslrootcert", "sslcrl"):
        if name in given and given[name] != "system":
            if not _is_readable(given[name]):
                raise ValueError(f"{name}: the file cannot be read")
            try:
                context.load_verify_locations(cafile=given[name])
            except ssl.SSLError:
                raise ValueError(f"{name}: the file holds nothing of that kind in PEM form") from None
    if "sslcrl" in given:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in given:
        for name in ("sslcert", "sslkey"):
            if name in given and not _is_readable(given[name]):
                raise ValueError(f"{name}: the file cannot be read")
        try:
            context.load_cert_chain(
                given["sslcert"], given.get("sslkey"), password=lambda: given.get("sslpassword", "")
            )
        except (ssl.SSLError, ValueError):
            raise ValueError("sslcert: the certificate, its key and sslpassword do not fit together") from None


def _is_readable(path: str) -> bool:
    with suppress(OSError), Path(path).open("rb"):
        return True
    return False


# ---------------------------------------------------------------- the socket


def _probe(connection: Connection, given: Mapping[str, str]) -> None:
    """Let the system detect that the other machine is gone, like libpq's keepalives."""
    transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined] # noqa: SLF001 - asyncpg has no other door to its socket
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is None or peer.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    wanted = {
        "TCP_KEEPIDLE": int(given.get("keepalives_idle", DEAD_AFTER_SECONDS - 2 * _PROBES)),
        "TCP_KEEPINTVL": int(given.get("keepalives_interval", 2)),
        "TCP_KEEPCNT": int(given.get("keepalives_count", _PROBES)),
        "TCP_USER_TIMEOUT": int(given.get("tcp_user_timeout", DEAD_AFTER_SECONDS * 1000)),
    }
    if given.get("keepalives") == "0":
        wanted = {"TCP_USER_TIMEOUT": wanted["TCP_USER_TIMEOUT"]}
    else:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in wanted.items():
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None and value:  # 0 leaves it to the system, as in libpq
            peer.setsockopt(socket.IPPROTO_TCP, option, value)


def drop(connection: Any) -> None:
    """Close a failed connection without a message to its server."""
    with suppress(asyncpg.InterfaceError):  # already closed, and so back in the pool
        connection.terminate()


def is_closed(connection: Any) -> bool:
    """Whether a connection of the pool is gone. If it is, the pool may have taken it back already."""
    return connection._con is None or connection.is_closed()  # noqa: SLF001 - the pool's proxy does not say it


async def set_codecs(connection: Any) -> None:
    """Return ids as text, as they are everywhere else, and read instants in a quarter of the driver's own time."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")
    # spelled as ISO 8601 with +00: see the session's settings
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=datetime.isoformat,
        decoder=datetime.fromisoformat,
        format="text",
    )


async def keep_session(_connection: Any) -> None:
    """Leave the session as it is when its connection goes back to the pool.

    asyncpg would send a statement that resets it, a round trip each time. No statement of ours leaves anything that
    would have to be reset: a test looks at the session. asyncpg itself ends an open transaction, in any case.
    """
