"""What the dashboard costs a browser: its first view, and ten thousand events a second.

    python -m benchmarks.page

The first view is taken on a cold cache with the processor slowed down fourfold and a network of 10 Mbit/s and 40 ms, as
Lighthouse's desktop has it. The events are added to the page's own socket by a proxy, in batches like the server's. So
the benchmark measures the page, which parses, folds and draws them, and not how fast a server writes.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.async_api import Browser, Page, WebSocketRoute

from app import db
from tests.support.browsing import DESKTOP, becomes, chromium, connection
from tests.support.factories import phone_number
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

TARGETS = 500
CPU_SLOWDOWN = 4
NETWORK = {"offline": False, "latency": 40, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8}
BATCH_EVENTS = 500
"""As in one message of the server."""

_OBSERVE = """
window.seen = { longTasks: [], frames: [], paint: {}, shift: 0 };
new PerformanceObserver((list) => { for (const entry of list.getEntries()) seen.longTasks.push(entry.duration); })
  .observe({ type: "longtask", buffered: true });
new PerformanceObserver((list) => { for (const entry of list.getEntries()) seen.paint[entry.name] = entry.startTime; })
  .observe({ type: "paint", buffered: true });
new PerformanceObserver((list) => { for (const entry of list.getEntries()) seen.largest = entry.startTime; })
  .observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => { for (const { value } of list.getEntries()) seen.shift += value; })
  .observe({ type: "layout-shift", buffered: true });
"""
_FRAMES = """
() => { seen.longTasks = []; seen.frames = []; let last = performance.now();
  const frame = (now) => { seen.frames.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame); }
"""


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Client, str]]:
    """A server with a list of 500 on SQLite: the token for it, and the list's id."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/outdial.db"
        await db.migrate(url)
        server = await ServerProcess(url, Path(folder)).started()
        try:
            async with Client(server.url, str(uuid4())) as client:
                outdial = await client.outdial(name="Spring list")
                targets = [{"name": f"Person {n}", "destination0": {"target": phone_number()}} for n in range(TARGETS)]
                await client.good("createTargets", outdialId=outdial["id"], targets=targets)
                yield client, outdial["id"]
        finally:
            await asyncio.to_thread(server.stop)


async def first_view(browser: Browser, client: Client, path: str) -> dict[str, float]:
    """Milliseconds and bytes of one cold visit."""
    context = await browser.new_context(viewport=DESKTOP, locale="en-US")
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", NETWORK)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})
    await page.add_init_script(_OBSERVE)
    received: list[int] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    await page.goto(f"{client.url}{path}#token={client.token}")
    await becomes(lambda: connection(page), "live")
    await page.wait_for_function("seen.paint['first-contentful-paint'] && seen.largest")
    live_ms = await page.evaluate("performance.now()")
    await page.wait_for_timeout(2_000)  # what comes later counts, too
    seen = await page.evaluate("seen")
    await session.send("HeapProfiler.enable")
    await session.send("HeapProfiler.collectGarbage")
    heap = await session.send("Runtime.getHeapUsage")
    await context.close()
    return {
        "first contentful paint, ms": seen["paint"]["first-contentful-paint"],
        "largest contentful paint, ms": seen["largest"],
        "live, ms": live_ms,
        "total blocking, ms": sum(max(0, task - 50) for task in seen["longTasks"]),
        "layout shift": seen["shift"],
        "requests": len(received),
        "transferred, kB": sum(received) / 1_000,
        "heap, MB": heap["usedSize"] / 1e6,
    }


async def under_events(
    browser: Browser, client: Client, outdial_id: str, *, rate: int, seconds: float, slowdown: int
) -> dict[str, float]:
    """Milliseconds of the page's frames and tasks while this many events arrive each second."""
    context = await browser.new_context(viewport=DESKTOP, locale="en-US")
    page = await context.new_page()
    await page.add_init_script(_OBSERVE)
    feed = Feed()
    await page.route_web_socket("**/graphql", feed.attach)
    await page.goto(f"{client.url}/?outdial={outdial_id}#token={client.token}")
    await becomes(lambda: connection(page), "live")
    await page.wait_for_selector("[data-target]")
    ids = [node["id"] for node in await _targets(client, outdial_id)]
    session = await context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    await page.evaluate(_FRAMES)
    sent = await feed.send(ids, rate=rate, seconds=seconds)
    await becomes(lambda: _tries(page), feed.tries(ids), seconds=30)
    behind_ms = (time.perf_counter() - feed.ended_at) * 1_000
    seen = await page.evaluate("seen")
    heap = await session.send("Runtime.getHeapUsage")
    await context.close()
    frames = sorted(seen["frames"])
    return {
        "events a second": sent / feed.took,
        "frames a second": len(frames) / (sum(frames) / 1_000),
        "median frame, ms": statistics.median(frames),
        "99 of 100 frames within, ms": frames[int(len(frames) * 0.99) - 1],
        "longest frame, ms": frames[-1],
        "longest task, ms": max(seen["longTasks"], default=0),
        "right after the last event, ms": behind_ms,
        "heap, MB": heap["usedSize"] / 1e6,
    }


