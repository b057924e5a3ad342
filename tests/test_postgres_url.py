"""What a PostgreSQL URL says is what the connection is: hosts, schema, session and TLS, on real servers."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app import db, outdials
from app.auth import Viewer
from app.database_url import DatabaseUrl
from app.db import postgres as driver
from app.errors import Unavailable
from tests.support import factories, postgres
from tests.support.relay import Relay


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await driver.connect(DatabaseUrl.parse(url))
    try:
        yield connection
    finally:
        await connection.close()


async def tables(url: str, schema: str) -> set[str]:
    async with connected(url) as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return {row["tablename"] for row in rows}


# ---------------------------------------------------------------- the session


async def test_tables_land_in_the_schema_that_the_options_name(postgres_server: str, viewer: Viewer) -> None:
    url = await postgres.create_database(postgres_server)
    named = f"{url}?options=-csearch_path%3Ddialer"
    try:
        await postgres.execute(url, "CREATE SCHEMA dialer")
        applied = await db.migrate(named)
        assert applied
        assert await db.migrate(named) == []
        assert "target" in await tables(url, "dialer")
        assert await tables(url, "public") == set()
        await db.connect(named)
        assert await db.schema_is_current()
        made = await factories.make_outdial(viewer)
        assert list(await outdials.get_many(viewer, [made.id])) == [made.id]
        await db.close()
        # another schema of the same database is another service
        assert await db.migrate(url) == applied
    finally:
        await db.close()
        await postgres.drop_database(postgres_server, url)


async def test_a_schema_that_is_not_there_is_one_line(postgres_server: str) -> None:
    url = await postgres.create_database(postgres_server)
    try:
        with pytest.raises(Exception, match="no schema has been selected") as refused:
            await db.migrate(f"{url}?options=-csearch_path%3Dnowhere")
        assert "\n" not in str(refused.value)
    finally:
        await postgres.drop_database(postgres_server, url)


@pytest.mark.parametrize(
    ("query", "setting", "value"),
    [
        ("application_name=calls", "application_name", "calls"),
        ("fallback_application_name=calls", "application_name", "calls"),
        ("", "application_name", "outdial"),
        ("", "statement_timeout", "30s"),
        ("options=-cstatement_timeout%3D7s", "statement_timeout", "7s"),
        ("options=-c%20statement_timeout%3D7s%20--lock-timeout%3D3s", "lock_timeout", "3s"),
        ("options=-cwork_mem%3D9MB", "statement_timeout", "30s"),
        ("options=-cwork_mem%3D9MB", "work_mem", "9MB"),
        ("options=-cwork_mem%3D9MB&application_name=calls", "application_name", "calls"),
        ("client_encoding=utf-8", "client_encoding", "UTF8"),
    ],
)
async def test_the_session_is_set_as_the_url_says(postgres_url: str, query: str, setting: str, value: str) -> None:
    async with connected(f"{postgres_url}?{query}" if query else postgres_url) as connection:
        assert await connection.fetchval("SELECT current_setting($1)", setting) == value


async def test_keepalives_are_the_sockets(postgres_url: str) -> None:
    query = "keepalives_idle=33&keepalives_interval=4&keepalives_count=5&tcp_user_timeout=7000"
    for given, expected in ((query, [1, 33, 4, 5, 7000]), ("keepalives=0", [0]), ("connect_timeout=5", [1, 4, 2, 3])):
        async with connected(f"{postgres_url}?{given}") as connection:
            peer = connection._transport.get_extra_info("socket")
            options = [
                peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            ]
        assert options[: len(expected)] == expected


# ---------------------------------------------------------------- hosts


async def test_a_socket_is_taken_in_each_form_of_libpq(tmp_path: Path) -> None:
    folder = Path("/tmp") / f"outdial-{os.getpid()}"  # a socket's path holds 107 bytes
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        with await asyncio.to_thread(_started, {"unix_socket_directories": str(folder)}) as server:
            spelled = quote(str(folder), safe="")
            for url in (
                f"postgresql://outdial@{spelled}:{server.port}/postgres",
                f"postgresql://outdial@/postgres?host={folder}&port={server.port}",
                f"postgresql:///postgres?host={spelled}&port={server.port}&user=outdial",
            ):
                async with connected(url) as connection:
                    assert await connection.fetchval("SELECT inet_server_addr() IS NULL")
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


class _Started:
    def __init__(self, server: postgres.OwnServer) -> None:
        self._server = server

    def __enter__(self) -> postgres.OwnServer:
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def _started(settings: dict[str, str]) -> _Started:
    return _Started(postgres.OwnServer(settings).__enter__())


async def test_the_next_host_is_asked_if_one_does_not_answer(postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    with socket.socket() as silent:  # takes connections and says nothing, as a machine that hangs does
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed = postgres.free_port()
        hosts = f"127.0.0.1:{closed},127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{parts.port}"
        began = time.monotonic()
        async with connected(f"postgresql://{parts.username}@{hosts}{parts.path}?connect_timeout=1") as connection:
            assert await connection.fetchval("SELECT 1") == 1
        assert 1 <= time.monotonic() - began < 20
        with pytest.raises(TimeoutError):
            await driver.connect(
                DatabaseUrl.parse(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=1")
            )


@pytest.mark.parametrize("query", ["", "target_session_attrs=read-write", "load_balance_hosts=random"])
async def test_of_several_hosts_the_one_that_takes_writes_is_used(
    postgres_server: str, postgres_url: str, query: str
) -> None:
    name = urlsplit(postgres_url).path.lstrip("/")
    port = urlsplit(postgres_url).port
    await postgres.execute(postgres_server, "CREATE ROLE reader LOGIN SUPERUSER")
    try:
        await postgres.execute(postgres_server, "ALTER ROLE reader SET default_transaction_read_only = on")
        with pytest.raises(asyncpg.InternalClientError):
            await driver.connect(DatabaseUrl.parse(f"postgresql://reader@127.0.0.1:{port}/{name}"))
        with pytest.raises(Unavailable, match="takes no writes"):
            await db.connect(f"postgresql://reader@127.0.0.1:{port}/{name}")
        with pytest.raises(Unavailable, match="takes no writes"):
            await db.migrate(f"postgresql://reader@127.0.0.1:{port}/{name}")
        async with connected(
            f"postgresql://outdial@127.0.0.1:{postgres.free_port()},127.0.0.1:{port}/{name}?{query or 'sslsni=1'}"
        ) as connection:
            assert await connection.fetchval("SHOW transaction_read_only") == "off"
    finally:
        await postgres.execute(postgres_server, "DROP ROLE reader")


# ---------------------------------------------------------------- TLS


class Authority:
    """Makes certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._file = name
        self.certificate = self._made(self._name, self._key, [(x509.BasicConstraints(ca=True, path_length=0), True)])
        self.path = self._written(f"{name}.crt", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._made(subject, key, [(x509.SubjectAlternativeName([x509.DNSName(name)]), False)])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (
            self._written(f"{self._file}-{name}.crt", made.public_bytes(serialization.Encoding.PEM)),
            self._written(f"{self._file}-{name}.key", pem),
        )

    def _made(self, subject: x509.Name, key: Any, extensions: list[Any]) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def _written(self, name: str, pem: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(pem)
        path.chmod(0o600)
        return path


@pytest.fixture
async def protected(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[Callable[[str, str], str], Relay, Path]]:
    """A server that speaks TLS as localhost and wants a client's certificate if there is one."""
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    certificate, key = ours.issue("localhost")
    ours.issue("client")
    theirs.issue("client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ours.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    parts = urlsplit(postgres_url)
    assert parts.port
    async with Relay(parts.port, tls=context) as relay:

        def url(query: str, host: str = "localhost") -> str:
            return f"postgresql://{parts.username}@{host}:{relay.port}{parts.path}?{query}"

        yield url, relay, tmp_path


@pytest.mark.parametrize(
    ("query", "host", "lets_in", "encrypted"),
    [
        ("sslmode=disable", "localhost", True, False),
        ("sslmode=allow", "localhost", True, False),
        ("sslmode=prefer", "localhost", True, True),
        ("", "localhost", True, True),
        ("sslmode=require", "localhost", True, True),
        ("ssl=true", "localhost", True, True),
        ("sslmode=require&sslrootcert={}/ours.crt", "localhost", True, True),
        ("sslmode=require&sslrootcert={}/theirs.crt", "localhost", False, None),
        ("sslmode=verify-ca&sslrootcert={}/ours.crt", "localhost", True, True),
        ("sslmode=verify-ca&sslrootcert={}/ours.crt", "127.0.0.1", True, True),
        ("sslmode=verify-ca&sslrootcert={}/theirs.crt", "localhost", False, None),
        ("sslmode=verify-full&sslrootcert={}/ours.crt", "localhost", True, True),
        ("sslmode=verify-full&sslrootcert={}/ours.crt", "127.0.0.1", False, None),
        ("sslmode=verify-full&sslrootcert={}/theirs.crt", "localhost", False, None),
        ("sslrootcert=system", "localhost", False, None),
        ("sslmode=require&sslcert={0}/ours-client.crt&sslkey={0}/ours-client.key", "localhost", True, True),
        ("sslmode=require&sslcert={0}/theirs-client.crt&sslkey={0}/theirs-client.key", "localhost", False, None),
        ("sslmode=require&ssl_max_protocol_version=TLSv1.2", "localhost", True, True),
    ],
)
async def test_every_sslmode_protects_as_it_says(protected, query, host, lets_in, encrypted) -> None:
    url, relay, folder = protected
    spelled = url(query.format(folder) or "sslsni=1", host)
    if not lets_in:
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await driver.connect(DatabaseUrl.parse(spelled))
        return
    async with connected(spelled) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert (relay.encrypted > 0) == encrypted


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_refused_where_the_url_wants_it(postgres_url: str, tmp_path: Path, mode) -> None:
    authority = Authority(tmp_path, "ours")
    with pytest.raises(Unavailable, match="rejected SSL upgrade"):
        await db.connect(f"{postgres_url}?sslmode={mode}&sslrootcert={authority.path}")


async def test_a_file_that_cannot_be_used_is_named_by_its_parameter(postgres_url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("client")
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "text").chmod(0o644)
    for query, words in (
        (f"sslmode=require&sslrootcert={tmp_path}/none", "sslrootcert: the file cannot be read"),
        (f"sslmode=require&sslrootcert={tmp_path}/text", "sslrootcert: the file holds nothing of that kind"),
        (f"sslmode=require&sslcrl={tmp_path}/none", "sslcrl: the file cannot be read"),
        (f"sslmode=require&sslcert={tmp_path}/none", "sslcert: the file cannot be read"),
        (f"sslmode=require&sslcert={certificate}&sslkey={tmp_path}/none", "sslkey: the file cannot be read"),
        (f"sslmode=require&sslcert={certificate}&sslkey={tmp_path}/text", "sslcert: the certificate, its key"),
        (f"sslmode=require&sslcert={certificate}", "sslcert: the certificate, its key"),
        (f"passfile={tmp_path}/none", "passfile: the file cannot be read"),
        (f"passfile={tmp_path}/text", "passfile: others can read the file"),
    ):
        with pytest.raises(Unavailable, match=words) as refused:
            await db.connect(f"{postgres_url}?{query}")
        assert "\n" not in refused.value.message
    assert key.exists()


async def test_a_password_file_is_read(postgres_server: str, postgres_url: str, tmp_path: Path) -> None:
    parts = urlsplit(postgres_url)
    (tmp_path / "passwords").write_text(f"127.0.0.1:{parts.port}:*:outdial:from-the-file\n")
    (tmp_path / "passwords").chmod(0o600)
    async with connected(f"{postgres_url}?passfile={tmp_path}/passwords") as connection:
        assert connection._params.password == "from-the-file"


async def test_where_the_database_is_the_url_alone_says(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "nowhere.invalid",
        "PGPORT": "1",
        "PGDATABASE": "nothing",
        "PGOPTIONS": "-cwork_mem=9MB",
        "PGAPPNAME": "another",
        "PGTARGETSESSIONATTRS": "standby",
        "PGUSER": "outdial",
        "PGPASSWORD": "from-the-environment",
    }.items():
        monkeypatch.setenv(name, value)
    async with connected(postgres_url.replace("outdial@", "")) as connection:
        assert await connection.fetchval("SHOW work_mem") != "9MB"
        assert await connection.fetchval("SHOW application_name") == "outdial"
        assert await connection.fetchval("SELECT current_user") == "outdial"
        assert connection._params.password == "from-the-environment"
