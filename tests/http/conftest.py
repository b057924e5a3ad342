"""A real server, and a client with a good token."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.posting import PATH
from tests.support.transport import Served, watch


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    watch.__init__()  # type: ignore[misc]
    headers = {"Authorization": "Bearer good"}
    async with httpx.AsyncClient(
        base_url=served.url.removesuffix(PATH), headers=headers, timeout=20, trust_env=False
    ) as client:
        yield client
