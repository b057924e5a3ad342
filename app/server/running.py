"""Runs the server, for `serve`, its worker processes and the demo: its listeners, one set of uvicorn's options."""

import os
import shutil
import signal
import socket
import tempfile
from contextlib import ExitStack, suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from app import descriptors, logs, server
from app.server import connections
from app.settings import Settings, SettingsError

BACKLOG_MAX = 2048
SHUTDOWN_SECONDS = 10
"""After SIGTERM, requests and operations in progress have this long to finish. What has no end of its own, such as a
subscription, is ended at once: reconnect."""
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
        **connections.options(settings),
        log_config=None,  # everything goes through app.logs
        lifespan="on",  # a start that fails ends the process
        proxy_headers=False,  # any client can send these headers
        timeout_graceful_shutdown=shutdown_seconds,
        **more,
    )


def serve_here(settings: Settings, listeners: list[socket.socket]) -> bool:
    """Serve in this process until it is stopped. Returns whether it ever served."""
    descriptors.raise_limit()
    runner = uvicorn.Server(config(server.create_app(settings, is_read_again=True), settings))
    # Once everything is closed, uvicorn raises the signal again. To stop when asked to is no failure: the exit is 0.
    before = signal.signal(signal.SIGTERM, runner.handle_exit)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server that has started reads its settings again
    try:
        with suppress(KeyboardInterrupt):
            runner.run(sockets=listeners)
    finally:
        signal.signal(signal.SIGTERM, before)
    return runner.started


class _Workers(Multiprocess):
    """uvicorn's, but SIGHUP replaces no worker: each reads its settings again, as a server without workers does."""

    def handle_hup(self) -> None:
        with suppress(SettingsError):  # each worker says so
            logs.configure(Settings.load())
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)


def serve_by_workers(settings: Settings, workers: int, listeners: list[socket.socket]) -> None:
    """Serve with several processes until they are stopped.

    Each reads the environment itself. No made secret must be passed on, because only SQLite has one.
    """
    descriptors.raise_limit()
    directory = tempfile.mkdtemp(prefix="outdial-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # before any worker imports prometheus_client
    # By default, a new process looks for the standard library's modules in its working folder first: a csv.py there
    # would replace Python's.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        with suppress(KeyboardInterrupt):
            _Workers(config(FACTORY, settings, factory=True, workers=workers), sockets=listeners).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
