"""Runs a hand-written endpoint as the server runs: on uvloop and httptools."""

import sys
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette


def run(application: Callable[[str, int], Starlette]) -> None:
    """Serve until stopped. The command's arguments are the database's URL, the port and the size of the pool."""
    url, port, pool_size = sys.argv[1:]
    uvicorn.run(
        application(url, int(pool_size)),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
