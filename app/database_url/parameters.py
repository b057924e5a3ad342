"""libpq's parameters: which values are honoured, and why the others are refused.

The list is that of PostgreSQL 18, https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
If a parameter were ignored, a connection could be unprotected, or tables could be in the wrong schema.
"""

import re
from collections.abc import Callable, Mapping

CONNECT_SECONDS_MAX = 60
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}")
"""A name that a PostgreSQL setting or a parameter may have."""

_VERIFYING = ("require", "verify-ca", "verify-full")
_OPTION = re.compile(r"(?:-c\s*|--)([A-Za-z_][A-Za-z0-9_.-]*)=((?:\\.|\S)*)")
_READ_ONLY_HINT = "Outdial needs a server that takes writes"

_Check = Callable[[str], str | None]
"""What is wrong with a value; None if it is accepted."""


def _any(_value: str) -> None:
    return None


def _one_of(*values: str) -> _Check:
    return lambda value: None if value in values else f"must be {_listed(values)}"


def _only(*values: str, why: str) -> _Check:
    return lambda value: None if value in values else f"must be {_listed(values)}: {why}"


def _number(low: int, high: int) -> _Check:
    def check(value: str) -> str | None:
        fits = re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) and low <= int(value) <= high
        return None if fits else f"must be a number from {low} to {high}"

    return check


def _refused(why: str) -> _Check:
    return lambda _value: f"is not supported: {why}"


def _listed(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _options(text: str) -> str | None:
    for name, value in settings_of(text).items():
        if name == "default_transaction_read_only" and value.lower() not in {"off", "false", "no", "0"}:
            return f"must not set {name}: {_READ_ONLY_HINT}"
        if name == "client_encoding" and not _is_utf8(value):
            return f"must not set {name} to anything but UTF8"
        if name == "timezone" and value.upper() not in {"UTC", "GMT", "ETC/UTC"}:
            return "must not set timezone to anything but UTC"
        if name == "datestyle" and "ISO" not in [part.strip().upper() for part in value.split(",")]:
            return "must not set datestyle to anything but ISO"
    return None


def _is_utf8(value: str) -> bool:
    return value.lower().replace("-", "") in {"utf8", "unicode", "auto"}


_TLS_VERSIONS = _one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_NO_OAUTH = _refused("the driver has no OAuth login")
_IN_URL = _refused("copy the service file's parameters into the URL")

NAMES: Mapping[str, _Check] = {
    # where
    "host": _any,
    "port": _any,
    "dbname": _any,
    "user": _any,
    "password": _any,
    "hostaddr": _refused("write the address as host"),
    "service": _IN_URL,
    "servicefile": _IN_URL,
    "target_session_attrs": _only("read-write", "primary", "any", why=_READ_ONLY_HINT),
    "load_balance_hosts": _one_of("disable", "random"),
    "connect_timeout": _number(1, CONNECT_SECONDS_MAX),
    # who
    "passfile": _any,
    "require_auth": _refused("the driver uses the method that the server asks for"),
    "channel_binding": _only("disable", "prefer", why="the driver has no channel binding; remove the parameter"),
    "requirepeer": _refused("the driver does not check a socket's owner"),
    "krbsrvname": _any,
    "gsslib": _one_of("gssapi", "sspi"),
    "gssdelegation": _only("0", why="the driver does not delegate credentials"),
    "gssencmode": _only("disable", "prefer", why="the driver has no GSSAPI encryption; use sslmode"),
    "scram_client_key": _refused("use password"),
    "scram_server_key": _refused("use password"),
    "oauth_issuer": _NO_OAUTH,
    "oauth_client_id": _NO_OAUTH,
    "oauth_client_secret": _NO_OAUTH,
    "oauth_scope": _NO_OAUTH,
    # TLS
    "sslmode": _one_of("disable", "allow", "prefer", *_VERIFYING),
    "ssl": _only("true", why="use sslmode"),
    "sslnegotiation": _one_of("postgres", "direct"),
    "sslrootcert": _any,
    "sslcert": _any,
    "sslkey": _any,
    "sslpassword": _any,
    "sslcrl": _any,
    "sslcrldir": _refused("use sslcrl"),
    "sslcertmode": _only("allow", why="the driver sends a certificate if sslcert names one"),
    "sslcompression": _only("0", why="TLS compression does not exist any more"),
    "sslsni": _only("1", why="the driver always sends the server's name"),
    "sslkeylogfile": _refused("set the environment variable SSLKEYLOGFILE"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    # the session
    "options": _options,
    "application_name": _any,
    "fallback_application_name": _any,
    "client_encoding": lambda value: None if _is_utf8(value) else "must be UTF8",
    "replication": _only("false", "off", "no", "0", why="Outdial does not replicate"),
    "min_protocol_version": _only("3.0", why="the driver speaks version 3.0"),
    "max_protocol_version": _only("3.0", "latest", why="the driver speaks version 3.0"),
    # the connection
    "keepalives": _one_of("0", "1"),
    "keepalives_idle": _number(0, 86_400),
    "keepalives_interval": _number(0, 86_400),
    "keepalives_count": _number(0, 100),
    "tcp_user_timeout": _number(0, 86_400_000),
}
"""Every parameter by its name, and what checks its value."""


def check(given: Mapping[str, str]) -> None:
    """Check each value, and the values together.

    Raises:
        ValueError: one line that names the parameter. It never contains a value.
    """
    for name, value in given.items():
        problem = NAMES[name](value)
        if problem is not None:
            raise ValueError(f"{name} {problem}")
    for problem, is_there in _contradictions(given).items():
        if is_there:
            raise ValueError(problem)


def _contradictions(given: Mapping[str, str]) -> dict[str, bool]:
    """What can be wrong with several parameters together: the message, and whether it applies."""
    mode = sslmode(given)
    unverified = [name for name in ("sslrootcert", "sslcrl") if name in given]
    if given.get("sslnegotiation") == "direct":
        unverified.append("sslnegotiation=direct")
    of_client = [name for name in ("sslcert", "sslkey", "sslpassword") if name in given]
    low, high = given.get("ssl_min_protocol_version", "TLSv1.2"), given.get("ssl_max_protocol_version", "TLSv1.3")
    return {
        "ssl contradicts sslmode": "ssl" in given and mode not in _VERIFYING,
        "sslrootcert=system needs sslmode=verify-full": given.get("sslrootcert") == "system" and mode != "verify-full",
        **{f"{name} needs sslmode=require, verify-ca or verify-full": mode not in _VERIFYING for name in unverified},
        **{f"{name} contradicts sslmode=disable": mode == "disable" for name in of_client},
        **{f"{name} needs sslcert": "sslcert" not in given for name in of_client},
        "ssl_max_protocol_version is below ssl_min_protocol_version, whose default is TLSv1.2": low > high,
    }


def sslmode(given: Mapping[str, str]) -> str | None:
    """The mode that the parameters ask for; None if they do not."""
    if "sslmode" in given:
        return given["sslmode"]
    if "ssl" in given:
        return "require"
    # as libpq has it
    return "verify-full" if given.get("sslrootcert") == "system" else None


def settings_of(options: str) -> dict[str, str]:
    """The settings that `options` gives the session, as in `-csearch_path=dialer --lock_timeout=5s`."""
    return {
        found[1].lower().replace("-", "_"): re.sub(r"\\(.)", r"\1", found[2]) for found in _OPTION.finditer(options)
    }
