"""Takes the README's screenshots of the demo into docs/screenshots: python docs/screenshots.py

Light and dark, desktop and phone, of the list, an outdial and a target. It needs the dev extra, the built pages and the
machine's chromium.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

FOLDER = Path(__file__).parent / "screenshots"
SCHEMES = ("light", "dark")
SCREENS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
CALLED_SECONDS = 45
"""So long the demo calls before the first picture is taken: the chart has something to show then."""


async def main() -> None:
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "app.cli", "demo", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        link = next(match[0] for line in demo.stdout if (match := re.match(r"http://\S+/#token=\S+", line)))
        # Nobody reads on, and the demo is not to wait for that.
        asyncio.get_running_loop().run_in_executor(None, demo.stdout.read)
        FOLDER.mkdir(exist_ok=True)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            pages = [await opened(browser, link, screen, scheme) for screen in SCREENS for scheme in SCHEMES]
            await asyncio.sleep(CALLED_SECONDS)
            for (screen, scheme), page in zip([(a, b) for a in SCREENS for b in SCHEMES], pages):
                await shoot(page, f"{screen}-{scheme}")
            await browser.close()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(20)


async def opened(browser: Browser, link: str, screen: str, scheme: str) -> Page:
    """An outdial's page, which is left to watch its list being called."""
    context = await browser.new_context(
        viewport=SCREENS[screen], color_scheme=scheme, locale="en-US", reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(link)
    await page.get_by_role("link", name="Appointment reminders").click()
    await expect(page.locator("[data-connection=live]")).to_be_visible()
    return page


async def shoot(page: Page, name: str) -> None:
    await expect(page.locator("[data-target]").first).to_be_visible()
    await page.evaluate("scrollTo(0, 0)")  # what came in above has moved the page along
    await page.screenshot(path=FOLDER / f"outdial-{name}.png")
    await page.goto(f"{page.url}&reason=answered")
    await page.locator("[data-target]").get_by_role("link").first.click()
    await expect(page.get_by_role("table", name="Attempts")).to_be_visible()
    await page.screenshot(path=FOLDER / f"target-{name}.png")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Outdials").first.click()
    await expect(page.get_by_role("link", name="Appointment reminders")).to_be_visible()
    await expect(page.get_by_title("Measuring…")).to_have_count(0, timeout=30_000)
    await page.screenshot(path=FOLDER / f"list-{name}.png")


asyncio.run(main())
