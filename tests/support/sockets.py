"""Operations on a socket, and a client that reads nothing."""

import json
import socket as sockets
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from tests.support.transport import (
    Served,
    receive,
)

FOREVER = "subscription { count(to: 999999, pause: 60) { number } }"
FLOOD = "subscription { count(to: 999999999) { number } }"


async def answers(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [await receive(socket) for _ in range(count)]


class Deaf:
    """A client that subscribes by hand and then reads nothing."""

    def __init__(self, served: Served, query: str, operations: int = 1) -> None:
        self.connection = sockets.socket()
        self.connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
        self.connection.connect(("127.0.0.1", served.port))
        lines = [
            "GET /graphql HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: graphql-transport-ws", "", "",
        ]  # fmt: skip
        self.connection.sendall("\r\n".join(lines).encode())
        self.connection.recv(1_000)
        self.write({"type": "connection_init", "payload": {"token": "good"}})
        for number in range(operations):
            self.write({"type": "subscribe", "id": str(number), "payload": {"query": query}})

    def write(self, message: Any) -> None:
        frame = Frame(Opcode.TEXT, json.dumps(message).encode())
        self.connection.sendall(frame.serialize(mask=True))
