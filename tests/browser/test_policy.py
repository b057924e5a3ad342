"""The policy's dialog: retry rules as sentences, the pace, the breaker, start and end."""

from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from tests.browser.test_outdial import opened
from tests.support.browsing import PHONE, Sight, barriers, becomes, connection, sight
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

CARRIER = {"code": "CARRIER", "label": "Carrier fault", "disposition": "FAILED"}
LATER = {"code": "LATER", "label": "Call me later", "disposition": "NO_ANSWER"}
RULE = {"states": [], "dispositions": [], "codes": [], "destinations": [], "fromNth": 1, "jitterPercent": 0}
AS_WISHED = [
    {**RULE, "dispositions": ["BUSY"], "fromNth": 3, "action": "RETRY", "waitSeconds": 3_600},
    {**RULE, "dispositions": ["BUSY"], "action": "RETRY", "waitSeconds": 120},
    {**RULE, "dispositions": ["MACHINE"], "destinations": [0], "action": "NEXT_DESTINATION", "waitSeconds": None},
    {**RULE, "dispositions": ["FAILED"], "codes": ["CARRIER"], "fromNth": 2, "action": "FINISH", "waitSeconds": None},
]
SENTENCES = [
    "Busy, from the third time on: again in 1 hour.",
    "Busy: again in 2 minutes.",
    "Answering machine at destination 1: the next destination at once.",
    "Failed with code CARRIER, from the second time on: finish.",
]
POLICY = """query($id: ID!) { outdial(id: $id) { dialPolicy {
    retryRules { states dispositions codes destinations fromNth action waitSeconds jitterPercent }
    pacing { maxOpenAttempts claimsPerSecond breaker { failurePercent windowSeconds minCalls pauseSeconds } }
    startsAt endsAt } } }"""


async def stored(client: Client, outdial_id: str, field: str) -> Any:
    return (await client.run(POLICY, id=outdial_id))["outdial"]["dialPolicy"][field]


async def policy(page: Page) -> Locator:
    await page.get_by_role("button", name="Policy").click()
    dialog = page.get_by_role("dialog", name="Policy")
    await expect(dialog.get_by_role("button", name="Save")).to_be_visible()
    return dialog


async def save(page: Page, dialog: Locator) -> None:
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)
    await becomes(lambda: connection(page), "live")


async def sentences(dialog: Locator) -> list[str]:
    return await dialog.locator(".rules summary").all_inner_texts()


# ---------------------------------------------------------------- retry rules


async def test_retry_rules_are_added_moved_removed_and_read_as_sentences(seen: Sight, client: Client, axe: str) -> None:
    await client.good("setResultCodes", codes=[CARRIER, LATER])
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    for _ in range(5):
        await dialog.get_by_role("button", name="Add a rule").click()
    one, two, three, four = (dialog.get_by_role("group", name=f"Rule {number}") for number in (1, 2, 3, 4))
    await expect(dialog.get_by_text("Rule 1 always decides before this one.").first).to_be_visible()
    await two.get_by_label("From which time on").fill("3")
    await two.get_by_label("After how long").fill("1")
    await two.get_by_label("When").select_option("hours later")
    await three.get_by_label("If a call ends with").select_option("Answering machine")
    await three.get_by_label("At", exact=True).select_option("Destination 1")
    await three.get_by_label("Then").select_option("Call the next destination")
    await three.get_by_label("When").select_option("At once")
    await four.get_by_label("If a call ends with").select_option("Failed")
    assert await four.get_by_label("With the code").locator("option").all_inner_texts() == [
        "Any code or none", "Carrier fault (CARRIER)", "Several…",
    ]  # fmt: skip
    await four.get_by_label("With the code").select_option("Carrier fault (CARRIER)")
    await four.get_by_label("From which time on").fill("2")
    await four.get_by_label("Then").select_option("Finish the target")
    assert await barriers(page, axe) == []
    await dialog.get_by_role("group", name="Rule 5").get_by_role("button", name="Remove").click()
    await two.get_by_role("button", name="Move up").click()
    await expect(one.get_by_role("button", name="Move up")).to_be_focused()  # it went along
    assert await sentences(dialog) == SENTENCES
    await expect(dialog.get_by_text("always decides before")).to_have_count(0)
    await save(page, dialog)
    await becomes(lambda: stored(client, outdial["id"], "retryRules"), AS_WISHED)

    dialog = await policy(page)
    await becomes(lambda: sentences(dialog), SENTENCES)
    await dialog.get_by_text(SENTENCES[1]).click()
    await dialog.get_by_role("group", name="Rule 2").get_by_role("button", name="Move down").click()
    await dialog.get_by_text(SENTENCES[0]).click()
    await dialog.get_by_role("group", name="Rule 1").get_by_role("button", name="Remove").click()
    await save(page, dialog)
    await becomes(lambda: stored(client, outdial["id"], "retryRules"), [AS_WISHED[2], AS_WISHED[1], AS_WISHED[3]])


