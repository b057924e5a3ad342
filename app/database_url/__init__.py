"""Parses a database URL as libpq does. What cannot be honoured is refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from app.database_url import parameters as libpq

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
PORT_DEFAULT = 5432
HOSTS_MAX = 16

_POSTGRES_FORM = "must be of the form postgresql://user:password@host:port/name"
_HOST = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_CONTROL = re.compile(r"[\0-\x1f\x7f]")


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """`sqlite:///outdial.db` or `postgresql://user:password@host:5432/name?parameter=value`."""

    dialect: Dialect
    path: Path | None = None
    """SQLite's file."""
    hosts: tuple[tuple[str, int], ...] = ()
    """PostgreSQL's servers: a name, an address or the folder of a socket, each with its port."""
    database: str = ""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """libpq's other parameters, each checked."""

    @classmethod
    def parse(cls, url: str) -> "DatabaseUrl":
        """Parse a URL.

        Raises:
            ValueError: one line that says what is wrong. It never contains the URL, which may contain a password.
        """
        url = url.strip()  # files that hold secrets end with a line end
        if _CONTROL.search(url) or not _is_unicode(url):
            raise ValueError("holds control characters, or bytes that are not UTF-8")
        if url.startswith(SQLITE_PREFIX):
            return cls(Dialect.SQLITE, path=_file(url.removeprefix(SQLITE_PREFIX)))
        for prefix in POSTGRES_PREFIXES:
            if url.startswith(prefix):
                return _postgres(url.removeprefix(prefix))
        raise ValueError("must begin with sqlite:/// or postgresql://")


def _file(text: str) -> Path:
    """`outdial.db` is relative, `/var/lib/outdial.db` absolute."""
    for mark in "?#":
        if mark in text:
            raise ValueError(
                f"a SQLite URL has no parameters; write {mark} as %{ord(mark):02X} if it is part of the file's name"
            )
    path = _decoded(text, "the file's name")
    if not path or path.endswith("/") or path.rpartition("/")[2] in {".", ".."}:
        raise ValueError("needs a file, as in sqlite:///outdial.db or sqlite:////var/lib/outdial.db")
    if path.startswith(":memory:"):
        raise ValueError("needs a file: each connection to :memory: would have its own database")
    return Path(path)


def _postgres(text: str) -> DatabaseUrl:
    rest, has_query, query = text.partition("?")
    authority, _, path = rest.partition("/")
    if "#" in text or (authority and "@" not in authority and "@" in text):
        raise ValueError("write / ? # in a password as %2F %3F %23")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    given = _parameters(query) if has_query else {}

    name = given.pop("dbname", None) or _decoded(path, "the database's name")
    spelled_hosts = given.pop("host", None)
    ports = given.pop("port", None)
    if spelled_hosts is None:
        named = [_host(spelled) for spelled in hosts.split(",")]
    else:
        named = [(_socket_or_name(host), None) for host in spelled_hosts.split(",")]
    if not name or not all(host for host, _ in named):
        raise ValueError(_POSTGRES_FORM)
    if len(named) > HOSTS_MAX:
        raise ValueError(f"names more than {HOSTS_MAX} hosts")
    libpq.check(given)
    return DatabaseUrl(
        Dialect.POSTGRES,
        hosts=_with_ports(named, ports),
        database=name,
        user=given.pop("user", None) or _decoded(user, "the user's name") or None,
        password=given.pop("password", None) or _decoded(password, "the password") or None,
        parameters=given,
    )


def _parameters(query: str) -> dict[str, str]:
    """As libpq reads them: + is a plus sign. A parameter that libpq would overwrite is refused."""
    given: dict[str, str] = {}
    for part in query.split("&"):
        spelled, has_value, value = part.partition("=")
        name = _decoded(spelled, "a parameter's name")
        if name not in libpq.NAMES:
            # A password with unescaped marks is split here. The message must not repeat any part of it.
            is_safe = "@" not in query and not given.keys() & {"password", "sslpassword"}
            raise ValueError(_unknown(name if is_safe else ""))
        if not has_value or not value:
            raise ValueError(f"{name} has no value")
        if name in given:
            raise ValueError(f"{name} is given more than once")
        given[name] = _decoded(value, name)
    return given


def _unknown(name: str) -> str:
    if not libpq.SETTING.fullmatch(name):
        return "has a parameter that PostgreSQL does not have; write & in a value as %26"
    return f"{name} is not a parameter of a PostgreSQL URL; for a setting of the session write options=-c{name}%3D…"


def _host(spelled: str) -> tuple[str, str | None]:
    match = _HOST.fullmatch(spelled)
    if match is None or (spelled.count(":") > 1 and not spelled.startswith("[")):
        raise ValueError("write an IPv6 address in brackets, as in [::1]:5432")
    host, port = match["host"], match["port"]
    if host.startswith("["):
        return _decoded(host[1:-1], "a host"), port
    return _socket_or_name(_decoded(host, "a host")), port


def _socket_or_name(host: str) -> str:
    if host.startswith("@"):
        raise ValueError("host: sockets in the abstract namespace are not supported")
    if not host.startswith("/") and re.search(r"[\s/@?#]", host):
        raise ValueError("host: a host's name has no spaces and none of / @ ? #")
    return host


def _with_ports(hosts: list[tuple[str, str | None]], ports: str | None) -> tuple[tuple[str, int], ...]:
    listed = ports.split(",") if ports is not None else []
    if len(listed) > 1 and len(listed) != len(hosts):
        raise ValueError(f"port: {len(listed)} ports for {len(hosts)} hosts")
    if len(listed) == 1:
        listed *= len(hosts)
    spelled = listed or [port or "" for _, port in hosts]
    return tuple((host, _port(port)) for (host, _), port in zip(hosts, spelled, strict=True))


def _port(text: str) -> int:
    if not text:
        return PORT_DEFAULT
    if re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) and 1 <= int(text) <= 65_535:
        return int(text)
    raise ValueError("port must be a number from 1 to 65535; write : as %3A in a password")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(text: str, what: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if _CONTROL.search(decoded):
        raise ValueError(f"{what} holds bytes that are not UTF-8, or control characters")
    return decoded
