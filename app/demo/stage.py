"""The stage: a server on a temporary database, sample outdials, and the reference dialer that calls them.

Nobody is called: the dialer's telephone is simulated. Everything uses the public API over HTTP, as from another
machine. A list that is done is called again, except for people who asked not to be called.
"""

import asyncio
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe
from types import FrameType
from typing import Any

import httpx
import typer
import uvicorn

from app import auth, db, ids, logs, server
from app.auth import Scope
from app.demo.dialer import Attempt, CannotDial, Dialer, Result, call
from app.demo.samples import JsonObject, Sample, samples
from app.server import running
from app.settings import Settings

HOST = "127.0.0.1"
TOKEN_LIFETIME = timedelta(hours=12)
LINES_EACH = 6
"""For all dialers of a list. Three lists with so many make about four calls a second."""
GOOD_CALLS, BAD_CALLS = 10, 7
"""Over a bad trunk so many calls are placed, and then so many fail. Five of fifteen open the breaker, and the last ones
are under way by then, so that the call after its pause does not fail."""
REQUEST_SECONDS_MAX = 10
DIALER_STOP_SECONDS = 0.6
SERVER_STOP_SECONDS = 1
PROGRESS_SECONDS = 1.0
PROGRESS_LINE_SECONDS = 10.0
"""Between two lines if lines cannot be overwritten."""
_SETTINGS_OF_THE_WAY = {"allowed_origins", "base_path", "keep_alive_seconds"}
"""The demo may be shown behind the same proxy."""
AGAIN = ["ANSWERED", "EXHAUSTED", "UNCONFIRMED", "FINISHED"]
"""Done reasons of targets that are called again after their list is done."""

_CREATE_OUTDIAL = """mutation CreateOutdial($input: CreateOutdialInput!) {
  createOutdial(input: $input) { outdial { id name } userErrors { message path } } }"""
_CREATE_TARGETS = """mutation CreateTargets($input: CreateTargetsInput!) {
  createTargets(input: $input) { createdCount userErrors { message path } } }"""
_RESET = """mutation Reset($input: ResetTargetsInput!) {
  resetTargets(input: $input) { count userErrors { message path } } }"""
_PROGRESS = """query Progress($ids: [ID!]!) { nodes(ids: $ids) {
  id ... on Outdial { name state progress { total idle progressing done attempts } breaker { state } } } }"""
_OPENED = "calls fail, so nobody is called until a pause is over. Then one call is tried."
_CLOSED = "calls go through again."
_CLEAR = "\r\x1b[K"
"""Go to the beginning of the line and clear it."""


def run(port: int) -> None:
    """Serve the demo until Ctrl-C; see `app.demo.run`."""
    listener = _listen(port)
    # Until the server handles signals, SIGTERM must clean up like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        listener,
        tempfile.TemporaryDirectory(prefix="outdial-demo-", ignore_cleanup_errors=True) as folder,
    ):
        # What is set for a server of one's own does not count here, but for the way to it.
        fields = Settings.model_fields.items()
        defaults = {name: field.get_default() for name, field in fields if name not in _SETTINGS_OF_THE_WAY}
        settings = Settings.load(
            **defaults
            | {
                "database_url": f"sqlite:///{Path(folder) / 'demo.db'}",
                "jwt_secret": token_urlsafe(48),
                "log_level": "WARNING",
            }
        )
        logs.configure(settings)
        asyncio.run(_show(settings, listener))
    _say("Stopped. The database was removed.")


def _listen(port: int) -> socket.socket:
    try:
        return running.listen(HOST, port)
    except OSError as error:
        typer.echo(f"outdial: cannot listen on port {port}: {error.strerror}; try outdial demo --port 0", err=True)
        sys.exit(1)


