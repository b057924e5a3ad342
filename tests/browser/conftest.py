"""One Chromium for the session, on one loop; each test has its own customer and a page without a past."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.conftest import Kind
from tests.support.browsing import WEB, Sight, axe_script, chromium, sight
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What a browser is asked is answered on the loop that it was started on.
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    assert (WEB / "dist" / "index.html").exists(), "build the pages first: cd app/web && npm ci && npm run build"
    async with chromium() as started:
        yield started


@pytest.fixture
def kind() -> Kind:
    """Pages do not know the database: one is enough, but for a test that names more."""
    return "sqlite"


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: ServerProcess) -> AsyncIterator[Client]:
    """A new customer; what the page shows is compared with what this one reads."""
    async with Client(service.url, str(uuid4())) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def seen(browser: Browser, service: ServerProcess) -> AsyncIterator[Sight]:
    """A page at that server, nothing loaded yet."""
    async with sight(browser, service.url) as seen:
        yield seen


@pytest.fixture
def page(seen: Sight) -> Page:
    return seen.page


@pytest.fixture(scope="session")
def axe() -> str:
    return axe_script()
