"""A reverse proxy that shows a server below a path, like nginx's location, with and without the path."""

import asyncio
import re
from types import TracebackType
from typing import Self

_CONNECTION = re.compile(rb"(?im)^connection:.*\r\n")
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ReverseProxy:
    """One connection to the server for each request, or for the time of a WebSocket.

    Args:
        port: of the server.
        base_path: below which the server is shown. A request for another path is a stray, and 404.
        strips: whether the path is removed before the server sees it.
    """

    def __init__(self, port: int, base_path: str, *, strips: bool) -> None:
        self.strays: list[str] = []
        self._port = port
        self._base_path = base_path
        self._strips = strips
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self._base_path}"

    @property
    def socket_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/graphql"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            sent = self._rewritten(head)
            if sent is None:
                writer.write(_NOT_FOUND)
                await writer.drain()
                return
            below, above = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                above.write(sent)
                await asyncio.gather(_pump(reader, above), _pump(below, writer, then=reader))
            finally:
                above.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # one side is gone
        finally:
            writer.close()

    def _rewritten(self, head: bytes) -> bytes | None:
        """The request for the server; None if its path is not below the base path."""
        first, _, rest = head.partition(b"\r\n")
        method, target, version = first.decode().split(" ")
        path = re.split(r"[?#]", target)[0]
        if path != self._base_path and not path.startswith(f"{self._base_path}/"):
            self.strays.append(path)
            return None
        if self._strips:
            target = target.removeprefix(self._base_path)
            target = target if target.startswith("/") else f"/{target}"
        if b"upgrade: websocket" not in rest.lower():
            rest = b"Connection: close\r\n" + _CONNECTION.sub(b"", rest)
        return f"{method} {target} {version}\r\n".encode() + rest


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, then: asyncio.StreamReader | None = None
) -> None:
    while part := await source.read(65_536):
        sink.write(part)
        await sink.drain()
    if then is not None:  # the server has answered: what the client still sends does not matter
        then.feed_eof()
