"""Why an outdial stands still, on its page: its start and end, its pace, and its breaker, which is closed there."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
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
    await expect(breaker).to_have_text("Closed: calls go on. 0 of 0 calls in 1 minute failed.")
    await finish(client, outdial["id"], *["FAILED"] * 5)
    told = re.compile(r"^\s*Open: calls have stopped\. Since .*, when 5 of 5 calls had failed\. At .* one call")
    await expect(breaker).to_contain_text(told)
    await expect(how(page).locator("[data-field=stops]")).to_have_text("Too many calls failed.")
    assert await barriers(page, axe) == []
    await breaker.get_by_role("button", name="Close the breaker").focus()
    await page.keyboard.press("Enter")
    await expect(breaker).to_have_text("Closed: calls go on. 0 of 0 calls in 1 minute failed.")
    await expect(how(page)).to_be_focused()  # the button is gone
    await expect(how(page).locator("[data-field=stops]")).to_have_count(0)


async def test_who_may_only_read_sees_the_breaker_and_cannot_close_it(seen: Sight, client: Client) -> None:
    outdial = await broken(client)
    reader = Client(client.url, client.customer_id, scopes=("read",))
    page = await opened(seen, reader, outdial["id"])
    await expect(how(page).locator("[data-field=breaker]")).to_contain_text("Open: calls have stopped. Since")
    assert await page.get_by_role("button", name="Close the breaker").count() == 0


@pytest.mark.slow
async def test_a_start_and_an_end_are_said_on_the_outdials_page(seen: Sight, client: Client) -> None:
    now = datetime.now(UTC)
    outdial = await client.outdial(
        name="Spring list", dialPolicy={"startsAt": (now + timedelta(hours=3, seconds=30)).isoformat()}
    )
    page = await opened(seen, client, outdial["id"])
    stops = how(page).locator("[data-field=stops]")
    await expect(stops).to_have_text(re.compile(r"^It has not started\. Until .* \(in 3 hr\.\)\.$"))
    policy = {"startsAt": None, "endsAt": (now - timedelta(hours=1)).isoformat()}
    await client.good("updateOutdial", id=outdial["id"], dialPolicy=policy)
    await expect(stops).to_have_text("It has ended.")
    await client.good("updateOutdial", id=outdial["id"], dialPolicy={"endsAt": None})
    await expect(how(page)).to_have_count(0)


async def test_a_pace_is_said_and_when_it_holds_calls_back(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"pacing": {"maxOpenAttempts": 2}})
    await people(client, outdial["id"], 3)
    page = await opened(seen, client, outdial["id"])
    pace = how(page).locator("[data-field=pace]")
    await expect(pace).to_have_text("At most 2 calls at once.")
    await client.good("claimTargets", outdialId=outdial["id"], limit=2)
    await expect(pace).to_have_text("At most 2 calls at once. It is called as fast as its pace allows.")
    await expect(how(page).locator("[data-field=stops]")).to_have_count(0)
