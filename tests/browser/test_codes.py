"""The owner's own results: added, changed, ordered and retired on a page of their own, and shown with each attempt."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.test_outdial import opened
from tests.support.browsing import Sight, barriers, becomes
from tests.support.graphql_client import Client

SALE = {"code": "SALE", "label": "Sold it", "disposition": "ANSWERED", "isRightParty": True, "isConversion": True}
WRONG = {"code": "WRONG", "label": "Somebody else", "disposition": "ANSWERED"}
LIST = "{ resultCodes { code label disposition isRightParty isConversion isRetired } }"


async def shown(page: Page) -> list[str]:
    rows: list[str] = await page.locator("[data-code]").evaluate_all("rows => rows.map((row) => row.dataset.code)")
    return rows


async def codes(client: Client) -> list[tuple[object, ...]]:
    return [tuple(one.values()) for one in (await client.run(LIST))["resultCodes"]]


async def test_a_supervisor_adds_changes_orders_and_retires_codes(seen: Sight, client: Client, axe: str) -> None:
    await seen.open("/", token=client.token)
    page = seen.page
    await page.get_by_role("link", name="Result codes").click()
    await expect(page.get_by_text("There are no result codes.")).to_be_visible()
    for place, (code, label) in enumerate((("SALE", "Sold it"), ("LATER", "Call me later")), start=1):
        await page.get_by_role("button", name="Add a code").click()
        await page.get_by_label(f"Code {place}", exact=True).fill(code)
        await page.get_by_label(f"Label of {code}", exact=True).fill(label)
    await page.get_by_label("Disposition of LATER").select_option("No answer")
    await page.get_by_label("SALE is a right party").check()
    await page.get_by_label("SALE is a conversion").check()
    assert await barriers(page, axe) == []
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    assert await codes(client) == [
        ("SALE", "Sold it", "ANSWERED", True, True, False),
        ("LATER", "Call me later", "NO_ANSWER", False, False, False),
    ]
    await page.get_by_role("button", name="Move LATER up").click()
    await page.get_by_label("Label of LATER").fill("Again tomorrow")
    await page.get_by_role("button", name="Save").click()
    await becomes(lambda: shown(page), ["LATER", "SALE"])
    await page.get_by_label("LATER is retired").check()
    await page.get_by_role("button", name="Save").click()
    await becomes(lambda: shown(page), ["SALE", "LATER"])
    await expect(page.get_by_text("1 in use")).to_be_visible()
    assert await codes(client) == [
        ("SALE", "Sold it", "ANSWERED", True, True, False),
        ("LATER", "Again tomorrow", "NO_ANSWER", False, False, True),
    ]


async def test_what_the_server_refuses_stands_at_its_line(seen: Sight, client: Client, axe: str) -> None:
    await client.good("setResultCodes", codes=[SALE])
    await seen.open("/?page=result-codes", token=client.token)
    page = seen.page
    await page.get_by_role("button", name="Add a code").click()
    await page.get_by_label("Code 2", exact=True).fill("SALE")
    await page.get_by_label("Label of SALE").last.fill("Sold it again")
    await page.get_by_role("button", name="Save").click()
    row = page.locator("[data-code]").last
    await expect(row).to_contain_text("This code is in the list already.")
    assert await barriers(page, axe) == []
    await row.get_by_label("Code 2", exact=True).fill("UPSALE")
    await page.get_by_role("button", name="Save").click()
    await becomes(lambda: shown(page), ["SALE", "UPSALE"])
    await expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()


async def test_nobody_overwrites_what_somebody_else_has_set_meanwhile(seen: Sight, client: Client) -> None:
    await client.good("setResultCodes", codes=[SALE])
    await seen.open("/?page=result-codes", token=client.token)
    page = seen.page
    await page.get_by_label("Label of SALE").fill("Sold")
    await client.good("setResultCodes", codes=[SALE, WRONG])
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text("Somebody else has changed the codes meanwhile.")
    assert [one[:2] for one in await codes(client)] == [("SALE", "Sold it"), ("WRONG", "Somebody else")]
    await page.get_by_role("button", name="Load again").click()
    await becomes(lambda: shown(page), ["SALE", "WRONG"])


async def test_who_may_only_read_sees_the_codes_and_changes_nothing(
    seen: Sight, client: Client, service_reader: Client
) -> None:
    await client.good("setResultCodes", codes=[SALE])
    await seen.open("/?page=result-codes", token=service_reader.token)
    await becomes(lambda: shown(seen.page), ["SALE"])
    await expect(seen.page.get_by_role("row").last).to_contain_text("Sold it")
    for name in ("Add a code", "Save"):
        assert await seen.page.get_by_role("button", name=name).count() == 0
    assert await seen.page.get_by_role("checkbox").count() == 0


@pytest.fixture
def service_reader(client: Client) -> Client:
    """The same customer with a token that may only read."""
    return Client(client.url, client.customer_id, scopes=("read",))


async def test_an_attempt_shows_its_code_with_the_label(seen: Sight, client: Client) -> None:
    await client.good("setResultCodes", codes=[SALE])
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"])
    [attempt] = (await client.good("claimTargets", outdialId=outdial["id"]))["attempts"]
    result = {"attemptId": attempt["id"], "disposition": "ANSWERED", "code": "SALE"}
    await client.good("completeAttempts", results=[result])
    await client.good("setResultCodes", codes=[])
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    row = page.locator(f'[data-attempt="{attempt["id"]}"]')
    await expect(row).to_contain_text("Answered")
    await expect(row).to_contain_text("Sold it SALE")
