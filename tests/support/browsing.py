"""A real Chromium that reports what its pages do wrong: requests to other origins, policy violations, errors.

It is the machine's own, for example Debian's package `chromium`. If there is none, tests that need it fail.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, WebSocket, async_playwright, expect

from tests.support import node
from tests.support.server import REPOSITORY

WEB = REPOSITORY / "app" / "web"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SEEN_SECONDS_MAX = 20
INSTALL_SECONDS_MAX = 110
FEATURES_OFF = (
    # Every new context is a window, and its address bar loads two pages of Chromium's own that nobody sees: half of
    # what a new context costs.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    # Nor does a page of a test need a process in reserve for the next site.
    "SpareRendererForSitePerProcess",
    # Chromium takes the last list alone, so this is also Playwright's, but for what is of other systems.
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "there is no chromium: apt-get install chromium"
    expect.set_options(timeout=SEEN_SECONDS_MAX * 1_000)
    arguments = [f"--disable-features={','.join(FEATURES_OFF)}"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # which does not work for root
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


class Sight:
    """One page, and what it did wrong.

    Args:
        page: new, with nothing loaded.
        url: of the server, and the only origin that the page may ask.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[Request] = []
        self.sockets: list[WebSocket] = []
        self.faults: list[str] = []
        self._host = urlsplit(url).netloc
        page.on("request", self._requested)
        page.on("websocket", self._connected)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))

    def _requested(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith(("data:", "blob:")):
            self._check(request.url)

    def _connected(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        self._check(socket.url)

    def _check(self, url: str) -> None:
        if urlsplit(url).netloc != self._host:
            self.faults.append(f"asked another origin: {url}")

    def _said(self, message: ConsoleMessage) -> None:
        # A server that is away is an error on the console, but not an error of the page.
        if "Content Security Policy" in message.text or (
            message.type == "error"
            and "Failed to load resource" not in message.text
            and "WebSocket" not in message.text
        ):
            self.faults.append(f"console: {message.text}")

    async def open(self, path: str = "/", *, token: str = "") -> None:
        """Go there, logged in by a link if a token is given."""
        await self.page.goto(f"{self.url}{path}" + (f"#token={token}" if token else ""))


@asynccontextmanager
async def sight(browser: Browser, url: str, **options: Any) -> AsyncIterator[Sight]:
    """A page in a new browser context. At the end it must have no errors."""
    context = await browser.new_context(
        **{"viewport": DESKTOP, "locale": "en-US", "timezone_id": "UTC", "reduced_motion": "reduce", **options}
    )
    context.set_default_timeout(SEEN_SECONDS_MAX * 1_000)
    try:
        seen = Sight(await context.new_page(), url)
        yield seen
        assert not seen.faults, seen.faults
    finally:
        await context.close()


async def until(happened: Callable[[], Awaitable[bool]], *, seconds: float = SEEN_SECONDS_MAX) -> None:
    async with asyncio.timeout(seconds):
        while not await happened():  # noqa: ASYNC110 - the page is another process
            await asyncio.sleep(0.05)


async def becomes(read: Callable[[], Awaitable[Any]], wanted: Any, *, seconds: float = SEEN_SECONDS_MAX) -> None:
    """Return when it has this text. If it never does, the test fails with the last text."""
    found: Any = None
    try:
        async with asyncio.timeout(seconds):
            while (found := await read()) != wanted:  # noqa: ASYNC110 - the page is another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it is {found}, and not {wanted}") from None


# ---------------------------------------------------------------- the contents of pages


async def counts(page: Page) -> dict[str, int]:
    """The numbers of an outdial's page: {"total": 500, "done-ANSWERED": 402, …}; zeros are left out."""
    found: dict[str, str] = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-count]")]
             .map((element) => [element.dataset.count, element.dataset.value]))"""
    )
    return {name: int(value) for name, value in found.items() if int(value)}


async def rows(page: Page) -> dict[str, dict[str, str]]:
    """The targets in the table: by id and field, the value of each cell if it has one, else its text."""
    found: dict[str, dict[str, str]] = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-target]")].map((row) => [row.dataset.target,
             Object.fromEntries([...row.querySelectorAll("[data-field]")]
               .map((cell) => [cell.dataset.field, cell.dataset.value ?? cell.innerText.trim()]))]))"""
    )
    return found


async def connection(page: Page) -> str | None:
    return await page.locator("[data-connection]").first.get_attribute("data-connection")


# ---------------------------------------------------------------- axe


def axe_script() -> str:
    """axe-core in the version of the web pages' lock file; installed if it is missing."""
    path = WEB / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        _, npm, environment = node.commands()
        command = [*npm, "ci", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=WEB, env=environment, check=True, timeout=INSTALL_SECONDS_MAX)
    return path.read_text()


async def barriers(page: Page, axe: str, *rules: str) -> list[str]:
    """axe's serious and critical violations, each with its place.

    Args:
        page: shows what is looked at.
        axe: its script.
        rules: only these; by default all.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    found: list[dict[str, Any]] = await page.evaluate(
        """async (rules) => (await axe.run({
             resultTypes: ["violations"], preload: false, ...(rules.length && { runOnly: rules }) })).violations""",
        list(rules),
    )
    return [
        f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes']][:5]}"
        for violation in found
        if violation["impact"] in {"serious", "critical"}
    ]
