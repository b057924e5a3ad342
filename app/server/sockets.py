"""uvicorn's options for HTTP and WebSocket: `uvicorn.Config(app, **options(settings))`."""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.graphql.transport.http import BODY_BYTES_MAX
from app.settings import Settings

DRAIN_SECONDS_MAX = 5.0
"""How long a client may take to read what was sent before its socket closes."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's pings, for clients that are silent or do not read."""

    _dropping: asyncio.TimerHandle | None = None

    def keepalive_timeout(self) -> None:
        # uvicorn would close with 1011, and graphql-ws does not reconnect after that. But a laptop that wakes up must
        # reconnect. A cut connection looks like a lost network, and graphql-ws reconnects.
        self.transport.abort()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if self.transport.get_write_buffer_size():
            self._dropping = self.loop.call_later(DRAIN_SECONDS_MAX, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
        super().connection_lost(exc)


def options(settings: Settings) -> dict[str, Any]:
    """The options that are the same for all ways to start the server."""
    return {
        "timeout_keep_alive": settings.keep_alive_seconds,
        "ws": WebSocketProtocol,
        "ws_max_size": BODY_BYTES_MAX,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        # Compression costs memory for each socket, and more time for each message than its execution.
        "ws_per_message_deflate": False,
        "access_log": False,  # ours leaves query strings out
        "server_header": False,
    }