async def test_a_rule_for_several_results_by_chance_later_and_one_for_calls_without_a_result(
    seen: Sight, client: Client
) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    for _ in range(2):
        await dialog.get_by_role("button", name="Add a rule").click()
    one, two = (dialog.get_by_role("group", name=f"Rule {number}") for number in (1, 2))
    await one.get_by_label("If a call ends with").first.select_option("Several…")
    several = one.get_by_role("group", name="If a call ends with")
    await several.get_by_label("No answer").check()
    await several.get_by_label("Timeout").check()
    await several.get_by_label("Busy").uncheck()
    await one.get_by_label("When").select_option("After the usual wait")
    await one.get_by_label("Later by up to").fill("20")
    await two.get_by_label("If a call ends with").select_option("No result")
    await expect(two.get_by_label("With the code")).to_have_count(0)
    assert await sentences(dialog) == [
        "No answer or timeout: again after the usual wait, up to 20% later by chance.",
        "No result: again in 2 minutes.",
    ]
    await save(page, dialog)
    several_results = {**RULE, "dispositions": ["NO_ANSWER", "TIMEOUT"], "action": "RETRY", "waitSeconds": None}
    no_result = {**RULE, "states": ["EXPIRED", "UNCONFIRMED"], "action": "RETRY", "waitSeconds": 120}
    wished = [{**several_results, "jitterPercent": 20}, no_result]
    await becomes(lambda: stored(client, outdial["id"], "retryRules"), wished)


async def test_a_policy_that_is_only_looked_at_and_saved_stays_what_it_is(seen: Sight, client: Client) -> None:
    rules: list[dict[str, Any]] = [
        *AS_WISHED,
        {**RULE, "states": ["COMPLETED", "EXPIRED"], "action": "RETRY", "waitSeconds": 61, "jitterPercent": 7},
        {**RULE, "states": ["EXPIRED"], "dispositions": ["BUSY"], "codes": ["GONE"], "action": "RETRY",
         "waitSeconds": 0, "destinations": [4, 1]},
    ]  # fmt: skip
    breaker = {"failurePercent": 30, "windowSeconds": 61, "minCalls": 5, "pauseSeconds": 7_200}
    given = {
        "retryRules": rules,
        "pacing": {"maxOpenAttempts": 7, "claimsPerSecond": 0.25, "breaker": breaker},
        "startsAt": "2026-03-29T00:59:59.123456Z",
        "endsAt": "2199-12-31T23:59:58Z",
    }
    outdial = await client.outdial(name="Spring list", dialPolicy=given)
    before = (await client.run(POLICY, id=outdial["id"]))["outdial"]["dialPolicy"]
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    await dialog.get_by_label("Seconds until the next attempt").fill("77")
    await save(page, dialog)
    query = "query($id: ID!) { outdial(id: $id) { dialPolicy { retryIntervalSeconds } } }"
    assert (await client.run(query, id=outdial["id"]))["outdial"]["dialPolicy"]["retryIntervalSeconds"] == 77
    assert (await client.run(POLICY, id=outdial["id"]))["outdial"]["dialPolicy"] == before