class _Server(uvicorn.Server):
    """The demo decides when it stops: the dialers stop first, while they can still release their targets."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        if self.stopping.is_set():
            self.should_exit = self.force_exit = True
        self._loop.call_soon_threadsafe(self.stopping.set)


async def _show(settings: Settings, listener: socket.socket) -> None:
    await db.migrate(settings.database_url)
    runner = _Server(running.config(server.create_app(settings), settings, shutdown_seconds=SERVER_STOP_SECONDS))
    token = auth.issue(settings, ids.new(), "demo", list(Scope), TOKEN_LIFETIME)
    async with httpx.AsyncClient(
        base_url=f"http://{HOST}:{listener.getsockname()[1]}{settings.base_path}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=REQUEST_SECONDS_MAX,
        trust_env=False,  # no proxy is in front of the demo
    ) as http:
        await asyncio.sleep(
            0
        )  # an interrupt that has come by now ends here: a server that has half started would log it
        serving = asyncio.create_task(runner.serve(sockets=[listener]))
        performing = asyncio.create_task(_perform(http, token, runner.stopping))
        await asyncio.wait([serving, performing], return_when=asyncio.FIRST_COMPLETED)
        performing.cancel()
        runner.should_exit = True
        await serving
        with suppress(asyncio.CancelledError):
            await performing  # its error is a bug, and is shown


async def _perform(http: httpx.AsyncClient, token: str, stopping: asyncio.Event) -> None:
    """Create the lists and call them until `stopping`."""
    lists = [(sample, await _create(http, sample)) for sample in samples()]
    outdials = [outdial for _, outdial in lists]
    _say(_introduction(str(http.base_url).rstrip("/"), token, outdials))
    dialing = [
        asyncio.create_task(_dial(dialer, outdial["name"], stopping))
        for sample, outdial in lists
        for dialer in _dialers(http, sample, outdial["id"])
    ]
    watching = asyncio.create_task(_watch(http, {outdial["id"]: outdial["name"] for outdial in outdials}))
    await stopping.wait()
    watching.cancel()
    _, left = await asyncio.wait(dialing, timeout=DIALER_STOP_SECONDS)
    for task in left:  # their calls are cut off
        task.cancel()
    await asyncio.wait([watching, *dialing])


def _dialers(http: httpx.AsyncClient, sample: Sample, outdial_id: str) -> list[Dialer]:
    telephone = _BadTrunk().call if sample.has_bad_trunk else call
    lines = LINES_EACH // len(sample.dialers)
    return [Dialer(http, outdial_id, name, lines, telephone) for name in sample.dialers]


class _BadTrunk:
    """A telephone whose calls fail for a while."""

    def __init__(self) -> None:
        self._placed = 0

    async def call(self, attempt: Attempt) -> Result | None:
        self._placed += 1
        is_bad = GOOD_CALLS < self._placed <= GOOD_CALLS + BAD_CALLS
        result = await call(attempt)
        return {"disposition": "FAILED", "detail": "503 Service Unavailable"} if is_bad else result


async def _dial(dialer: Dialer, name: str, stopping: asyncio.Event) -> None:
    try:
        await dialer.run(stopping)
    except* CannotDial as refused:  # for example, somebody deleted the list
        _say(f"{name}: the dialer stopped: {refused.exceptions[0]}")


async def _create(http: httpx.AsyncClient, sample: Sample) -> JsonObject:
    outdial: JsonObject = (await _send(http, _CREATE_OUTDIAL, input=sample.outdial))["outdial"]
    await _send(http, _CREATE_TARGETS, input={"outdialId": outdial["id"], "targets": sample.targets})
    return outdial


async def _watch(http: httpx.AsyncClient, names: dict[str, str]) -> None:
    """Print the progress of the lists, and call done lists again."""
    status, stopped = _StatusLine(), set[str]()
    while names:
        await asyncio.sleep(PROGRESS_SECONDS)
        found = {node["id"]: node for node in (await _send(http, _PROGRESS, ids=list(names))) if node}
        status.show(list(found.values()))
        for outdial_id, outdial in found.items():
            is_stopped = outdial["breaker"]["state"] != "CLOSED"
            if is_stopped != (outdial_id in stopped):
                stopped ^= {outdial_id}
                _say(f"{outdial['name']}: {_OPENED if is_stopped else _CLOSED}")
        for outdial_id, name in list(names.items()):
            if outdial_id not in found:
                del names[outdial_id]
                _say(f"{name}: the list was deleted.")
            elif not found[outdial_id]["progress"]["idle"] and not found[outdial_id]["progress"]["progressing"]:
                await _call_anew(http, outdial_id, names)


async def _call_anew(http: httpx.AsyncClient, outdial_id: str, names: dict[str, str]) -> None:
    count = (await _send(http, _RESET, input={"outdialId": outdial_id, "doneReasons": AGAIN}))["count"]
    if count:
        _say(f"{names[outdial_id]}: done. {count} targets are called again, without people who asked not to be called.")
    else:
        _say(f"{names.pop(outdial_id)}: done. Nobody is left to call.")


async def _send(http: httpx.AsyncClient, query: str, **variables: Any) -> Any:
    """The value of the query's one field."""
    response = await http.post("/graphql", json={"query": query, "variables": variables})
    answer = response.json()
    problems = answer.get("errors") or []
    if not problems:
        value = next(iter(answer["data"].values()))
        problems = value["userErrors"] if isinstance(value, dict) else []
        if not problems:
            return value
    raise RuntimeError(f"the demo's own request failed: {problems[0]}")


