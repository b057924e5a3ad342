"""Tracing is switched on and off, and a start that cannot trace says why."""

import pytest

from app import tracing
from app.server import create_app
from app.settings import Settings, SettingsError
from tests.support.server import JWT_SECRET


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (lambda _: None, lambda name: __import__(f"no_such_{name}")):
        monkeypatch.setattr(tracing, "find_spec", found)
        with pytest.raises(SettingsError, match=r"^OUTDIAL_TRACING: .*pip install 'outdial\[otel\]'$"):
            create_app(Settings(jwt_secret=JWT_SECRET, tracing="on"))
    create_app(Settings(jwt_secret=JWT_SECRET))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_what_opentelemetry_is_asked_for_and_is_not_here_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: must be "):
        tracing.check()


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_opentelemetrys_own_switches_count(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    tracing.check()
    tracing.start()
    assert not tracing.is_on()