async def test_what_is_wrong_in_a_closed_rule_opens_it(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"retryRules": AS_WISHED})
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    await dialog.get_by_text(SENTENCES[0]).click()
    field = dialog.get_by_role("group", name="Rule 1").get_by_label("After how long")
    await field.fill("")
    await dialog.locator(".rules summary").first.click()
    await expect(field).to_be_hidden()
    await dialog.get_by_role("button", name="Save").click()
    await expect(field).to_be_focused()
    assert await field.evaluate("(element) => element.validationMessage") == "Fill in this field."


async def test_what_the_server_refuses_of_a_rule_stands_in_it(seen: Sight, client: Client) -> None:
    # What the page keeps from being entered: only the server's check is left.
    outdial = await client.outdial(name="Spring list", dialPolicy={"retryRules": AS_WISHED[1:2]})
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    await dialog.get_by_text(SENTENCES[1]).click()
    field = dialog.get_by_role("group", name="Rule 1").get_by_label("From which time on")
    await field.evaluate("(element) => element.removeAttribute('max')")
    await field.fill("501")
    await dialog.locator(".rules summary").first.click()
    await dialog.get_by_role("button", name="Save").click()
    await expect(field).to_be_visible()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(dialog.locator(".rules .problem")).to_contain_text("500")


async def test_twenty_rules_are_as_many_as_there_can_be(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"retryRules": AS_WISHED[:1] * 19})
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    await dialog.get_by_role("button", name="Add a rule").click()
    await expect(dialog.get_by_role("button", name="Add a rule")).to_have_count(0)
    await save(page, dialog)
    assert len(await stored(client, outdial["id"], "retryRules")) == 20


# ---------------------------------------------------------------- pace


async def test_the_pace_and_the_breaker_are_set_read_in_words_and_taken_away(
    seen: Sight, client: Client, axe: str
) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    await expect(dialog.get_by_text("As fast as dialers ask.")).to_be_visible()
    await dialog.get_by_label("Calls at once, at most").fill("7")
    await dialog.get_by_label("New calls a second, at most").fill("0.2")
    await dialog.get_by_label("Stop by itself if calls fail").check()
    await dialog.get_by_label("Pause", exact=True).fill("10")
    await dialog.get_by_label("Share of failed calls in percent").fill("40")
    await dialog.get_by_label("Calls, at least").fill("30")
    await dialog.get_by_label("Unit of time that is looked at").select_option("seconds")
    await dialog.get_by_label("Time that is looked at", exact=True).fill("90")
    words = "At most 7 calls at once. At most 1 new call in 5 seconds. "
    words += "Stops for 10 minutes if 40% of at least 30 calls fail within 90 seconds."
    await expect(dialog.get_by_text(words)).to_be_visible()
    assert await barriers(page, axe) == []
    await save(page, dialog)
    breaker = {"failurePercent": 40, "windowSeconds": 90, "minCalls": 30, "pauseSeconds": 600}
    pacing = {"maxOpenAttempts": 7, "claimsPerSecond": 0.2, "breaker": breaker}
    await becomes(lambda: stored(client, outdial["id"], "pacing"), pacing)
    dialog = await policy(page)
    await expect(dialog.get_by_text(words)).to_be_visible()
    for label in ("Calls at once, at most", "New calls a second, at most"):
        await dialog.get_by_label(label).fill("")
    await dialog.get_by_label("Stop by itself if calls fail").uncheck()
    await save(page, dialog)
    await becomes(lambda: stored(client, outdial["id"], "pacing"), None)