# ---------------------------------------------------------------- what it prints


class _StatusLine:
    """One line that is overwritten if that is possible, else a new line from time to time."""

    def __init__(self) -> None:
        self._shown_at = 0.0

    def show(self, outdials: list[JsonObject]) -> None:
        lists = [f"{outdial['name']} {_progress(outdial)}" for outdial in outdials]
        calls = sum(outdial["progress"]["attempts"] for outdial in outdials)
        calling = sum(outdial["progress"]["progressing"] for outdial in outdials)
        line = " · ".join([*lists, f"{calling} calling", f"{calls} calls"])
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"{_CLEAR}{line[:width]}")
            sys.stdout.flush()
        elif time.monotonic() >= self._shown_at + PROGRESS_LINE_SECONDS:
            self._shown_at = time.monotonic()
            typer.echo(line)


def _progress(outdial: JsonObject) -> str:
    paused = " (paused)" if outdial["state"] == "PAUSED" else ""
    return f"{outdial['progress']['done']}/{outdial['progress']['total']}{paused}"


def _say(text: str) -> None:
    typer.echo(f"{_CLEAR if sys.stdout.isatty() else ''}{text}")


def _command() -> str:
    """The command of this program, for the folder in which the demo was started."""
    typed = Path(sys.argv[0])
    if typed.name != "outdial":  # python -m app
        return f"{_short(Path(sys.executable))} -m app"
    if shutil.which("outdial") == str(typed.absolute()):
        return "outdial"
    return _short(typed.absolute())


def _short(path: Path) -> str:
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _introduction(url: str, token: str, outdials: list[JsonObject]) -> str:
    ids_of_lists = ", ".join(f'"{outdial["id"]}"' for outdial in outdials)
    return f"""
Outdial demo: three lists on a temporary database, and dialers that call them. Nobody is really called. One list has
a pace, and a bad trunk opens the breaker of another one, once. Who asks for a callback is called by the same dialer.

Watch it; the link holds a token that may do everything for {TOKEN_LIFETIME // timedelta(hours=1)} hours:

{url}/#token={token}

GraphiQL, with the same token:

{url}/graphql#token={token}

A query to paste there: the lists, how they go, and whom they call right now.

query Lists {{
  outdials(first: 10) {{
    nodes {{
      id name state
      progress {{ total idle progressing done doneByReason {{ reason count }} }}
      targets(first: 5, where: {{ statuses: [PROGRESSING] }}) {{
        nodes {{ name detail currentAttempt {{ state tryNumber destination {{ type target targetName }} }} }}
      }}
    }}
  }}
}}

A subscription: every change to the {outdials[0]["name"].lower()}, as it happens.

subscription Changes {{
  targetEvents(outdialId: "{outdials[0]["id"]}") {{
    cursor
    events {{ type status doneReason disposition tryCounts target {{ name }} }}
  }}
}}

Another: how all three lists go.

subscription Progress {{
  outdialProgress(outdialIds: [{ids_of_lists}]) {{
    outdials {{ name progress {{ idle progressing done }} }}
  }}
}}

A mutation: pause that list; ACTIVE lets it go on.

mutation Pause {{
  updateOutdial(input: {{ id: "{outdials[0]["id"]}", state: PAUSED }}) {{ outdial {{ name state }} }}
}}

A list of your own is dialed by nobody until you do it. In a shell:

export OUTDIAL_TOKEN={token}
{_command()} dial --url {url} --outdial ID

Ctrl-C stops the demo and removes its database.
"""
