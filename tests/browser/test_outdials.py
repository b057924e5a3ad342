"""The page of outdials as a supervisor uses it: the day on top, filters in the address, and several paused at once."""

from uuid import uuid4

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.test_outdial import finish, people
from tests.conftest import Kind
from tests.support.browsing import PHONE, Sight, barriers, becomes
from tests.support.graphql_client import Client

both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


async def names(page: Page) -> list[str]:
    return await page.locator("[data-outdial] .name").all_inner_texts()


async def day(page: Page) -> list[str]:
    return await page.locator("[data-all]").all_inner_texts()


async def states(client: Client) -> dict[str, str]:
    found = await client.run("{ outdials { nodes { name state } } }")
    return {one["name"]: one["state"] for one in found["outdials"]["nodes"]}


@pytest.mark.slow
@both
async def test_the_day_of_all_outdials_stands_on_top_and_goes_by_the_campaign(
    seen: Sight, client: Client, axe: str, kind: Kind
) -> None:
    campaign = str(uuid4())
    spring = await client.outdial(name="Spring list", campaignId=campaign)
    autumn = await client.outdial(name="Autumn list")
    for outdial in (spring, autumn):
        await people(client, outdial["id"], 4)
    await finish(client, spring["id"], "ANSWERED", "BUSY")
    await finish(client, autumn["id"], "ANSWERED", "BUSY", "NO_ANSWER")
    await client.good("claimTargets", outdialId=spring["id"], limit=1)
    await seen.open("/", token=client.token)
    page = seen.page
    said = [
        "1 calling now", "2 answered today", "Answer rate today 33%", "This hour 2 answered (33%)",
        "Same minutes yesterday 0 (\N{EN DASH})",
    ]  # fmt: skip
    await becomes(lambda: day(page), said)
    assert await barriers(page, axe) == []
    await page.get_by_label("Campaign").fill(campaign)
    await becomes(lambda: names(page), ["Spring list"])
    said[1:4] = ["1 answered today", "Answer rate today 33%", "This hour 1 answered (33%)"]
    await becomes(lambda: day(page), said)
    assert f"campaign={campaign}" in page.url


async def test_a_link_shows_the_outdials_of_a_state(seen: Sight, client: Client) -> None:
    await client.outdial(name="Spring list")
    paused = await client.outdial(name="Autumn list")
    await client.good("updateOutdial", id=paused["id"], state="PAUSED")
    await seen.open("/?state=paused", token=client.token)
    page = seen.page
    await becomes(lambda: names(page), ["Autumn list"])
    await page.get_by_role("button", name="Resume Autumn list").click()  # it matches no more
    await expect(page.get_by_text("No outdials match the filter.")).to_be_visible()
    await page.get_by_role("button", name="Clear filter").click()
    await becomes(lambda: names(page), ["Autumn list", "Spring list"])
    await page.get_by_label("State").select_option(label="Active")
    assert page.url.endswith("?state=active")


@both
async def test_those_that_are_selected_are_paused_and_resumed_together(
    seen: Sight, client: Client, axe: str, kind: Kind
) -> None:
    for number in range(6):
        await client.outdial(name=f"List {number}")
    await seen.open("/", token=client.token)
    page = seen.page
    group = page.get_by_role("group", name="Selected outdials")
    await page.get_by_label("Select List 0").check()
    await expect(group).to_contain_text("1 outdial selected")
    await page.get_by_role("button", name="Select all shown").click()
    await page.get_by_label("Select List 3").uncheck()
    await expect(group).to_contain_text("5 outdials selected")
    assert await barriers(page, axe) == []
    await page.set_viewport_size(PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await group.get_by_role("button", name="Pause all").click()
    await expect(group.get_by_role("status")).to_have_text("5 outdials paused.")
    paused = {f"List {number}": "PAUSED" for number in range(6)} | {"List 3": "ACTIVE"}
    assert await states(client) == paused
    await group.get_by_role("button", name="Resume all").click()
    await expect(group.get_by_role("status")).to_have_text("5 outdials resumed.")
    assert set((await states(client)).values()) == {"ACTIVE"}


async def test_each_that_could_not_be_paused_is_named(seen: Sight, client: Client) -> None:
    for name in ("Spring list", "Autumn list"):
        await client.outdial(name=name)
    doomed = await client.outdial(name="Winter list")

    async def lose(route: Route) -> None:
        is_lost = "UpdateOutdial" in (route.request.post_data or "") and doomed["id"] in (route.request.post_data or "")
        await (route.abort() if is_lost else route.continue_())

    await seen.page.route("**/graphql", lose)
    await seen.open("/", token=client.token)
    page = seen.page
    await page.get_by_role("button", name="Select all shown").click()
    await page.get_by_role("button", name="Pause all").click()
    await expect(page.get_by_role("alert")).to_have_text("Winter list: Cannot reach the server. Try again.")
    await expect(page.get_by_role("group", name="Selected outdials")).to_contain_text("2 outdials paused.")
    assert await states(client) == {"Spring list": "PAUSED", "Autumn list": "PAUSED", "Winter list": "ACTIVE"}
