"""A real server of WebSockets, on each protocol of uvicorn that we use."""

from collections.abc import Iterator

import pytest

from app.server.connections.websocket import WebSocketProtocol
from tests.support.transport import (
    Served,
    watch,
)


@pytest.fixture(scope="module", params=["websockets-sansio", WebSocketProtocol], ids=["uvicorn", "ours"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """On uvicorn's protocol, where each message is awaited, and on ours, which takes them at once while it can."""
    with Served(ws=request.param) as served:
        yield served


@pytest.fixture(autouse=True)
def _fresh_watch() -> None:
    watch.__init__()  # type: ignore[misc]
