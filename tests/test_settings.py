"""Settings: read once, checked, frozen; a wrong one is one line that names it."""

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import ValidationError

from app import server, settings_file
from app.settings import (
    BASE_PATH_CHARACTERS_MAX,
    METRICS_TOKEN_CHARACTERS_MAX,
    METRICS_TOKEN_CHARACTERS_MIN,
    OWN_PATHS,
    SECRET_BYTES_MIN,
    Settings,
    SettingsError,
    ensure_secret,
)

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"OUTDIAL_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def pem_of(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def private_key():
    return ec.generate_private_key(ec.SECP256R1())


def refusal(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"OUTDIAL_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return line


def test_an_empty_environment_has_every_default():
    settings = Settings.load()
    assert settings.database_url == "sqlite:///outdial.db"
    assert settings.is_sqlite
    assert settings.sqlite_path == Path("outdial.db")
    assert settings.database_pool_size == 10
    assert settings.event_retention_hours == 72
    assert (settings.log_level, settings.log_format) == ("INFO", "text")
    assert settings.allowed_origins == ()
    assert (settings.base_path, settings.keep_alive_seconds) == ("", 75)
    assert not settings.has_key
    assert settings.default_region is None


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.setenv(f"OUTDIAL_{name.upper()}", "")
    assert Settings.load() == Settings()


def test_every_setting_comes_from_its_variable(monkeypatch):
    for name, value in {
        "DATABASE_URL": "postgresql://ann:pw@db:5433/calls",
        "DATABASE_POOL_SIZE": "20",
        "JWT_SECRET": SECRET,
        "JWT_AUDIENCE": "outdial",
        "JWT_ISSUER": "https://login.example.com/",
        "DEFAULT_REGION": "kr",
        "ALLOWED_ORIGINS": "https://App.example.com:443/, http://localhost:5173 ,",
        "BASE_PATH": "/tools/calls/",
        "KEEP_ALIVE_SECONDS": "620",
        "EVENT_RETENTION_HOURS": "1",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "JSON",
    }.items():
        monkeypatch.setenv(f"OUTDIAL_{name}", value)
    settings = Settings.load()
    assert settings.database_url == "postgresql://ann:pw@db:5433/calls"
    assert not settings.is_sqlite
    assert settings.sqlite_path is None
    assert settings.database_pool_size == 20
    assert settings.jwt_secret.get_secret_value() == SECRET
    assert (settings.jwt_audience, settings.jwt_issuer) == ("outdial", "https://login.example.com/")
    assert settings.default_region == "KR"
    assert settings.allowed_origins == ("https://app.example.com", "http://localhost:5173")
    assert settings.base_path == "/tools/calls"
    assert settings.keep_alive_seconds == 620
    assert settings.event_retention_hours == 1
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")


@pytest.mark.parametrize(
    ("value", "path"),
    [("/", ""), ("/calls", "/calls"), ("/calls/", "/calls"), ("/a/b-c/d_e/f.g~h", "/a/b-c/d_e/f.g~h"), ("/1", "/1")],
)
def test_a_base_path_ends_without_a_slash(monkeypatch, value, path):
    monkeypatch.setenv("OUTDIAL_BASE_PATH", value)
    assert Settings.load().base_path == path


def test_no_base_path_is_one_of_the_servers_own():
    """Or else a request for it could mean two things behind a proxy that strips the base path."""
    app = server.create_app(Settings.load(jwt_secret=SECRET))
    assert {route.path.split("/")[1] for route in app.routes} - {""} == OWN_PATHS


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "mysql://ann:hunter2@db/calls", "sqlite:/// or postgresql://"),
        ("DATABASE_URL", "hunter2", "sqlite:/// or postgresql://"),
        ("DATABASE_URL", "sqlite:///", "needs a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "needs a file"),
        ("DATABASE_URL", "sqlite:///directory/", "needs a file"),
        ("DATABASE_URL", "postgresql://ann:hunter2@db", "postgresql://user:password@host:port/name"),
        ("DATABASE_URL", "postgresql://ann:hunter2@db:port/calls", "port must be a number from 1 to 65535"),
        ("DATABASE_URL", "postgresql://ann:hunter2@[db/calls", "write an IPv6 address in brackets"),
        ("DATABASE_URL", "postgresql:///calls", "postgresql://user:password@host:port/name"),
        ("DATABASE_POOL_SIZE", "1", "greater than or equal to 2"),
        ("DATABASE_POOL_SIZE", "101", "less than or equal to 100"),
        ("JWT_SECRET", "hunter2", "32 bytes"),
        ("JWT_PUBLIC_KEY", "/no/such/file.pem", "PEM text"),
        ("JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----", "PEM text"),
        ("JWT_JWKS_URL", "file:///etc/passwd", "https://"),
        ("JWT_JWKS_URL", "https://ann:hunter2@login.example.com/keys", "https://"),
        ("DEFAULT_REGION", "XX", "two letters"),
        ("DEFAULT_REGION", "001", "two letters"),
        ("ALLOWED_ORIGINS", "*", "origins such as"),
        ("ALLOWED_ORIGINS", "https://app.example.com,null", "origins such as"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path", "origins such as"),
        ("BASE_PATH", "calls", "such as /calls"),
        ("BASE_PATH", "https://example.com/calls", "such as /calls"),
        ("BASE_PATH", "//calls", "such as /calls"),
        ("BASE_PATH", "/calls//", "such as /calls"),
        ("BASE_PATH", "//evil.example.com", "such as /calls"),
        ("BASE_PATH", "/calls/../x", "such as /calls"),
        ("BASE_PATH", "/calls/.", "such as /calls"),
        ("BASE_PATH", "/ca lls", "such as /calls"),
        ("BASE_PATH", "/calls?x=1", "such as /calls"),
        ("BASE_PATH", "/calls#x", "such as /calls"),
        ("BASE_PATH", "/%63alls", "such as /calls"),
        ("BASE_PATH", "/calls\n", "such as /calls"),
        ("BASE_PATH", "/calls;Secure", "such as /calls"),
        ("BASE_PATH", '/"><script>', "such as /calls"),
        ("BASE_PATH", "/Anrufe-größer", "such as /calls"),
        ("BASE_PATH", "/" + "x" * 200, "at most 200 characters"),
        ("BASE_PATH", "/graphql", "must not begin with /graphql"),
        ("BASE_PATH", "/v1.0/calls", "must not begin with /v1.0"),
        ("KEEP_ALIVE_SECONDS", "0", "greater than or equal to 1"),
        ("KEEP_ALIVE_SECONDS", "4201", "less than or equal to 4200"),
        ("KEEP_ALIVE_SECONDS", "75s", "integer"),
        ("EVENT_RETENTION_HOURS", "0", "greater than or equal to 1"),
        ("EVENT_RETENTION_HOURS", "three", "integer"),
        ("LOG_LEVEL", "loud", "'INFO'"),
        ("LOG_FORMAT", "xml", "'json'"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it_and_tells_no_secret(monkeypatch, name, value, words):
    line = refusal(monkeypatch, **{name: value})
    assert line.startswith(f"OUTDIAL_{name}: ")
    assert words in line
    assert "hunter2" not in line


def interval(name):
    """The least and the most that a setting may be; None if nothing bounds it there."""
    found = {"ge": None, "le": None}
    for part in Settings.model_fields[name].metadata:
        found |= {side: value for side in found if (value := getattr(part, side, None)) is not None}
    return found["ge"], found["le"]


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in {int, int | None}]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_taken_from_its_least_to_its_most_and_not_beyond(monkeypatch, name):
    least, most = interval(name)
    for value in (least, most):
        monkeypatch.setenv(f"OUTDIAL_{name.upper()}", str(value))
        assert getattr(Settings.load(), name) == value
    for value, words in ((least - 1, f"greater than or equal to {least}"), (most + 1, f"less than or equal to {most}")):
        line = refusal(monkeypatch, **{name: str(value)})
        assert line.startswith(f"OUTDIAL_{name.upper()}: ")
        assert words in line


def of_length(count):
    return "/" + "x" * (count - 1)


LENGTHS = {
    "base_path": (1, BASE_PATH_CHARACTERS_MAX, of_length),
    "jwt_secret": (SECRET_BYTES_MIN, None, "x".__mul__),
    "metrics_token": (METRICS_TOKEN_CHARACTERS_MIN, METRICS_TOKEN_CHARACTERS_MAX, "x".__mul__),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_text_is_taken_from_its_least_length_to_its_most_and_not_beyond(monkeypatch, name):
    least, most, make = LENGTHS[name]
    for length in filter(None, (least, most)):
        monkeypatch.setenv(f"OUTDIAL_{name.upper()}", make(length))
        Settings.load()
    wrong = [least - 1] if least > 1 else []  # an empty variable is an unset one
    for length in [*wrong, *([] if most is None else [most + 1])]:
        assert refusal(monkeypatch, **{name: make(length)}).startswith(f"OUTDIAL_{name.upper()}: ")


def test_a_unix_socket_is_a_host(monkeypatch):
    monkeypatch.setenv("OUTDIAL_DATABASE_URL", "postgresql:///calls?host=/run/postgresql")
    assert not Settings.load().is_sqlite


def test_sqlite_urls_are_relative_or_absolute():
    assert Settings(database_url="sqlite:///data/calls.db").sqlite_path == Path("data/calls.db")
    assert Settings(database_url="sqlite:////var/lib/calls.db").sqlite_path == Path("/var/lib/calls.db")
    assert Settings(database_url="sqlite:///my%20calls.db").sqlite_path == Path("my calls.db")


@pytest.mark.parametrize(
    ("first", "second"),
    [("JWT_SECRET", "JWT_PUBLIC_KEY"), ("JWT_SECRET", "JWT_JWKS_URL"), ("JWT_PUBLIC_KEY", "JWT_JWKS_URL")],
)
def test_two_ways_to_verify_tokens_are_refused(monkeypatch, private_key, first, second):
    values = {
        "JWT_SECRET": SECRET,
        "JWT_PUBLIC_KEY": pem_of(private_key),
        "JWT_JWKS_URL": "https://login.example.com/keys",
    }
    line = refusal(monkeypatch, **{first: values[first], second: values[second]})
    assert line == f"OUTDIAL_{first} and OUTDIAL_{second}: set only one of them"


def test_a_public_key_may_be_text_or_a_path(monkeypatch, private_key, tmp_path):
    pem = pem_of(private_key)
    (tmp_path / "key.pem").write_text(pem)
    for value in (pem, pem.replace("\n", "\\n"), str(tmp_path / "key.pem"), "key.pem"):
        monkeypatch.setenv("OUTDIAL_JWT_PUBLIC_KEY", value)
        assert Settings.load().jwt_public_key == pem


def test_weak_and_private_keys_are_refused(monkeypatch, private_key):
    private_pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert "private key" in refusal(monkeypatch, JWT_PUBLIC_KEY=private_pem)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert "2048 bits" in refusal(monkeypatch, JWT_PUBLIC_KEY=pem_of(weak))
    assert "P-256" in refusal(monkeypatch, JWT_PUBLIC_KEY=pem_of(ec.generate_private_key(ec.SECP384R1())))


def test_a_public_key_is_no_secret(monkeypatch):
    pem = pem_of(ed25519.Ed25519PrivateKey.generate())
    assert refusal(monkeypatch, JWT_SECRET=pem).endswith("set OUTDIAL_JWT_PUBLIC_KEY instead")


def test_settings_are_frozen_and_never_show_what_is_secret():
    settings = Settings(jwt_secret=SECRET, database_url="postgresql://ann:hunter2@db/calls")
    with pytest.raises(ValidationError):
        settings.log_level = "DEBUG"
    assert SECRET not in repr(settings) + str(settings)
    assert "hunter2" not in repr(settings) + str(settings)


# ---------------------------------------------------------------- the secret beside the database


def test_a_key_that_is_set_is_left_alone(tmp_path):
    settings = Settings(jwt_secret=SECRET)
    said = []
    assert ensure_secret(settings, said.append) is settings
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_a_made_secret_is_kept_beside_the_database_for_its_owner_alone(tmp_path):
    said = []
    first = ensure_secret(Settings(), said.append)
    second = ensure_secret(Settings(), said.append)
    path = tmp_path / "outdial.db.secret"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.jwt_secret.get_secret_value() == path.read_text().strip()
    assert len(path.read_text().strip()) == 64
    assert second == first
    assert said == [
        "OUTDIAL_JWT_SECRET is not set: a new secret was stored in outdial.db.secret.",
        "OUTDIAL_JWT_SECRET is not set: the secret in outdial.db.secret is used.",
    ]
    assert path.read_text().strip() not in "".join(said)


def test_processes_that_start_together_get_the_same_secret(tmp_path):
    barrier = threading.Barrier(16)
    got = []

    def start():
        barrier.wait()
        got.append(ensure_secret(Settings(database_url=f"sqlite:///{tmp_path}/x.db")).jwt_secret.get_secret_value())

    threads = [threading.Thread(target=start) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len(set(got)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.db.secret"]


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    ensure_secret(Settings())
    (tmp_path / "outdial.db.secret").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        ensure_secret(Settings())


def test_a_secret_file_without_a_secret_is_refused(tmp_path):
    path = tmp_path / "outdial.db.secret"
    path.touch(0o600)
    with pytest.raises(SettingsError, match="has no secret"):
        ensure_secret(Settings())


def test_a_link_is_not_followed_to_a_secret(tmp_path):
    (tmp_path / "elsewhere").write_text(SECRET)
    (tmp_path / "elsewhere").chmod(0o600)
    (tmp_path / "outdial.db.secret").symlink_to("elsewhere")
    with pytest.raises(SettingsError, match="OUTDIAL_JWT_SECRET"):
        ensure_secret(Settings())


def test_a_directory_that_is_not_there_is_one_line():
    with pytest.raises(SettingsError, match=r"no secret can be stored in .*: No such file or directory"):
        ensure_secret(Settings(database_url="sqlite:///no/such/x.db"))


def test_postgresql_gets_no_made_secret(tmp_path):
    with pytest.raises(SettingsError, match=r"^OUTDIAL_JWT_SECRET is not set") as caught:
        ensure_secret(Settings(database_url="postgresql://ann:hunter2@db/calls"))
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_bytes_that_are_not_utf_8_are_refused_in_every_setting(monkeypatch, name):
    monkeypatch.setenv(f"OUTDIAL_{name.upper()}", "\udcff" * 40)
    with pytest.raises(SettingsError, match=rf"^OUTDIAL_{name.upper()}: holds bytes that are not UTF-8$"):
        Settings.load()


# ---------------------------------------------------------------- the settings' file


def with_file(monkeypatch: pytest.MonkeyPatch, folder: Path, content: str | bytes) -> Path:
    file = folder / "settings"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("OUTDIAL_SETTINGS_FILE", str(file))
    return file


def test_a_file_counts_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OUTDIAL_LOG_LEVEL", "ERROR")
    monkeypatch.setenv("OUTDIAL_LOG_FORMAT", "json")
    file = with_file(
        monkeypatch,
        tmp_path,
        "\ufeff# ours\n\n  OUTDIAL_LOG_LEVEL = debug \nexport OUTDIAL_DEFAULT_REGION='DE'\r\n"
        'OUTDIAL_JWT_SECRET="a $b #c = d, long enough for HS256 and more"\nOUTDIAL_KEEP_ALIVE_SECONDS=\n'
        "OUTDIAL_ALLOWED_ORIGINS=https://a.example, https://b.example\n",
    )
    settings = Settings.load()
    assert (settings.log_level, settings.log_format, settings.default_region) == ("DEBUG", "json", "DE")
    assert settings.jwt_secret.get_secret_value() == "a $b #c = d, long enough for HS256 and more"
    assert settings.keep_alive_seconds == 75
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.settings_file == str(file)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("OUTDIAL_LOG_LEVEL=DEBUG\nnonsense hunter2", "line 2 must be a name, an equals sign and a value"),
        ("OUTDIAL_LOG_LEVEL=DEBUG\nOUTDIAL_LOG_LEVEL=INFO", "line 2 sets OUTDIAL_LOG_LEVEL again"),
        ("OUTDIAL_LOGLEVEL=hunter2", "there is no setting OUTDIAL_LOGLEVEL"),
        ("PATH=/hunter2", "there is no setting PATH"),
        (b"OUTDIAL_LOG_LEVEL=\xff", "is not text in UTF-8"),
        (b"#" * 1_048_577, "is too large: at most 1,048,576 bytes"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(monkeypatch, tmp_path, content, line):
    with_file(monkeypatch, tmp_path, content)
    with pytest.raises(SettingsError, match=rf"^OUTDIAL_SETTINGS_FILE: .*{line}$") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(monkeypatch, tmp_path):
    with_file(monkeypatch, tmp_path, "").unlink()
    with pytest.raises(SettingsError, match=r"^OUTDIAL_SETTINGS_FILE: .*/settings cannot be read: No such file"):
        Settings.load()


ENDLESS = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("make", ENDLESS.values(), ids=ENDLESS)
def test_only_regular_files_are_read(monkeypatch, tmp_path, make):
    make(tmp_path / "odd")
    assert refusal(monkeypatch, JWT_PUBLIC_KEY=str(tmp_path / "odd")).startswith(
        "OUTDIAL_JWT_PUBLIC_KEY: must be the PEM"
    )
    monkeypatch.setenv("OUTDIAL_SETTINGS_FILE", str(tmp_path / "odd"))
    with pytest.raises(
        SettingsError, match=r"^OUTDIAL_SETTINGS_FILE: .*/odd cannot be read: it is not a regular file$"
    ):
        Settings.load()
    monkeypatch.delenv("OUTDIAL_JWT_PUBLIC_KEY")
    monkeypatch.delenv("OUTDIAL_SETTINGS_FILE")
    make(tmp_path / "outdial.db.secret")
    with pytest.raises(SettingsError, match=r"^OUTDIAL_JWT_SECRET is not set, and no secret can be stored"):
        ensure_secret(Settings.load())


def test_a_file_of_a_key_has_a_size(monkeypatch, private_key, tmp_path):
    (tmp_path / "key.pem").write_text(" " * settings_file.FILE_BYTES_MAX + pem_of(private_key))
    assert "must be the PEM text" in refusal(monkeypatch, JWT_PUBLIC_KEY="key.pem")


def test_a_wrong_value_in_the_file_names_its_setting(monkeypatch, tmp_path):
    with_file(monkeypatch, tmp_path, "OUTDIAL_JSON_DEPTH_MAX=hunter2")
    with pytest.raises(SettingsError, match=r"^OUTDIAL_JSON_DEPTH_MAX: ") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)


def test_trusted_proxies_are_networks():
    networks = Settings.load(trusted_proxies="127.0.0.1, 10.0.0.0/8,fd00::/8,").trusted_proxies
    assert [str(network) for network in networks] == ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]
    for wrong in ("proxy.internal", "10.0.0.1/8", "*", "10.0.0.0/33"):
        with pytest.raises(SettingsError, match=r"^OUTDIAL_TRUSTED_PROXIES: must be addresses or networks"):
            Settings.load(trusted_proxies=wrong)
