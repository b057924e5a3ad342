"""A connection that breaks: it passes on a number of bytes between a client and a server, then cuts the connection."""

import asyncio
from types import TracebackType
from typing import Self

PIECE_BYTES = 64 * 1024


class CuttingProxy:
    """Cuts the first connections that carry more than `after` bytes in one direction; later ones stay open.

    Args:
        port: of the server behind it.
        after: bytes of a request's or an answer's side.
        cuts: how many connections are cut.
        of_answers: whether the server's bytes are counted, else the client's.
    """

    def __init__(self, port: int, *, after: int, cuts: int, of_answers: bool = False) -> None:
        self._port = port
        self._after = after
        self._of_answers = of_answers
        self.cuts_left = cuts
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(self._pass_on(reader, behind_writer, counts=not self._of_answers)),
            asyncio.create_task(self._pass_on(behind_reader, writer, counts=self._of_answers)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (writer, behind_writer):
            end.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counts: bool) -> None:
        carried = 0
        while piece := await source.read(PIECE_BYTES):
            carried += len(piece)
            if counts and carried > self._after and self.cuts_left:
                self.cuts_left -= 1
                return
            target.write(piece)
            await target.drain()
