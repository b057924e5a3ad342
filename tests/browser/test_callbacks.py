"""Callbacks on the page: listed with the outdial, made, changed and canceled in a target's dialog."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, Page, expect

from tests.browser.test_outdial import opened
from tests.support.browsing import PHONE, Sight, barriers, becomes, sight
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

LIST = """query($id: ID!) { outdial(id: $id) { targets { nodes {
    status callback { at destinationIndex dialer windowSeconds note } } } } }"""
DAY = (datetime.now(UTC) + timedelta(days=40)).date()


async def stored(client: Client, outdial_id: str) -> Any:
    [target] = (await client.run(LIST, id=outdial_id))["outdial"]["targets"]["nodes"]
    return target


async def listed(page: Page) -> list[str]:
    return await page.locator("[data-callback] a").all_inner_texts()


async def test_a_callback_is_made_by_the_targets_clock_changed_and_canceled(
    seen: Sight, client: Client, axe: str
) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(
        outdial["id"], name="Ana Silva", timeZone="Europe/Athens",
        destination0={"target": "+1 212 555 0142"}, destination1={"target": "+1 212 555 0143"},
    )  # fmt: skip
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Call back at").click()
    await expect(dialog.get_by_label("Call back at")).to_be_focused()
    await expect(dialog).to_contain_text("By the clock of Europe/Athens, the target's time zone.")
    await dialog.get_by_label("Call back at").fill(f"{DAY}T17:30")
    await dialog.get_by_label("Address").select_option("+12125550143")
    await dialog.get_by_label("For the dialer").fill("anna")
    await dialog.get_by_label("That dialer alone, for").fill("30")
    await dialog.get_by_label("Note").fill("Ask for the office")
    assert await barriers(page, axe) == []
    await dialog.get_by_role("button", name="Save callback").click()
    fact = dialog.locator("[data-field=callback]")
    await expect(fact).to_contain_text("for anna alone for 30 minutes, then anybody, at +12125550143")
    await expect(fact).to_contain_text("Ask for the office")
    await expect(dialog.locator("[data-field=waits]")).to_contain_text("Its callback is kept for one dialer.")
    at = datetime.combine(DAY, time(17, 30), ZoneInfo("Europe/Athens")).astimezone(UTC)
    callback = {
        "at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "destinationIndex": 1, "dialer": "anna", "windowSeconds": 1_800,
        "note": "Ask for the office",
    }  # fmt: skip
    assert await stored(client, outdial["id"]) == {"status": "IDLE", "callback": callback}

    await dialog.get_by_role("button", name="Change the callback").click()
    await expect(dialog.get_by_label("Call back at")).to_have_value(f"{DAY}T17:30")
    await dialog.get_by_label("For the dialer").fill("")
    await dialog.get_by_role("button", name="Save callback").click()
    await expect(fact).to_contain_text("for anybody, at +12125550143")
    assert (await stored(client, outdial["id"]))["callback"]["at"] == callback["at"]
    assert await barriers(page, axe) == []
    await dialog.get_by_role("button", name="Cancel the callback").click()
    await expect(fact).to_have_count(0)
    assert await stored(client, outdial["id"]) == {"status": "IDLE", "callback": None}


async def test_callbacks_are_listed_the_next_one_first_and_come_and_go_by_themselves(
    seen: Sight, client: Client, axe: str
) -> None:
    outdial = await client.outdial(name="Spring list")
    ana, ben, _ = [await client.target(outdial["id"], name=name) for name in ("Ana Silva", "Ben Ode", "Cem Kaya")]
    page = await opened(seen, client, outdial["id"])
    await expect(page.get_by_role("link", name="Cem Kaya")).to_be_visible()
    await expect(page.get_by_role("heading", name="Callbacks")).to_have_count(0)
    wish = {"at": f"{DAY}T09:00:00Z", "dialer": "anna", "note": "Mornings"}
    await client.good("scheduleCallback", targetId=ana["id"], callback=wish)
    await becomes(lambda: listed(page), ["Ana Silva"])
    await client.good("scheduleCallback", targetId=ben["id"], callback={"at": f"{DAY}T08:00:00Z"})
    await becomes(lambda: listed(page), ["Ben Ode", "Ana Silva"])
    row = page.locator(f'[data-callback="{ana["id"]}"]')
    words = rf"{DAY.day} .* {DAY.year}, 0?9:00:00 .*anna alone for 15 minutes, then anybody\s*Mornings"
    await expect(row).to_contain_text(re.compile(words))
    assert await barriers(page, axe) == []
    await row.get_by_role("link", name="Ana Silva").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel the callback").click()
    await page.keyboard.press("Escape")
    await becomes(lambda: listed(page), ["Ben Ode"])


async def test_targets_with_a_callback_are_found_and_changed_together(seen: Sight, client: Client, axe: str) -> None:
    outdial = await client.outdial(name="Spring list")
    ana, ben, _ = [await client.target(outdial["id"], name=name) for name in ("Ana Silva", "Ben Ode", "Cem Kaya")]
    wish = {"at": f"{DAY}T09:00:00Z"}
    await client.good("scheduleCallback", targetId=ana["id"], callback=wish)
    page = await opened(seen, client, outdial["id"])
    links = page.locator(".targets").get_by_role("link")
    await becomes(links.all_inner_texts, ["Cem Kaya", "Ben Ode", "Ana Silva"])
    await page.get_by_label("With a callback").check()
    await becomes(links.all_inner_texts, ["Ana Silva"])
    assert "callback=yes" in page.url
    await client.good("scheduleCallback", targetId=ben["id"], callback=wish)
    await becomes(links.all_inner_texts, ["Ben Ode", "Ana Silva"])
    await client.good("cancelCallback", ana["id"])
    await becomes(links.all_inner_texts, ["Ben Ode"])
    assert await barriers(page, axe) == []
    await page.get_by_role("button", name="All of these").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("All targets of this outdial that match: With a callback.")
    await dialog.get_by_role("button", name="Count").click()
    await dialog.get_by_role("button", name="Cancel targets").click()
    await becomes(lambda: statuses(client, outdial["id"]), ["IDLE", "DONE", "IDLE"])


async def statuses(client: Client, outdial_id: str) -> list[str]:
    found = (await client.run(LIST, id=outdial_id))["outdial"]["targets"]["nodes"]
    return [target["status"] for target in found]


async def test_a_callback_that_the_server_refuses_says_why(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana Silva")
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Call back at").click()
    await dialog.get_by_label("Call back at").fill("2099-12-24T17:30")
    await dialog.get_by_role("button", name="Save callback").click()
    await expect(dialog.get_by_label("Call back at")).to_have_attribute("aria-invalid", "true")
    await dialog.get_by_role("button", name="Keep it as it is").click()
    await expect(dialog.get_by_role("button", name="Call back at")).to_be_visible()


async def test_callbacks_fit_a_phone(browser: Browser, service: ServerProcess, client: Client, axe: str) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana Silva")
    wish = {"at": f"{DAY}T09:00:00Z", "dialer": "a" * 60, "note": "b" * 300}
    await client.good("scheduleCallback", targetId=target["id"], callback=wish)
    async with sight(browser, service.url, viewport=PHONE, has_touch=True, color_scheme="dark") as seen:
        page = await opened(seen, client, outdial["id"])
        await expect(page.locator("[data-callback]")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert await barriers(page, axe) == []
        await page.locator("[data-callback] a").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Change the callback").click()
        assert await dialog.evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
        assert await barriers(page, axe) == []
