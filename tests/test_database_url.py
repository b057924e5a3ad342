"""A database's URL: read as libpq reads it; honoured to the letter, or refused in one line."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.database_url import DatabaseUrl, Dialect
from app.database_url import parameters as libpq
from app.settings import Settings, SettingsError

PLAIN = "postgresql://ann:hunter2@db/calls"

# https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS, each with a value that is honoured (None:
# there is none) and one that is refused (None: libpq takes any text).
PARAMETERS: dict[str, tuple[str | None, str | None]] = {
    "host": ("other", None),
    "hostaddr": (None, "127.0.0.1"),
    "port": ("5433", "abc"),
    "dbname": ("other", None),
    "user": ("bob", None),
    "password": ("x", None),
    "passfile": ("/etc/pgpass", None),
    "require_auth": (None, "scram-sha-256"),
    "channel_binding": ("prefer", "require"),
    "connect_timeout": ("3", "0"),
    "client_encoding": ("UTF8", "LATIN1"),
    "options": ("-csearch_path%3Ddialer", "-cclient_encoding%3DLATIN1"),
    "application_name": ("calls", None),
    "fallback_application_name": ("calls", None),
    "keepalives": ("0", "2"),
    "keepalives_idle": ("30", "soon"),
    "keepalives_interval": ("5", "-1"),
    "keepalives_count": ("3", "x"),
    "tcp_user_timeout": ("5000", "5s"),
    "replication": ("false", "database"),
    "gssencmode": ("prefer", "require"),
    "sslmode": ("verify-full", "always"),
    "requiressl": (None, "1"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcompression": ("0", "1"),
    "sslcert": ("/etc/client.crt", None),
    "sslkey": (None, "/etc/client.key"),
    "sslkeylogfile": (None, "keys.log"),
    "sslpassword": (None, "x"),
    "sslcertmode": ("allow", "require"),
    "sslrootcert": ("system", "/etc/ca.crt"),
    "sslcrl": (None, "/etc/ca.crl"),
    "sslcrldir": (None, "/etc/crl"),
    "sslsni": ("1", "0"),
    "requirepeer": (None, "postgres"),
    "ssl_min_protocol_version": ("TLSv1.3", "TLSv2"),
    "ssl_max_protocol_version": ("TLSv1.2", "TLSv1"),
    "min_protocol_version": ("3.0", "3.2"),
    "max_protocol_version": ("latest", "3.2"),
    "krbsrvname": ("postgres", None),
    "gsslib": ("gssapi", "kerberos"),
    "gssdelegation": ("0", "1"),
    "scram_client_key": (None, "x"),
    "scram_server_key": (None, "x"),
    "service": (None, "calls"),
    "servicefile": (None, "/etc/pg_service.conf"),
    "target_session_attrs": ("read-write", "standby"),
    "load_balance_hosts": ("random", "all"),
    "oauth_issuer": (None, "https://id.example.com"),
    "oauth_client_id": (None, "x"),
    "oauth_client_secret": (None, "x"),
    "oauth_scope": (None, "x"),
}


def refusal(url: str) -> str:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are what the tests look at
        DatabaseUrl.parse(url)
    line = str(refused.value)
    assert line
    assert "\n" not in line
    assert "hunter2" not in line
    return line


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_of_libpq_is_honoured_or_refused_by_its_name(name: str) -> None:
    honoured, refused = PARAMETERS[name]
    if honoured is not None:
        parsed = DatabaseUrl.parse(f"{PLAIN}?{name}={honoured}")
        if name not in {"host", "port", "dbname", "user", "password"}:
            assert set(parsed.parameters) == {name}
    if refused is not None:
        assert refusal(f"{PLAIN}?{name}={refused}").startswith(name)
    assert refusal(f"{PLAIN}?{name}=").startswith(f"{name} ")
    assert refusal(f"{PLAIN}?{name}=1&{name}=2").startswith(name)


def test_no_parameter_is_known_that_libpq_does_not_have() -> None:
    # libpq takes ssl=true in a URL as well, for those who come from JDBC
    assert set(libpq.NAMES) - {"ssl"} == set(PARAMETERS) - {"requiressl"}


@pytest.mark.parametrize("name", ["schema", "search_path", "pgbouncer", "statement_cache_size", "SSLMODE", "sslmode "])
def test_an_unknown_parameter_is_refused(name: str) -> None:
    refusal(f"{PLAIN}?{quote(name)}=dialer")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://a/x", [("a", 5432)]),
        ("postgres://a:5433/x", [("a", 5433)]),
        ("postgresql://a:1,b:2,c/x", [("a", 1), ("b", 2), ("c", 5432)]),
        ("postgresql:///x?host=a,b", [("a", 5432), ("b", 5432)]),
        ("postgresql:///x?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql:///x?host=a,b&port=1", [("a", 1), ("b", 1)]),
        ("postgresql://a,b/x?port=7", [("a", 7), ("b", 7)]),
        ("postgresql://[::1]:5433,[fe80::1]/x", [("::1", 5433), ("fe80::1", 5432)]),
        ("postgresql://user@%2Fsocket%2Fdir/db", [("/socket/dir", 5432)]),
        ("postgresql://user@%2Fsocket%2Fdir:5433/db", [("/socket/dir", 5433)]),
        ("postgresql:///db?host=/run/postgresql", [("/run/postgresql", 5432)]),
        ("postgresql://u:p@ss@a/x", [("a", 5432)]),
        ("  postgresql://a/x\n", [("a", 5432)]),
    ],
)
def test_hosts_are_read_as_libpq_reads_them(url: str, hosts: list[tuple[str, int]]) -> None:
    assert list(DatabaseUrl.parse(url).hosts) == hosts


def test_what_is_escaped_is_read_to_the_letter() -> None:
    parsed = DatabaseUrl.parse(
        "postgresql://a%40b:p%23%2F%3Fw+d@db/cal%20ls?options=-csearch_path%3Da%2Cb%20-clock_timeout%3D5s"
    )
    assert (parsed.user, parsed.password, parsed.database) == ("a@b", "p#/?w+d", "cal ls")
    assert libpq.settings_of(parsed.parameters["options"]) == {"search_path": "a,b", "lock_timeout": "5s"}
    assert "p#" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://ann:hunter2@db/calls?port=abc", "port"),
        ("postgresql://ann:hunter2@db:abc/calls", "port"),
        ("postgresql://ann:hunter2@db:0/calls", "port"),
        ("postgresql://ann:hunter2@db:65536/calls", "port"),
        ("postgresql://ann:hunter2@db:-1/calls", "port"),
        ("postgresql://ann:hunter2@db:\u0664/calls", "port"),
        ("postgresql://a,b/calls?port=1,2,3", "3 ports for 2 hosts"),
        ("postgresql://ann:hunter2@db", "postgresql://user:password@host:port/name"),
        ("postgresql:///calls", "postgresql://user:password@host:port/name"),
        ("postgresql://a,,b/calls", "postgresql://user:password@host:port/name"),
        ("postgresql://ann:hunter2@::1/calls", "brackets"),
        ("postgresql://ann:hun#ter2@db/calls", "%23"),
        ("postgresql://ann:hun/ter2@db/calls", "%2F"),
        ("postgresql://ann:hun?ter2=1@db/calls", "%3F"),
        ("postgresql://ann:12/hunter2@db/calls", "%2F"),
        ("postgresql://ann:hunter2%00@db/calls", "password"),
        ("postgresql://ann:hunter2%ff@db/calls", "password"),
        ("postgresql://%40abstract/calls", "abstract"),
        (PLAIN + "?sslmode", "sslmode"),
        (PLAIN + "?sslrootcert=/ca.crt&sslmode=prefer", "sslrootcert"),
        (PLAIN + "?sslrootcert=system&sslmode=require", "sslrootcert"),
        (PLAIN + "?sslcert=/c.crt&sslmode=disable", "sslcert"),
        (PLAIN + "?ssl=true&sslmode=disable", "ssl"),
        (PLAIN + "?options=-cdefault_transaction_read_only%3Don", "options"),
        (PLAIN + "?options=--timezone%3DEurope/Berlin", "options"),
        (PLAIN + "?options=-cDateStyle%3DGerman", "options"),
        ("sqlite:///data/leads?north.db", "%3F"),
        ("sqlite:///leads#1.db", "%23"),
        ("sqlite:///leads.db?mode=ro", "%3F"),
        ("sqlite://leads.db", "sqlite:///"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///folder/", "needs a file"),
        ("sqlite:///folder/..", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///a%00b", "file"),
        ("sqlite:///a%ffb", "UTF-8"),
        ("sqlite:///a\x00b", "control"),
        ("sqlite:///a\udcffb", "UTF-8"),
        ("mysql://ann:hunter2@db/calls", "sqlite:/// or postgresql://"),
        ("hunter2", "sqlite:/// or postgresql://"),
        ("", "sqlite:/// or postgresql://"),
    ],
)
def test_what_cannot_be_honoured_is_one_line(url: str, words: str) -> None:
    assert words in refusal(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///outdial.db", "outdial.db"),
        ("sqlite:////var/lib/outdial.db", "/var/lib/outdial.db"),
        ("sqlite:///my%20calls.db", "my calls.db"),
        ("sqlite:///leads%3Fnorth.db", "leads?north.db"),
        ("sqlite:///leads%231.db", "leads#1.db"),
        ("sqlite:///a+b&c=d.db", "a+b&c=d.db"),
    ],
)
def test_a_files_name_is_read_to_the_letter(url: str, path: str) -> None:
    assert DatabaseUrl.parse(url) == DatabaseUrl(Dialect.SQLITE, path=Path(path))
    assert Settings(database_url=url).sqlite_path == Path(path)


MARKS = "%?#@:/[],&=. \t\nab0\u0661\u00e9\0"
ODD = st.text() | st.text(MARKS)
STARTS = ("", "sqlite:///", "sqlite://", "postgresql://", "postgres://", "postgresql:///x?", f"{PLAIN}?")


def complaint(url: str) -> str | None:
    try:
        parsed = DatabaseUrl.parse(url)
    except ValueError as error:
        return str(error)
    assert parsed.path is not None or (parsed.hosts and parsed.database)
    assert all(1 <= port <= 65_535 for _, port in parsed.hosts)
    return None


@given(start=st.sampled_from(STARTS), rest=ODD)
def test_any_text_is_a_url_or_one_line(start: str, rest: str) -> None:
    line = complaint(start + rest)
    assert line is None or (line and line.isprintable())


@given(before=ODD, after=ODD)
def test_no_message_holds_the_password(before: str, after: str) -> None:
    password = f"{before}Pa55wort{after}"
    for url in (f"postgresql://ann:{password}@db/calls", f"postgresql://db/calls?password={password}"):
        line = complaint(url)
        assert line is None or "Pa55wort" not in line


def test_a_setting_that_is_wrong_names_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"^OUTDIAL_DATABASE_URL: port must be a number"):
        Settings.load(database_url="postgresql://ann:hunter2@db/calls?port=abc")


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@given(user=NAMES, password=NAMES, name=NAMES, host=st.from_regex(r"[a-z]{1,9}", fullmatch=True))
def test_what_is_escaped_comes_back(user: str, password: str, name: str, host: str) -> None:
    parsed = DatabaseUrl.parse(f"postgresql://{quote(user, '')}:{quote(password, '')}@{host}/{quote(name, '')}")
    assert (parsed.user, parsed.password, parsed.database, parsed.hosts) == (user, password, name, ((host, 5432),))