async def _tries(page: Page) -> dict[str, str]:
    return await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-target]")]
             .map((row) => [row.dataset.target, row.querySelector("[data-field=tries]").dataset.value]).slice(0, 5))"""
    )


async def _targets(client: Client, outdial_id: str) -> list[dict[str, Any]]:
    query = "query($id: ID!) { outdial(id: $id) { targets(first: 100) { nodes { id } } } }"
    return (await client.run(query, id=outdial_id))["outdial"]["targets"]["nodes"]


class Feed:
    """A proxy between the page and its server, which adds its own events to the page's subscription."""

    def __init__(self) -> None:
        self._socket: WebSocketRoute | None = None
        self._subscription = ""
        self._versions = 0
        self.took = 0.0
        self.ended_at = 0.0

    async def attach(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        self._socket = socket

        def from_page(message: str | bytes) -> None:
            said = json.loads(message)
            if said["type"] == "subscribe" and "targetEvents" in said["payload"]["query"]:
                self._subscription = said["id"]
            server.send(message)

        socket.on_message(from_page)

    async def send(self, ids: list[str], *, rate: int, seconds: float) -> int:
        assert self._socket is not None
        batches, started_at = int(rate * seconds / BATCH_EVENTS), time.perf_counter()
        for number in range(batches):
            self._socket.send(self._batch(ids))
            await asyncio.sleep(max(0, started_at + (number + 1) * BATCH_EVENTS / rate - time.perf_counter()))
        self.ended_at = time.perf_counter()
        self.took = self.ended_at - started_at
        return batches * BATCH_EVENTS

    def _batch(self, ids: list[str]) -> str:
        """Each of a hundred targets five times: claimed, dialing, completed, and again."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        events = []
        for _ in range(BATCH_EVENTS // len(ids)):
            self._versions += 1
            kind = ("CLAIMED", "DIALING", "COMPLETED")[self._versions % 3]
            events += [
                {
                    "type": kind,
                    "occurredAt": now,
                    "targetId": target_id,
                    "count": 1,
                    "status": "IDLE" if kind == "COMPLETED" else "PROGRESSING",
                    "doneReason": None,
                    "tryCounts": [self._versions, 0, 0, 0, 0],
                    "nextTryAt": now if kind == "COMPLETED" else None,
                    "version": self._versions + 1,
                    "disposition": "BUSY" if kind == "COMPLETED" else None,
                }
                for target_id in ids
            ]
        batch = {"cursor": "none", "gap": None, "caughtUp": True, "events": events}
        payload = {"data": {"targetEvents": batch}}
        return json.dumps({"type": "next", "id": self._subscription, "payload": payload})

    def tries(self, ids: list[str]) -> dict[str, str]:
        """The final text of the page's first rows."""
        return dict.fromkeys(ids[:5], str(self._versions))


def show(title: str, figures: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:32} {value:10,.1f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each first view; the median is shown")
    parser.add_argument("--rate", type=int, default=10_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=10, help="that they arrive for")
    options = parser.parse_args()
    async with serving() as (client, outdial_id), chromium() as browser:
        for title, path in (("The list", "/"), ("An outdial", f"/?outdial={outdial_id}")):
            views = [await first_view(browser, client, path) for _ in range(options.rounds)]
            show(f"{title}, first view", {name: statistics.median(view[name] for view in views) for name in views[0]})
        for slowdown in (1, CPU_SLOWDOWN):
            figures = await under_events(
                browser, client, outdial_id, rate=options.rate, seconds=options.seconds, slowdown=slowdown
            )
            show(f"An outdial under events, processor slowed down {slowdown} times", figures)


if __name__ == "__main__":
    asyncio.run(main())
