"""The do-not-call list: searched, added to, removed from, imported and exported; and why a target waits."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.test_outdial import opened
from tests.support.browsing import Sight, barriers, becomes
from tests.support.factories import phone_number
from tests.support.graphql_client import Client

ANA = "+12125550142"
LIST = "{ suppressions { nodes { target reason source expiresAt } } }"


async def shown(page: Page) -> list[str]:
    """At one moment: a row that goes away while they are read would be waited for."""
    rows: list[str] = await page.locator("[data-suppression]").evaluate_all(
        "rows => rows.map((row) => row.dataset.suppression)"
    )
    return rows


async def test_an_address_is_added_found_and_removed(seen: Sight, client: Client, axe: str) -> None:
    other = phone_number()
    await client.good("addSuppressions", suppressions=[{"target": other}])
    await seen.open("/", token=client.token)
    page = seen.page
    await page.get_by_role("link", name="Do-not-call list").click()
    await expect(page.get_by_role("heading", name="Do-not-call list", level=1)).to_be_visible()
    await becomes(lambda: shown(page), [other])
    await page.get_by_role("button", name="Add addresses").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Addresses").fill("+1 (212) 555-0142\ncall me maybe\n")
    await dialog.get_by_label("Reason").fill("asked by mail")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("call me maybe")
    assert await barriers(page, axe) == []
    await expect(dialog.get_by_label("Addresses")).to_have_value("call me maybe")
    await dialog.get_by_label("Addresses").fill("+1 (212) 555-0142")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog).to_be_hidden()
    await becomes(lambda: shown(page), [ANA, other])
    assert await barriers(page, axe) == []
    await page.get_by_role("searchbox", name="Address").fill("+1-212-555-0142")
    await becomes(lambda: shown(page), [ANA])
    await page.get_by_role("button", name=f"Remove {ANA}").click()
    question = page.get_by_role("dialog", name="Remove from the do-not-call list?")
    await question.get_by_role("button", name="Cancel").click()
    assert await shown(page) == [ANA]
    await page.get_by_role("button", name=f"Remove {ANA}").click()
    await expect(question).to_contain_text(ANA)
    assert await barriers(page, axe) == []
    await question.get_by_role("button", name="Remove", exact=True).click()
    await becomes(lambda: shown(page), [])
    await expect(page.get_by_text("This address is not on the list.")).to_be_visible()
    await page.get_by_role("searchbox", name="Address").fill("212 555 0142")
    await expect(page.get_by_role("alert")).to_contain_text("cannot be read. No country code. Start the number with +")
    await expect(page.get_by_text("This address is not on the list.")).to_be_hidden()
    await page.get_by_role("button", name="Show all").click()
    await becomes(lambda: shown(page), [other])
    left = (await client.run(LIST))["suppressions"]["nodes"]
    assert [one["target"] for one in left] == [other]


async def test_a_file_goes_in_and_the_list_comes_out(seen: Sight, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "robinson.csv"
    file.write_text(f"target,reason\n{ANA},register\nnobody,\n")
    await seen.open("/?page=do-not-call", token=client.token)
    page = seen.page
    await expect(page.get_by_text("No address is on the list.")).to_be_visible()
    async with page.expect_file_chooser() as chosen:
        await page.get_by_role("button", name="Import").click()
    await (await chosen.value).set_files(file)
    await expect(page.get_by_text("1 of 2 rows are on the list, 1 rejected.")).to_be_visible()
    await becomes(lambda: shown(page), [ANA])
    async with page.expect_download() as started:
        await page.get_by_role("button", name="Export").click()
    await (await started.value).save_as(tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_text("utf-8-sig")
    assert f"TEL,{ANA},register,IMPORT," in text


async def test_who_may_only_read_sees_the_list_and_changes_nothing(
    seen: Sight, client: Client, service_reader: Client
) -> None:
    await client.good("addSuppressions", suppressions=[{"target": ANA}])
    await seen.open("/?page=do-not-call", token=service_reader.token)
    await becomes(lambda: shown(seen.page), [ANA])
    for name in ("Import", "Add addresses", f"Remove {ANA}"):
        assert await seen.page.get_by_role("button", name=name).count() == 0


@pytest.fixture
def service_reader(client: Client) -> Client:
    """The same customer with a token that may only read."""
    return Client(client.url, client.customer_id, scopes=("read",))


async def test_a_target_says_why_it_waits_and_until_when(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], destination0={"target": ANA}, name="Ana")
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    waits = page.locator("[data-field=waits]")
    await expect(waits).to_have_text("Nothing holds it up: the next dialer that asks gets it.")
    await client.good("addSuppressions", suppressions=[{"target": ANA, "expiresAt": "2999-01-01T00:00:00Z"}])
    await expect(waits).to_contain_text("do-not-call list")  # no event says so: it looks again
    await expect(page.locator("dd[data-field=next]")).to_contain_text("When nothing holds it up")
    await client.good("updateOutdial", id=outdial["id"], state="PAUSED")
    await expect(waits).to_contain_text("The outdial is paused.")
    await expect(waits).to_contain_text("do-not-call list")
    await expect(waits).to_contain_text("2999")
