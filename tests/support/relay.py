"""An address that leads to a server, and later to another one, like a proxy, a virtual IP or a DNS name.

It can also speak TLS for a server that does not: the PostgreSQL of the tests is built without it.
"""

import asyncio
import ssl
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

SSL_REQUEST = struct.pack("!ll", 8, 80877103)
PIECE_BYTES = 65_536


class Relay:
    """Forwards connections to one port of this machine.

    Args:
        target: the port to begin with.
        tls: the answer to PostgreSQL's request for TLS; None refuses it like a server without TLS.
    """

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.encrypted = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        await self.drop()

    def lead_to(self, target: int) -> None:
        """Forward new connections to another port. Open ones stay."""
        self.target = target

    async def drop(self) -> None:
        """Cut every open connection."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        onward: asyncio.StreamWriter | None = None
        try:
            first = await reader.readexactly(len(SSL_REQUEST))
            if first == SSL_REQUEST:
                writer.write(b"S" if self._tls else b"N")
                await writer.drain()
                if self._tls:
                    await writer.start_tls(self._tls)
                    self.encrypted += 1
                first = b""
            back, onward = await asyncio.open_connection("127.0.0.1", self.target)
            onward.write(first)
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(reader, onward))
                both.create_task(_carry(back, writer))
        except* (OSError, EOFError, asyncio.CancelledError):
            pass  # one side has gone, or the test has cut them
        finally:
            self._open.discard(task)
            for side in (writer, onward):
                if side is not None:
                    side.transport.abort()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(PIECE_BYTES):
        sink.write(piece)
        await sink.drain()
    with suppress(OSError):
        await sink.drain()
    raise EOFError
