"""Why an outdial stands still, on its page: among it its breaker, which is closed there."""

import re
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.browser.test_outdial import finish, opened, people
from tests.support.browsing import Sight, barriers
from tests.support.graphql_client import Client

BREAKER = {"failurePercent": 50, "windowSeconds": 60, "minCalls": 5, "pauseSeconds": 600}


def how(page: Page) -> Locator:
    return page.get_by_role("region", name="How it is called")


async def broken(client: Client) -> dict[str, Any]:
    """An outdial whose breaker opens within two seconds."""
    outdial = await client.outdial(name="Spring list", dialPolicy={"pacing": {"breaker": BREAKER}})
    await people(client, outdial["id"], 6)
    await finish(client, outdial["id"], *["FAILED"] * 5)
    return outdial


async def test_an_outdial_without_bounds_says_nothing_of_them(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    await page.get_by_role("button", name="Pause Spring list").click()
    await expect(how(page).locator("[data-field=stops]")).to_have_text("It is paused.")
    await page.get_by_role("button", name="Resume Spring list").click()
    await expect(how(page)).to_have_count(0)


async def test_a_breaker_is_seen_open_and_closed_by_its_button(seen: Sight, client: Client, axe: str) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"pacing": {"breaker": BREAKER}})
    await people(client, outdial["id"], 6)
    page = await opened(seen, client, outdial["id"])
    breaker = how(page).locator("[data-field=breaker]")
    await expect(breaker).to_have_text("Closed. 0 of 0 calls in 1 minute failed.")
    await finish(client, outdial["id"], *["FAILED"] * 5)
    told = re.compile(r"^\s*Open\. Since .*, when 5 of 5 calls had failed\. At .* one call")
    await expect(breaker).to_contain_text(told)
    assert await barriers(page, axe) == []
    await breaker.get_by_role("button", name="Close the breaker").focus()
    await page.keyboard.press("Enter")
    await expect(breaker).to_have_text("Closed. 0 of 0 calls in 1 minute failed.")
    await expect(how(page)).to_be_focused()  # the button is gone
    await expect(how(page).locator("[data-field=stops]")).to_have_count(0)


async def test_who_may_only_read_sees_the_breaker_and_cannot_close_it(seen: Sight, client: Client) -> None:
    outdial = await broken(client)
    reader = Client(client.url, client.customer_id, scopes=("read",))
    page = await opened(seen, reader, outdial["id"])
    await expect(how(page).locator("[data-field=breaker]")).to_contain_text("Open. Since")
    assert await page.get_by_role("button", name="Close the breaker").count() == 0
