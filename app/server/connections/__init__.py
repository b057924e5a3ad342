"""What uvicorn is given for connections: its options, and protocols that bound what comes before a token is read.

uvicorn bounds neither the headers nor the time of a request, nor how many connections an address may have. The
protocols here are its own, with these bounds around them.
"""

from typing import Any

from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from app.settings import Settings

PING_SECONDS = 20.0
"""From one ping of a WebSocket to the next, and how long its pong may take."""


def options(settings: Settings) -> dict[str, Any]:
    """`uvicorn.Config(app, **options(settings))`: the options that are the same for all ways to start the server."""
    return {
        "timeout_keep_alive": settings.keep_alive_seconds,
        "http": HttpProtocol,
        "ws": WebSocketProtocol,
        "ws_max_size": settings.socket_message_bytes_max,
        "ws_ping_interval": PING_SECONDS,
        "ws_ping_timeout": PING_SECONDS,
        # Compression costs memory for each socket, and more time for each message than its execution.
        "ws_per_message_deflate": False,
        "access_log": False,  # ours leaves query strings out
        "server_header": False,
    }
