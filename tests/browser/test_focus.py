"""The keyboard: each dialog gives the focus back, fields act as one types, and nothing that is typed is lost."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.test_outdial import finish, opened, people
from tests.support.browsing import Sight, becomes, connection, rows, until
from tests.support.graphql_client import Client

DIALOGS = ("Add target", "Import", "Export", "Policy", "Reset", "Edit", "Delete")


async def open_by_keyboard(page: Page, opener: Locator) -> Locator:
    """The dialog that it opens, which has the focus."""
    await expect(opener).to_be_visible()
    await opener.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()

    async def has_focus() -> bool:
        return bool(await page.evaluate("document.activeElement.closest('dialog') !== null"))

    await until(has_focus)
    return dialog


@pytest.mark.parametrize("way", ["Escape", "the cross"])
async def test_every_dialog_gives_the_focus_back_to_what_opened_it(seen: Sight, client: Client, way: str) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    for name in DIALOGS:
        opener = page.get_by_role("button", name=name).first
        dialog = await open_by_keyboard(page, opener)
        if way == "Escape":
            await page.keyboard.press("Escape")
        else:
            await dialog.get_by_role("button", name="Close").focus()
            await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(opener).to_be_focused()


async def test_every_dialog_that_has_done_its_work_gives_the_focus_back(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    for name, field, text, button in (
        ("Add target", "Address", "+1 212 555 0142", "Add"),
        ("Policy", "Seconds until the next attempt", "30", "Save"),
        ("Edit", "Name", "Summer list", "Save"),
        ("Export", "Format", None, "Download"),
    ):
        opener = page.get_by_role("button", name=name).first
        dialog = await open_by_keyboard(page, opener)
        if text is not None:
            await dialog.get_by_label(field, exact=True).fill(text)
        await dialog.get_by_role("button", name=button, exact=True).focus()
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("button", name=name).first).to_be_focused()
    dialog = await open_by_keyboard(page, page.get_by_role("button", name="Delete").first)
    await dialog.get_by_label("Type the name to delete it").fill("Summer list")
    await expect(dialog.get_by_role("button", name="Delete outdial")).to_be_enabled()  # the new name has arrived
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Outdials", level=1)).to_be_visible()
    await expect(page.get_by_role("main")).to_be_focused()  # the button is gone with its page


@pytest.mark.parametrize("way", ["Escape", "back", "the cross"])
async def test_closing_a_target_returns_to_its_row(seen: Sight, client: Client, way: str) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 30)
    page = await opened(seen, client, outdial["id"])
    row = page.get_by_role("link", name="Person 25", exact=True)
    await expect(row).to_be_visible()
    await row.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Person 25")
    await expect(dialog).to_be_visible()
    await expect(dialog.get_by_role("table", name="Destinations")).to_be_visible()
    await client.good("claimTargets", outdialId=outdial["id"], limit=30)  # each row is another one meanwhile
    await expect(dialog.locator("[data-value=PROGRESSING]")).to_be_visible()
    if way == "Escape":
        await page.keyboard.press("Escape")
    elif way == "back":
        await page.go_back()
    else:
        await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_have_count(0)
    await expect(row).to_be_focused()


async def test_a_target_that_was_opened_by_its_address_returns_to_its_row_too(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana Silva")
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    await expect(page.get_by_role("dialog", name="Ana Silva")).to_be_visible()
    await becomes(lambda: _count(page), 1)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Ana Silva")).to_be_focused()


async def test_a_target_whose_row_has_left_the_list_leaves_the_focus_on_the_page(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await client.target(outdial["id"], name="Ana Silva")
    page = await opened(seen, client, outdial["id"], "&status=IDLE")
    await page.get_by_role("link", name="Ana Silva").click()
    dialog = page.get_by_role("dialog", name="Ana Silva")
    await expect(dialog.get_by_role("table", name="Destinations")).to_be_visible()
    await finish(client, outdial["id"], "ANSWERED")
    await becomes(lambda: _count(page), 0)
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("main")).to_be_focused()


async def _count(page: Page) -> int:
    return len(await rows(page))


async def test_keys_that_are_typed_while_a_dialog_opens_go_into_it(seen: Sight, client: Client) -> None:
    """As fast as keys come, on a machine that is slow: none is lost, and none goes elsewhere."""
    page = seen.page
    await seen.open("/", token=client.token)
    opener = page.get_by_role("button", name="New outdial").first
    await expect(opener).to_be_visible()
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    for _ in range(5):
        await opener.focus()
        await page.keyboard.press("Enter")
        await page.keyboard.type("Autumn list")
        await expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value("Autumn list")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.slow
async def test_a_dialog_that_is_opened_right_after_another_stays_open(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    for name in ("Add target", "Policy", "Add target", "Import", "Reset"):
        opener = page.get_by_role("button", name=name).first
        for key in ("Escape", "Enter"):
            await opener.focus()
            await page.keyboard.press("Enter")
            if key == "Enter":
                await page.get_by_role("dialog").get_by_role("button", name="Close").focus()
            # All in one go, as from a keyboard's buffer: it is closed, and opened again by the button with the focus.
            await page.keyboard.press(key)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog", name=name)).to_be_visible()
            await page.wait_for_timeout(100)
            await expect(page.get_by_role("dialog", name=name)).to_be_visible()
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_file_that_is_not_chosen_closes_no_dialog(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    await page.get_by_role("button", name="Import", exact=True).first.click()
    field = page.get_by_label("File", exact=True)
    await field.dispatch_event("cancel", {"bubbles": True})
    await expect(page.get_by_role("dialog", name="Import")).to_be_visible()


# ---------------------------------------------------------------- searching


async def test_the_list_is_searched_as_one_types_and_the_address_keeps_it(seen: Sight, client: Client) -> None:
    for name in ("Spring list", "Summer list", "Winter"):
        await client.outdial(name=name)
    page = seen.page
    await seen.open("/", token=client.token)
    await expect(page.get_by_role("link", name="Winter")).to_be_visible()
    await becomes(lambda: connection(page), "live")
    box = page.get_by_role("searchbox", name="Name contains")
    await box.press_sequentially("list", delay=40)
    await expect(page.get_by_role("link", name="Winter")).to_have_count(0)
    await expect(page.get_by_role("link", name="Spring list")).to_be_visible()
    await expect(box).to_be_focused()
    await page.keyboard.press("Backspace")
    await page.keyboard.type("t S")
    await page.wait_for_timeout(800)
    await page.keyboard.type("umm")
    await expect(box).to_have_value("list Summ")  # the space in the middle of the typing too
    await box.fill("Sum")
    await expect(page.get_by_role("link", name="Summer list")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("link", name="Summer list")).to_be_visible()
    await expect(box).to_have_value("Sum")
    await box.fill("")
    await expect(page.get_by_role("link", name="Winter")).to_be_visible()
    assert page.url == f"{seen.url}/"


async def test_a_search_goes_as_soon_as_enter_is_pressed_and_not_with_every_key(seen: Sight, client: Client) -> None:
    await client.outdial(name="Spring list")
    page = seen.page
    await seen.open("/", token=client.token)
    await expect(page.get_by_role("link", name="Spring list")).to_be_visible()
    await page.wait_for_load_state("networkidle")
    asked = len(seen.requests)
    await page.get_by_role("searchbox", name="Name contains").press_sequentially("Spring lis", delay=10)
    assert len(seen.requests) == asked
    await page.keyboard.press("Enter")
    assert "name=Spring+lis" in page.url


async def test_two_filters_that_are_typed_at_once_both_count(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 3)
    page = await opened(seen, client, outdial["id"])
    form = page.get_by_role("form", name="Filter")
    await form.get_by_label("Address").fill("+1 212 555 0142")
    await form.get_by_label("Key").fill("person-1")
    await page.wait_for_url(lambda url: "address=" in url and "key=person-1" in url)
    await expect(page.get_by_text("No targets match the filter.")).to_be_visible()
    await form.get_by_label("Key").fill("person-2")
    await form.get_by_role("button", name="Clear filter").click()  # before it is searched for
    await becomes(lambda: _count(page), 3)
    await page.wait_for_timeout(600)
    await expect(form.get_by_label("Key")).to_have_value("")
    assert "key=" not in page.url
