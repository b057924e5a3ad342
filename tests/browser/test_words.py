"""What the page says: in English whatever the browser speaks, one word for one thing, and nothing that is not known."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.test_everyone import busy_list, file_to_import, tour
from tests.browser.test_outdial import finish, opened, people
from tests.support.browsing import Sight, becomes, connection, counts, rows, sight
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

__all__ = ["file_to_import"]

SAID = """() => {
  const said = [document.title, document.body.innerText];
  for (const element of document.querySelectorAll("*")) {
    for (const name of ["aria-label", "title", "placeholder", "alt"]) said.push(element.getAttribute(name) ?? "");
  }
  return said.join("\\n");
}"""
# Of other languages' dates, numbers and units; and the API's own words, for which the page has plainer ones.
FOREIGN = re.compile(
    r"\b(Std|Min|Sek|Tage?|vor|Uhr|Dez|Okt|Mai|heute|jetzt)\b|[\u0600-\u06ff\u0900-\u097f\u3040-\u30ff\u4e00-\u9fff]"
    r"|\d{1,2}\.\d{1,2}\.\d{4}|\u202f|\u00a0%"
)
OTHER_WORDS = re.compile(r"\b(Idle|Progressing|being called|tries|try)\b", re.IGNORECASE)


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["de-DE", "ar-EG", "ja-JP"])
async def test_every_view_is_in_english_whatever_the_browsers_language(
    browser: Browser, service: ServerProcess, client: Client, file_to_import: Any, locale: str
) -> None:
    outdial_id = await busy_list(client)
    await client.good("updateOutdial", id=outdial_id, dialPolicy={"retryIntervalSeconds": 43_000})
    await client.target(outdial_id, priority=9)  # the first that is called, and the first that is shown
    await finish(client, outdial_id, "BUSY")
    found: dict[str, Any] = {}
    async with sight(browser, service.url, locale=locale, timezone_id="Europe/Berlin") as seen:
        async for view in tour(seen, client, outdial_id, file_to_import):
            said = await seen.page.evaluate(SAID)
            for pattern in (FOREIGN, OTHER_WORDS):
                if match := pattern.search(said):
                    found[view] = said[max(0, match.start() - 40) : match.end() + 20]
            if view == "outdial":
                assert "in 11 hr." in said
                assert "Waiting" in said
                assert "Calling" in said
            if view == "target":
                assert re.search(r"\d{1,2} [A-Z][a-z]{2,3} \d{4}, \d\d:\d\d:\d\d", said)
    assert found == {}


async def test_a_field_that_is_left_out_is_said_in_english(
    browser: Browser, service: ServerProcess, client: Client
) -> None:
    async with sight(browser, service.url, locale="de-DE") as seen:
        outdial = await client.outdial(name="Spring list")
        page = await opened(seen, client, outdial["id"])
        await page.get_by_role("button", name="Policy").first.click()
        field = page.get_by_label("Lease in seconds")
        for text, words in (
            ("", "Fill in this field."),
            ("1", "Enter a number from 5 to 86400."),
            ("5.5", "Enter a whole number."),
        ):
            await field.fill(text)
            await page.get_by_role("button", name="Save").click()
            assert await field.evaluate("(element) => element.validationMessage") == words
        await field.fill("60")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.slow
async def test_attempts_per_minute_are_not_said_before_they_are_known(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 2)
    page = await opened(seen, client, outdial["id"])
    figure = page.locator("dt", has_text="Attempts per minute").locator("xpath=following-sibling::dd")
    await expect(figure).to_contain_text("\N{EN DASH}")
    await expect(figure).to_contain_text("measuring")
    await expect(figure).to_have_text("0", timeout=20_000)  # after ten seconds in which there was none
    await seen.open("/")
    await expect(page.locator("[data-outdial]")).to_contain_text(
        re.compile("\N{EN DASH} *measuring attempts per minute")
    )


async def test_a_number_and_how_many_more_there_are_are_two_things(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await client.target(
        outdial["id"], destination0={"target": "+1 212 555 0142"}, destination1={"target": "+1 212 555 0143"}
    )
    page = await opened(seen, client, outdial["id"])
    await expect(page.locator("[data-field=address]")).to_have_text(re.compile(r"^\s*\+12125550142\s+and 1 more\s*$"))


async def test_graphiql_is_as_tall_as_the_window(browser: Browser, service: ServerProcess) -> None:
    for viewport in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
        async with sight(browser, service.url, viewport=viewport) as seen:
            await seen.open("/graphql")
            await expect(seen.page.locator(".graphiql-container .view-lines").first).to_be_visible()
            height = await seen.page.evaluate("document.documentElement.scrollHeight")
            assert height <= viewport["height"]


async def test_no_label_of_the_chart_is_cut_off(browser: Browser, service: ServerProcess, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 1)
    for width in (1280, 390, 320):
        async with sight(browser, service.url, viewport={"width": width, "height": 800}) as seen:
            page = await opened(seen, client, outdial["id"])
            canvas = page.locator("[aria-label=Activity] canvas")
            await expect(canvas).to_be_visible()
            # A label that is cut off has ink in the outermost column of pixels.
            edges = await canvas.evaluate(
                """(canvas) => { const { width, height } = canvas; const brush = canvas.getContext("2d");
                     const inked = (x) => brush.getImageData(x, 0, 1, height).data.some((part) => part);
                     return [inked(0), inked(width - 1)]; }"""
            )
            assert edges == [False, False]


# ---------------------------------------------------------------- filters


async def statuses(page: Page) -> list[str]:
    return sorted(row["status"] for row in (await rows(page)).values())


@pytest.mark.slow
async def test_a_filter_shows_what_matches_now_and_says_how_many_that_are(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"maxTryCounts": [3, 0, 0, 0, 0]})
    await people(client, outdial["id"], 6)
    claimed = await client.good("claimTargets", outdialId=outdial["id"], limit=4)
    page = await opened(seen, client, outdial["id"], "&status=PROGRESSING")
    await becomes(lambda: statuses(page), ["PROGRESSING"] * 4)
    await expect(page.get_by_text("4 of 4 shown")).to_be_visible()

    async def complete(number: int, disposition: str) -> None:
        results = [
            {"attemptId": attempt["id"], "disposition": disposition}
            for attempt in [claimed["attempts"].pop() for _ in range(number)]
        ]
        await client.good("completeAttempts", results=results)

    await complete(3, "ANSWERED")
    await becomes(lambda: statuses(page), ["PROGRESSING"])
    await expect(page.get_by_text("1 of 1 shown")).to_be_visible()
    await client.good("claimTargets", outdialId=outdial["id"], limit=2)  # these begin to match
    await becomes(lambda: statuses(page), ["PROGRESSING"] * 3)
    await expect(page.get_by_text("3 of 3 shown")).to_be_visible()
    await becomes(lambda: counts(page), {"total": 6, "progressing": 3, "done": 3, "done-ANSWERED": 3, "attempts": 6})

    form = page.get_by_role("form", name="Filter")
    await form.get_by_label("Status").select_option(label="All")
    await form.get_by_label("Done reason").select_option(label="Answered")
    await becomes(lambda: statuses(page), ["DONE"] * 3)
    await complete(1, "ANSWERED")
    await becomes(lambda: statuses(page), ["DONE"] * 4)
    await expect(page.get_by_text("4 of 4 shown")).to_be_visible()
    await form.get_by_label("Done reason").select_option(label="All")
    await form.get_by_label("Status").select_option(label="Waiting")
    await expect(page.get_by_text("No targets match the filter.")).to_be_visible()
    await client.good("resetTargets", outdialId=outdial["id"], doneReasons=["ANSWERED"])
    await becomes(lambda: statuses(page), ["IDLE"] * 4)
    await becomes(lambda: connection(page), "live")


async def test_a_target_that_gets_the_address_of_the_filter_comes_and_goes(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana Silva")
    page = await opened(seen, client, outdial["id"], "&address=%2B12125550142")
    await expect(page.get_by_text("No targets match the filter.")).to_be_visible()
    await client.good("updateTarget", id=target["id"], destination1={"target": "+1 212 555 0142"})
    await expect(page.get_by_role("link", name="Ana Silva")).to_be_visible()
    await client.good("updateTarget", id=target["id"], destination1={"target": "+1 212 555 0143"})
    await expect(page.get_by_text("No targets match the filter.")).to_be_visible()


async def test_a_target_that_is_made_with_the_key_of_the_filter_comes(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"], "&key=new")
    await expect(page.get_by_text("No targets match the filter.")).to_be_visible()
    await client.target(outdial["id"], name="Another", key="other")
    await client.target(outdial["id"], name="Ana Silva", key="new")
    await expect(page.get_by_role("link", name="Ana Silva")).to_be_visible()
    await expect(page.get_by_text("1 of 1 shown")).to_be_visible()
