"""A database's URL, taken apart."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """`sqlite:///outdial.db` or `postgresql://user:password@host:5432/name`."""

    dialect: Dialect
    path: Path | None = None
    host: str | None = None
    port: int = 5432
    user: str | None = None
    password: str | None = None
    database: str | None = None
    ssl: str | None = None

    @classmethod
    def parse(cls, url: str) -> "DatabaseUrl":
        """Take a URL apart.

        Raises:
            ValueError: it names neither database; the message holds no part of the URL, which may hold a password.
        """
        parts = urlsplit(url)
        if parts.scheme == "sqlite":
            # sqlite:///outdial.db is relative, sqlite:////var/lib/outdial.db absolute
            path = unquote(parts.path.removeprefix("/"))
            if parts.netloc or not path:
                raise ValueError("a SQLite URL looks like sqlite:///outdial.db")
            return cls(Dialect.SQLITE, path=Path(path))
        if parts.scheme in {"postgres", "postgresql"}:
            query = dict(parse_qsl(parts.query))
            return cls(
                Dialect.POSTGRES,
                host=query.get("host", parts.hostname or "127.0.0.1"),
                port=parts.port or int(query.get("port", "5432")),
                user=unquote(parts.username) if parts.username else query.get("user"),
                password=unquote(parts.password) if parts.password else query.get("password"),
                database=unquote(parts.path.removeprefix("/")) or None,
                ssl=query.get("sslmode"),
            )
        raise ValueError("a database URL begins with sqlite:/// or postgresql://")
