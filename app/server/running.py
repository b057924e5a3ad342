"""Runs the server, for `serve`, its worker processes and the demo: one listener, one set of uvicorn's options."""

import os
import shutil
import socket
import tempfile
from contextlib import ExitStack, suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from app import server
from app.server import sockets
from app.settings import Settings

BACKLOG_MAX = 2048
SHUTDOWN_SECONDS = 10
"""After SIGTERM, requests in progress have this long to finish. WebSockets are closed at once: reconnect."""
FACTORY = "app.server:create"


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything is printed, so that what is printed is true, also for port 0 or a port in use.

    Raises:
        OSError: there is no such host, or the port is in use.
    """
    with ExitStack() as stack:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = stack.enter_context(socket.socket(family, kind, protocol))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG_MAX)
        listener.set_inheritable(True)
        stack.pop_all()  # from here on the server closes it
    return listener


def config(
    app: Starlette | str, settings: Settings, *, shutdown_seconds: int = SHUTDOWN_SECONDS, **more: Any
) -> uvicorn.Config:
    """The configuration of uvicorn, the same for all ways to start.

    Args:
        app: the application, or the name of the factory.
        settings: what the environment says.
        shutdown_seconds: how long requests in progress have after SIGTERM.
        more: options that depend on the number of processes.
    """
    return uvicorn.Config(
        app,
        **sockets.options(settings),
        log_config=None,  # everything goes through app.logs
        lifespan="on",  # a start that fails ends the process
        proxy_headers=False,  # any client can send these headers
        timeout_graceful_shutdown=shutdown_seconds,
        **more,
    )


def serve_here(settings: Settings, listener: socket.socket) -> bool:
    """Serve in this process until it is stopped. Returns whether it ever served."""
    runner = uvicorn.Server(config(server.create_app(settings), settings))
    with suppress(KeyboardInterrupt):  # raised again by uvicorn once everything is closed
        runner.run(sockets=[listener])
    return runner.started


def serve_by_workers(settings: Settings, workers: int, listener: socket.socket) -> None:
    """Serve with several processes until they are stopped.

    Each reads the environment itself. No made secret must be passed on, because only SQLite has one.
    """
    directory = tempfile.mkdtemp(prefix="outdial-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # before any worker imports prometheus_client
    # By default, a new process looks for the standard library's modules in its working folder first: a csv.py there
    # would replace Python's.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        with suppress(KeyboardInterrupt):
            Multiprocess(config(FACTORY, settings, factory=True, workers=workers), sockets=[listener]).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
