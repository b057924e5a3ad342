"""A bare broadcast: `python -m benchmarks.handwritten.broadcasting PORT`.

Each socket speaks just enough of graphql-transport-ws to be a subscriber. What is sent to POST /broadcast goes to all
sockets as it is, one after the other, by the same WebSocket implementation and options as the server's.
"""

import sys

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

FIRST = '{"type":"next","id":"1","payload":{"data":{}}}'


def application() -> Starlette:
    open_sockets: dict[WebSocket, Send] = {}

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept("graphql-transport-ws")
        try:
            while True:
                kind = orjson.loads(await websocket.receive_text())["type"]
                if kind == "connection_init":
                    await websocket.send_text('{"type":"connection_ack"}')
                elif kind == "subscribe":
                    await websocket.send_text(FIRST)
                    open_sockets[websocket] = websocket._send  # noqa: SLF001 - without Starlette's checks
        except WebSocketDisconnect:
            open_sockets.pop(websocket, None)

    async def broadcast(request: Request) -> Response:
        message: Message = {"type": "websocket.send", "text": (await request.body()).decode()}
        for send in list(open_sockets.values()):
            await send(message)
        return Response()

    return Starlette(routes=[WebSocketRoute("/graphql", socket), Route("/broadcast", broadcast, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        application(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
    )