@pytest.mark.parametrize(
    ("label", "field", "wrong", "words"),
    [
        ("Calls at once, at most", "max", "100001", "100,000"),
        ("New calls a second, at most", "max", "10001", "10,000"),
        ("Share of failed calls in percent", "max", "101", "100"),
    ],
)
async def test_what_the_server_refuses_of_the_pace_stands_at_it(
    seen: Sight, client: Client, label: str, field: str, wrong: str, words: str
) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    dialog = await policy(page)
    await dialog.get_by_label("Stop by itself if calls fail").check()
    given = dialog.get_by_label(label)
    await given.evaluate("(element, name) => element.removeAttribute(name)", field)
    await given.fill(wrong)
    await dialog.get_by_role("button", name="Save").click()
    await expect(given).to_have_attribute("aria-invalid", "true")
    pace = dialog.get_by_role("group", name="Pace")
    await expect(pace.locator(".problem")).to_contain_text(words)


# ---------------------------------------------------------------- start and end


async def test_start_and_end_are_set_by_the_outdials_clock_or_else_by_the_browsers(
    browser: Browser, service: ServerProcess, client: Client
) -> None:
    ours = await client.outdial(name="Spring list", timeZone="Asia/Tokyo")
    nobodys = await client.outdial(name="Autumn list")
    async with sight(browser, service.url, timezone_id="Europe/Berlin") as seen:
        for outdial, clock, starts, ends in (
            (ours, "Asia/Tokyo, the outdial's time zone", "2030-06-30T15:00", "2030-07-31T09:30"),
            (nobodys, "Europe/Berlin, this browser's time zone", "2030-06-30T22:00", "2030-07-31T16:30"),
        ):
            page = await opened(seen, client, outdial["id"])
            dialog = await policy(page)
            await expect(dialog.get_by_text(f"By the clock of {clock}.")).to_be_visible()
            await dialog.get_by_label("No calls before").fill("2030-07-01T00:00")
            await dialog.get_by_label("No new calls from").fill("2030-06-30T18:30")
            await dialog.get_by_role("button", name="Save").click()
            await expect(dialog.get_by_label("No new calls from")).to_have_attribute("aria-invalid", "true")
            await dialog.get_by_label("No new calls from").fill("2030-07-31T18:30")
            await save(page, dialog)
            assert await stored(client, outdial["id"], "startsAt") == f"{starts}:00.000000Z"
            assert await stored(client, outdial["id"], "endsAt") == f"{ends}:00.000000Z"
            dialog = await policy(page)
            await expect(dialog.get_by_label("No calls before")).to_have_value("2030-07-01T00:00")
            await dialog.get_by_label("No calls before").fill("")
            await dialog.get_by_label("No new calls from").fill("")
            await save(page, dialog)
            assert await stored(client, outdial["id"], "startsAt") is None
            assert await stored(client, outdial["id"], "endsAt") is None


# ---------------------------------------------------------------- for everyone


@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 640}], ids=["phone", "small phone"])
async def test_open_rules_and_the_breaker_fit_a_phone(
    browser: Browser, service: ServerProcess, client: Client, axe: str, viewport: ViewportSize
) -> None:
    breaker = {"failurePercent": 30, "windowSeconds": 60, "minCalls": 5, "pauseSeconds": 7_200}
    given = {"retryRules": AS_WISHED, "pacing": {"breaker": breaker}}
    await client.good("setResultCodes", codes=[{**CARRIER, "label": "The carrier has a fault that nobody knows of"}])
    outdial = await client.outdial(name="Spring list", dialPolicy=given)
    async with sight(browser, service.url, viewport=viewport, has_touch=True, color_scheme="dark") as seen:
        page = await opened(seen, client, outdial["id"])
        dialog = await policy(page)
        for summary in await dialog.locator(".rules summary").all():
            await summary.click()
        await dialog.get_by_label("If a call ends with").first.select_option("Several…")
        wider = await dialog.evaluate(
            """(dialog) => [...dialog.querySelectorAll("*")].filter((element) => {
                 const box = element.getBoundingClientRect();
                 return box.width && !element.closest("svg") && box.right > dialog.getBoundingClientRect().right - 4;
               }).map((element) => element.outerHTML.slice(0, 80))"""
        )
        assert wider == []
        assert await barriers(page, axe) == []
