"""An application whose spans are kept."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app import tracing
from app.server import create_app
from app.settings import Settings
from tests.support.server import JWT_SECRET, token
from tests.support.spans import CUSTOMER, Traced


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


@pytest.fixture
async def traced(
    database: str, exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Traced]:
    app = create_app(Settings(database_url=database, jwt_secret=JWT_SECRET))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token(CUSTOMER)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as http:
        yield Traced(http, exporter)
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]
