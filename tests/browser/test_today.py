"""An outdial's page says how its day goes: figures by the hour, the calls of this moment, and what is waited for."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.test_outdial import finish, opened, people
from tests.conftest import Kind
from tests.support.browsing import Sight, barriers, becomes
from tests.support.graphql_client import Client

both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


def table(page: Page, name: str) -> Locator:
    return page.get_by_role("table", name=name)


async def day(page: Page) -> dict[str, str]:
    found: dict[str, str] = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-day]")]
             .map((element) => [element.dataset.day, element.textContent]))"""
    )
    return found


async def drawn(page: Page, part: str) -> float:
    """The share of the picture's height that this part of the highest bar takes, if it can be seen at all."""
    share: float = await page.get_by_role("img", name="Today by the hour").evaluate(
        """(picture, part) => { const whole = picture.querySelector(".hour-bars");
             const bars = [...picture.querySelectorAll(`[data-part=${part}]`)];
             const boxes = bars.map((bar) => bar.getBoundingClientRect());
             return Math.max(...boxes.map(({ height, width }) => (width < 4 ? 0 : height / whole.clientHeight))); }""",
        part,
    )
    return round(share, 2)


@pytest.mark.slow
@both
async def test_the_day_is_there_at_once_and_goes_on_with_the_calls(
    seen: Sight, client: Client, axe: str, kind: Kind
) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 6)
    await finish(client, outdial["id"], "ANSWERED", "BUSY", "NO_ANSWER", "BUSY")
    page = await opened(seen, client, outdial["id"])
    figures = {"attempts": "4", "answered": "1", "rate": "25%", "reached": "1", "conversions": "0"}
    await becomes(lambda: day(page), figures)
    row = [f"{datetime.now(UTC):%H}:00", "4", "1", "25%"]
    for name in ("Today by the hour", "Answer rate by the hour of the day"):
        assert await table(page, name).locator("tbody tr").locator("th, td").all_inner_texts() == row
    assert [await drawn(page, part) for part in ("PROGRESSING", "ANSWERED")] == [0.75, 0.25]
    assert await barriers(page, axe) == []
    await finish(client, outdial["id"], "ANSWERED")
    await becomes(lambda: day(page), figures | {"attempts": "5", "answered": "2", "rate": "40%", "reached": "2"})


@pytest.mark.slow
@both
async def test_calls_that_are_under_way_are_listed_newest_first_and_go_when_they_end(
    seen: Sight, client: Client, axe: str, kind: Kind
) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 3)
    page = await opened(seen, client, outdial["id"])
    await expect(page.get_by_text("No calls now.")).to_be_visible()
    first = await client.good("claimTargets", outdialId=outdial["id"], limit=1, dialer="dialer-a")
    second = await client.good("claimTargets", outdialId=outdial["id"], limit=1, dialer="dialer-b")
    calls = page.locator("[data-call]")
    await expect(calls).to_have_count(2)
    await expect(calls.nth(0)).to_contain_text("dialer-b")
    await expect(calls.nth(1)).to_contain_text("dialer-a")
    await expect(calls.nth(0).locator("td").last).not_to_have_text("0:00")  # it counts
    assert await barriers(page, axe) == []
    await client.good("startAttempts", attempts=[{"attemptId": first["attempts"][0]["id"]}])
    await expect(calls.nth(1)).to_contain_text("Dialing")
    results = [{"attemptId": second["attempts"][0]["id"], "disposition": "ANSWERED"}]
    await client.good("completeAttempts", results=results)
    await expect(calls).to_have_count(1)
    await calls.get_by_role("link").click()
    await expect(page.get_by_role("dialog")).to_be_visible()


async def test_an_outdial_whose_targets_wait_for_a_time_says_which(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"retryIntervalSeconds": 3_600})
    await people(client, outdial["id"], 1)
    await finish(client, outdial["id"], "BUSY")
    page = await opened(seen, client, outdial["id"])
    await expect(page.locator("[data-field=awaited]")).to_contain_text("No target can be called before")


async def test_an_outdial_that_no_dialer_asks_for_says_so(seen: Sight, client: Client) -> None:
    """The page's clock goes ahead; nobody waits twelve minutes here."""
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 2)
    await finish(client, outdial["id"], "ANSWERED")
    await seen.page.clock.install(time=datetime.now(UTC) + timedelta(minutes=12, seconds=5))
    page = await opened(seen, client, outdial["id"])
    said = page.locator("[data-field=awaited]")
    await expect(said).to_have_text("Targets can be called, but no dialer has claimed one for 12 minutes.")
