"""The settings: the environment, read once, checked and frozen. The error of a wrong one is one line that names it."""

import os
import re
import secrets
import stat
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import phonenumbers
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app import settings_file
from app.database_url import SQLITE_PREFIX, DatabaseUrl

PREFIX = "OUTDIAL_"
SECRET_BYTES_MIN = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash. PyJWT warns about shorter keys."""
RSA_BITS_MIN = 2048
METRICS_TOKEN_CHARACTERS_MIN = 16
METRICS_TOKEN_CHARACTERS_MAX = 1_000
_METRICS_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{METRICS_TOKEN_CHARACTERS_MIN},{METRICS_TOKEN_CHARACTERS_MAX}}}")
"""RFC 6750, section 2.1: what a bearer token may hold."""
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SEGMENT = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"  # neither . nor .., and no characters that a URL must escape
_BASE_PATH = re.compile(rf"(?:/{_SEGMENT})+")
BASE_PATH_CHARACTERS_MAX = 200
OWN_PATHS = frozenset({"graphql", "healthz", "metrics", "readyz", "session", "v1.0", "web"})
"""The first segments of the server's own paths. As a base path they would be ambiguous."""
_KEY_NAMES = ("jwt_secret", "jwt_public_key", "jwt_jwks_url")

Network = IPv4Network | IPv6Network
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class SettingsError(Exception):
    """A setting is missing or wrong: one line that names the variable and never contains a secret."""


