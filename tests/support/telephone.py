"""A simulated telephone that records every call, and the reference dialer with it, as a process.

OUTDIAL_TOKEN=… python -m tests.support.telephone URL OUTDIAL_ID BOOK SECONDS
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from app.demo import dialer
from app.demo.dialer import Attempt, Dialer, Result

NAME = "dialer of the tests"
LEASE_SECONDS = 5
"""The shortest that the server accepts."""


class Telephone:
    """Ends calls as the target's name says: `4: BUSY ANSWERED` is busy for the first call and answers all later ones.

    Args:
        book: where calls are recorded; it outlives the process, like a telephone exchange.
        seconds: the length of a call.
    """

    def __init__(self, book: Path, seconds: float = 0.0) -> None:
        self._book = book
        self._seconds = seconds

    async def call(self, attempt: Attempt) -> Result | None:
        if attempt["state"] == "DIALING":
            self._write(asked=attempt["id"])
            return next(({"disposition": call["ended"]} for call in self.calls() if call["id"] == attempt["id"]), None)
        name = attempt["target"]["name"]
        endings = name.partition(": ")[2].split()
        before = sum(call["name"] == name for call in self.calls())
        ended: str = endings[min(before, len(endings) - 1)]
        self._write(id=attempt["id"], name=name, address=attempt["destination"]["target"], ended=ended)
        await asyncio.sleep(self._seconds)
        return {"disposition": ended}

    def calls(self) -> list[dict[str, Any]]:
        """Every call that was placed."""
        return [line for line in self._lines() if "id" in line]

    def asked(self) -> list[str]:
        """The attempts that a restarted dialer asked about."""
        return [line["asked"] for line in self._lines() if "asked" in line]

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._book.read_text().splitlines()] if self._book.exists() else []

    def _write(self, **line: str) -> None:
        with self._book.open("a") as book:
            book.write(json.dumps(line) + "\n")


async def main() -> None:
    url, outdial_id, book, seconds = sys.argv[1:]
    dialer.LEASE_SECONDS = LEASE_SECONDS
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    headers = {"Authorization": f"Bearer {os.environ['OUTDIAL_TOKEN']}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10, trust_env=False) as http:
        telephone = Telephone(Path(book), float(seconds))
        await Dialer(http, outdial_id, NAME, telephone=telephone.call).run(stopping)


if __name__ == "__main__":
    asyncio.run(main())
