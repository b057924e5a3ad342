"""Keys that spare the way to a button, and the page on paper."""

from playwright.async_api import expect

from tests.browser.test_outdial import finish, opened, people
from tests.support.browsing import Sight, barriers
from tests.support.graphql_client import Client


async def test_keys_search_pause_and_say_what_they_do(seen: Sight, client: Client, axe: str) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    await page.keyboard.press("p")
    await expect(page.get_by_role("button", name="Resume Spring list")).to_be_visible()
    found = await client.read_outdial(outdial["id"])
    assert found is not None
    assert found["state"] == "PAUSED"
    await page.keyboard.press("/")
    field = page.get_by_label("Address")
    await expect(field).to_be_focused()
    await page.keyboard.type("p?/")  # these are typed
    await expect(field).to_have_value("p?/")
    await page.get_by_role("heading", name="Spring list", level=1).click()
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(dialog).to_contain_text("Pause or resume the outdial")
    assert await barriers(page, axe) == []
    await page.keyboard.press("p")  # a dialog is open
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("button", name="Resume Spring list")).to_be_visible()
    await seen.open("/")
    await expect(page.get_by_role("link", name="Spring list")).to_be_visible()
    await page.keyboard.press("/")
    await expect(page.get_by_label("Name contains")).to_be_focused()


async def test_what_a_key_has_paused_is_undone_by_a_button(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    await page.keyboard.press("p")
    await expect(page.get_by_text("Paused by the key p.")).to_be_visible()
    await page.get_by_role("button", name="Undo").press("Enter")
    await expect(page.get_by_role("button", name="Pause Spring list")).to_be_focused()
    await expect(page.get_by_text("by the key p")).to_have_count(0)
    found = await client.read_outdial(outdial["id"])
    assert found is not None
    assert found["state"] == "ACTIVE"


async def test_keys_are_switched_off_and_on_again_and_stay_so(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    await page.get_by_role("button", name="Keys", exact=True).click()
    await dialog.get_by_label("Use these keys in this browser").uncheck()
    await page.keyboard.press("Escape")
    await page.reload()
    await expect(page.get_by_role("button", name="Pause Spring list")).to_be_visible()
    for key in "?p/":
        await page.keyboard.press(key)
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_label("Address")).not_to_be_focused()
    await page.get_by_role("button", name="Keys", exact=True).press("Enter")
    await dialog.get_by_label("Use these keys in this browser").check()
    await page.keyboard.press("Escape")
    found = await client.read_outdial(outdial["id"])
    assert found is not None
    assert found["state"] == "ACTIVE"
    await page.keyboard.press("p")
    await expect(page.get_by_role("button", name="Resume Spring list")).to_be_visible()


async def test_who_may_only_read_pauses_nothing_by_a_key(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, Client(client.url, client.customer_id, scopes=("read",)), outdial["id"])
    await page.keyboard.press("p")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    found = await client.read_outdial(outdial["id"])
    assert found is not None
    assert found["state"] == "ACTIVE"


async def test_on_paper_the_page_is_the_day_with_its_numbers(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 3)
    await finish(client, outdial["id"], "ANSWERED", "BUSY")
    page = await opened(seen, client, outdial["id"])
    await expect(page.locator("[data-day=attempts]")).to_have_text("2")
    await page.emulate_media(media="print")
    await expect(page.get_by_role("heading", name="Spring list", level=1)).to_be_visible()
    await expect(page.locator("[data-day=rate]")).to_have_text("50%")
    box = await page.get_by_role("table", name="Today by the hour").bounding_box()
    assert box is not None
    assert box["width"] > 100
    for hidden in (page.get_by_role("button"), page.locator("[data-target]"), page.get_by_role("banner")):
        assert await hidden.filter(visible=True).count() == 0