class Settings(BaseSettings):
    """The environment's variables: OUTDIAL_ and the field's name. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
        extra="forbid",
    )

    database_url: str = Field(default=f"{SQLITE_PREFIX}outdial.db", repr=False)  # it may contain a password
    database_pool_size: int = Field(default=10, ge=2, le=100)
    """Connections of each process to PostgreSQL."""
    jwt_secret: SecretStr | None = None
    jwt_public_key: str | None = None
    """PEM text, also if the variable names a file."""
    jwt_jwks_url: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    default_region: str | None = None
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    base_path: str = Field(default="", max_length=BASE_PATH_CHARACTERS_MAX)
    """The path below which a reverse proxy shows the server, without a slash at its end; empty at the root."""
    keep_alive_seconds: int = Field(default=75, ge=1, le=4_200)
    """How long an idle connection stays open.

    It must be longer than the idle timeout of a balancer in front (mostly 60 s, with AWS at most 4,000 s), which
    otherwise sends requests into connections that are just closing.
    """
    connections_max: int = Field(default=10_000, ge=10, le=1_000_000)
    """Open connections of each process. It is fewer if the process may not open as many files."""
    address_connections_max: int | None = Field(default=None, ge=1, le=1_000_000)
    """Those of one address, and of one /64 of IPv6 addresses; None for a quarter of those that the process can have."""
    customer_sockets_max: int = Field(default=2_000, ge=1, le=1_000_000)
    """WebSockets of one customer, of each process."""
    customer_subscriptions_max: int = Field(default=5_000, ge=1, le=1_000_000)
    """Subscriptions of one customer, of each process."""
    customer_exports_max: int = Field(default=4, ge=1, le=1_000)
    """Files that one customer reads at once, of each process."""
    rate_points_per_second: int = Field(default=50_000, ge=0, le=1_000_000_000)
    """Points of work that each customer gets, in all processes together; 0 for no limit. See `app.costs`."""
    rate_points_burst: int = Field(default=500_000, ge=2_500, le=1_000_000_000)
    """Points that a customer may save up. The costliest operation takes 2,500."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    """Whose X-Forwarded-For says where a connection is from."""
    header_bytes_max: int = Field(default=32_768, ge=1_024, le=1_048_576)
    """The request line and the headers of one request. The longest token and the longest cookie fit in."""
    header_seconds_max: int = Field(default=10, ge=1, le=300)
    """From the first byte of a request, or from the connection's start, to the end of the headers."""
    body_bytes_per_second_min: int = Field(default=1_000, ge=0, le=1_000_000)
    """A sender that is slower is cut off; 0 for no limit."""
    socket_init_bytes_max: int = Field(default=20_480, ge=1_024, le=1_048_576)
    """A message before connection_ack: the longest token, and 4 KiB beside it."""
    socket_message_bytes_max: int = Field(default=8_388_608, ge=1_024, le=67_108_864)
    """A message after connection_ack."""
    json_depth_max: int = Field(default=64, ge=8, le=250)
    """Arrays and objects inside each other, in a body or a message."""
    json_values_max: int = Field(default=250_000, ge=1_000, le=10_000_000)
    """Values in a body or a message: about 25 MB."""
    answer_bytes_max: int = Field(default=67_108_864, ge=1_048_576, le=1_073_741_824)
    """One answer. A larger one is refused before it is complete."""
    answers_bytes_max: int = Field(default=268_435_456, ge=1_048_576, le=17_179_869_184)
    """All large answers that a process makes and sends at once."""
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """A port on which there are the metrics and nothing else; None to have them on the usual port."""
    metrics_host: str = "127.0.0.1"
    """The address of that port."""
    metrics_token: SecretStr | None = None
    """Who reads the metrics must send it as a bearer token."""
    settings_file: str | None = None
    """A file with variables as in the environment. It counts before that, and is read again at SIGHUP."""
    event_retention_hours: int = Field(default=72, ge=1, le=24 * 366 * 10)
    import_retention_days: int = Field(default=30, ge=1, le=366 * 10)
    compiled: Literal["on", "off"] = "on"
    """Whether operations are compiled; if not, graphql-core executes them all."""
    tracing: Literal["on", "off"] = "off"
    """Whether spans are sent to a collector of OpenTelemetry. Its own variables say where."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @classmethod
    def load(cls, **values: Any) -> Self:
        """The settings, from the given values; if there are none, from the settings' file. The rest: the environment.

        Raises:
            SettingsError: the first thing that is wrong.
        """
        try:
            return cls(**(values or cls._from_file()))
        except ValidationError as error:
            line = _line(error)
        # Outside of the handler: the chained error would show its input in a traceback.
        raise SettingsError(line)

    @classmethod
    def _from_file(cls) -> dict[str, str]:
        """Values of fields from the file that the environment names, if it does. Empty ones count as unset."""
        path = settings_file.path()
        if path is None:
            return {}
        try:
            found = settings_file.read(path)
        except settings_file.WrongFile as wrong:
            raise SettingsError(f"{settings_file.VARIABLE}: {wrong}") from None
        variables = {_variable(name): name for name in cls.model_fields}
        if unknown := found.keys() - variables.keys():
            raise SettingsError(f"{settings_file.VARIABLE}: {path}: there is no setting {min(unknown)}")
        return {variables[name]: value for name, value in found.items() if value}

    @property
    def is_sqlite(self) -> bool:
        return self.sqlite_path is not None

    @property
    def sqlite_path(self) -> Path | None:
        """The database file; None on PostgreSQL."""
        return DatabaseUrl.parse(self.database_url).path

    @property
    def has_key(self) -> bool:
        """Whether tokens can be verified."""
        return any(getattr(self, name) is not None for name in _KEY_NAMES)

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: str) -> str:
        DatabaseUrl.parse(url)
        return url

    @field_validator("jwt_secret")
    @classmethod
    def _check_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            text = secret.get_secret_value()
            if len(text.encode()) < SECRET_BYTES_MIN:
                raise ValueError(f"must be {SECRET_BYTES_MIN} bytes or more, as HS256 asks (try: openssl rand -hex 32)")
            if "-----BEGIN" in text or text.startswith("ssh-"):
                # Anyone who knows a public key could sign with it.
                raise ValueError(f"is a key of a key pair; set {PREFIX}JWT_PUBLIC_KEY instead")
        return secret

    @field_validator("metrics_token")
    @classmethod
    def _check_metrics_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _METRICS_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError(
                f"must be {METRICS_TOKEN_CHARACTERS_MIN} to {METRICS_TOKEN_CHARACTERS_MAX:,} letters, digits and "
                "-._~+/= (try: openssl rand -hex 32)"
            )
        return token

    @field_validator("jwt_public_key")
    @classmethod
    def _check_public_key(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # Container environments carry line ends as \n.
        pem = value.replace("\\n", "\n") if "-----BEGIN" in value else _file_text(value)
        if "PRIVATE KEY-----" in pem:
            raise ValueError("is a private key; the server needs the public one only")
        try:
            key = signature_key(load_pem_public_key(pem.encode()))
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("must be the PEM text of a public key, or the path of a file with it") from None
        if key is None:
            raise ValueError(f"must be an RSA key of {RSA_BITS_MIN} bits or more, a P-256 key or an Ed25519 key")
        return pem

    @field_validator("jwt_jwks_url")
    @classmethod
    def _check_jwks_url(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^\s/@]+(?:/\S*)?", url):
            raise ValueError("must be an http:// or https:// URL")
        return url

    @field_validator("default_region")
    @classmethod
    def _check_region(cls, region: str | None) -> str | None:
        if region is None:
            return None
        region = region.strip().upper()
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("must be a country code of two letters, such as DE, KR or US")
        return region

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        texts = value.split(",") if isinstance(value, str) else value
        if not isinstance(texts, list | tuple):
            return value
        return tuple(_origin(str(text).strip()) for text in texts if str(text).strip())

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: object) -> object:
        texts = value.split(",") if isinstance(value, str) else value
        if not isinstance(texts, list | tuple):
            return value
        try:
            return tuple(ip_network(str(text).strip()) for text in texts if str(text).strip())
        except ValueError:
            raise ValueError("must be addresses or networks such as 10.0.0.0/8, separated by commas") from None

    @field_validator("base_path")
    @classmethod
    def _check_base_path(cls, value: str) -> str:
        path = value.removesuffix("/")
        if path and not _BASE_PATH.fullmatch(path):
            raise ValueError("must be a path such as /calls: a slash, then letters, digits, and - _ . ~")
        first = path.split("/")[1] if path else ""
        if first in OWN_PATHS:
            raise ValueError(f"must not begin with /{first}, which is a path of the server itself")
        return path

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("compiled", "log_format", "tracing", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: object) -> object:  # the last one that is defined runs first
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:  # Python reads other bytes of the environment as half characters
                raise ValueError("holds bytes that are not UTF-8") from None
        return value

    @model_validator(mode="after")
    def _check_one_key(self) -> Self:
        given = [_variable(name) for name in _KEY_NAMES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: set only one of them")
        return self


def signature_key(key: object) -> tuple[PublicKey, str] | None:
    """A public key with its only algorithm here; None if it is too weak or of another kind."""
    match key:
        case rsa.RSAPublicKey() if key.key_size >= RSA_BITS_MIN:
            return key, "RS256"
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return key, "ES256"
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return key, "EdDSA"
    return None


def ensure_secret(settings: Settings, announce: Callable[[str], None] | None = None) -> Settings:
    """Settings that can verify tokens: unchanged if they already can, else with the secret beside the database.

    The secret is made at the first start. If several processes start at once, all get the same one.

    Args:
        settings: what the environment says.
        announce: gets a sentence for the user if such a secret is used.

    Raises:
        SettingsError: the database is not a file, or the secret's file cannot be used.
    """
    if settings.has_key:
        return settings
    path = _secret_path(settings)
    try:
        made = _make_secret(path)
        secret = _read_secret(path)
    except OSError as error:
        raise SettingsError(
            f"{_variable('jwt_secret')} is not set, and no secret can be stored in {path}: "
            f"{error.strerror or 'not usable'}"
        ) from None
    if announce is not None:
        announce(
            f"{_variable('jwt_secret')} is not set: a new secret was stored in {path}."
            if made
            else f"{_variable('jwt_secret')} is not set: the secret in {path} is used."
        )
    return _with_secret(settings, secret)


def find_secret(settings: Settings) -> Settings:
    """Settings with the server's key: unchanged if they have one, else with the secret beside its database.

    None is made here: a server elsewhere would not know it.

    Raises:
        SettingsError: there is no such secret, or it cannot be used.
    """
    if settings.has_key:
        return settings
    path = _secret_path(settings)
    try:
        secret = _read_secret(path)
    except FileNotFoundError:
        raise SettingsError(
            f"{_variable('jwt_secret')} is not set, and there is no server's secret in {path.absolute()}. Run this in "
            f"the server's folder, or set {_variable('database_url')} or {_variable('jwt_secret')} to the server's "
            "value. A server makes its secret at its first start: outdial serve"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{_variable('jwt_secret')} is not set, and {path.absolute()} cannot be read: {error.strerror}"
        ) from None
    return _with_secret(settings, secret)


def _secret_path(settings: Settings) -> Path:
    database = settings.sqlite_path
    if database is None:
        raise SettingsError(
            f"{_variable('jwt_secret')} is not set, nor {_variable('jwt_public_key')} or {_variable('jwt_jwks_url')}: "
            "with PostgreSQL the server does not make one"
        )
    return database.with_name(f"{database.name}.secret")


def _with_secret(settings: Settings, secret: SecretStr) -> Settings:
    # model_copy checks nothing, so the new value is checked through a new object.
    return Settings.load(**{**settings.model_dump(), "jwt_secret": secret})


def _make_secret(path: Path) -> bool:
    """Put a secret there if there is none. A complete file is linked to the name, so nobody reads a part of it."""
    if path.exists():
        return False
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False  # another process was faster; its secret is used
    finally:
        draft.unlink(missing_ok=True)
    return True


def _read_secret(path: Path) -> SecretStr:
    with settings_file.opened(path, may_be_link=False) as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise SettingsError(f"{_variable('jwt_secret')}: others can read {path}; run chmod 600 on it")
        secret = file.read(settings_file.FILE_BYTES_MAX).decode(errors="replace").strip()
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise SettingsError(
            f"{_variable('jwt_secret')}: {path} has no secret; remove it, and the server makes a new one"
        )
    return SecretStr(secret)


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return f"{_variable(str(first['loc'][0]))}: {message}" if first["loc"] else message


def _file_text(path: str) -> str:
    try:
        with settings_file.opened(Path(path)) as file:
            # Of a longer one the rest is missing, and it is no key.
            return file.read(settings_file.FILE_BYTES_MAX).decode("ascii")
    except (OSError, ValueError):
        raise ValueError("must be the PEM text of a public key, or the path of a file with it") from None


def _origin(text: str) -> str:
    """As browsers send it in Origin: lower-case, without the scheme's own port and without a path."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        # "*" too: it would let any page use its visitor's cookie.
        raise ValueError("must be origins such as https://app.example.com, separated by commas")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" if port in {None, _DEFAULT_PORTS[scheme]} else f"{scheme}://{host}:{port}"
