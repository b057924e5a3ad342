"""Double clicks, lost answers and slow networks: nothing happens twice, and nothing that was not meant."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.test_outdial import finish, names, opened, people
from tests.support.browsing import Sight, becomes
from tests.support.graphql_client import Client

SLOW_SECONDS = 0.5
MORE_THAN_A_PAGE = 60


async def slow_down(page: Page) -> None:
    async def late(route: Route) -> None:
        await asyncio.sleep(SLOW_SECONDS)
        await route.continue_()

    await page.route("**/graphql", late)


async def lose_the_first_answer(page: Page, operation: str) -> None:
    """The server carries it out, and the reader does not learn of it."""
    lost = False

    async def lose(route: Route) -> None:
        nonlocal lost
        if lost or operation not in (route.request.post_data or ""):
            await route.continue_()
            return
        lost = True
        await route.fetch()
        await route.abort()

    await page.route("**/graphql", lose)


async def shown(page: Page) -> int:
    return await page.locator("[data-outdial]").count()


async def test_a_target_whose_answer_was_lost_is_added_once(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    await lose_the_first_answer(page, "mutation CreateTarget")
    await page.get_by_role("button", name="Add target").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("Ana Silva")
    await dialog.get_by_label("Address").fill("+1 212 555 0142")
    add = dialog.get_by_role("button", name="Add", exact=True)
    await add.click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Cannot reach the server")
    await add.click()
    await expect(dialog).to_have_count(0)
    found = await client.read_outdial(outdial["id"])
    assert found is not None
    assert found["progress"]["total"] == 1
    # the same person once more, on purpose
    await page.get_by_role("button", name="Add target").first.click()
    await dialog.get_by_label("Name", exact=True).fill("Ana Silva")
    await dialog.get_by_label("Address").fill("+1 212 555 0142")
    await add.click()
    await expect(page.locator("[data-target]")).to_have_count(2)


async def test_an_outdial_whose_answer_was_lost_is_created_once(seen: Sight, client: Client) -> None:
    page = seen.page
    await seen.open("/", token=client.token)
    await lose_the_first_answer(page, "mutation CreateOutdial")
    await page.get_by_role("button", name="New outdial").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Autumn list")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("Cannot reach the server")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Autumn list")).to_be_visible()
    assert (await client.run("{ outdials { totalCount } }"))["outdials"]["totalCount"] == 1


async def test_a_double_click_on_delete_deletes_no_target(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana Silva")
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    dialog = page.get_by_role("dialog", name="Ana Silva")
    for status in ("IDLE", "DONE"):  # the buttons differ
        await dialog.get_by_role("button", name="Delete", exact=True).dblclick()
        await expect(dialog.get_by_role("button", name="Delete", exact=True)).to_be_focused()
        found = await client.read_target(target["id"])
        assert found is not None
        assert (found["tmDelete"], found["status"]) == (None, status)
        if status == "IDLE":
            await dialog.get_by_role("button", name="Cancel target").click()
            await expect(dialog.get_by_role("button", name="Cancel target")).to_have_count(0)


async def test_what_is_done_to_a_target_leaves_the_keyboard_in_its_dialog(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana Silva")
    page = await opened(seen, client, outdial["id"], f"&target={target['id']}")
    dialog = page.get_by_role("dialog", name="Ana Silva")
    for name in ("Cancel target", "Delete", "Yes, delete target"):
        button = dialog.get_by_role("button", name=name, exact=True)
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(button).to_have_count(0)
        await expect(page.locator("dialog :focus")).to_have_count(1)


async def test_the_list_of_outdials_keeps_what_show_more_has_shown(seen: Sight, client: Client) -> None:
    first = await client.outdial(name="The first")
    for index in range(MORE_THAN_A_PAGE):
        await client.outdial(name=f"List {index}")
    page = seen.page
    await seen.open("/", token=client.token)
    more = page.get_by_role("button", name="Show more")
    await expect(more).to_be_visible()
    await slow_down(page)
    await more.dblclick()
    await becomes(lambda: shown(page), MORE_THAN_A_PAGE + 1)
    await client.good("updateOutdial", id=first["id"], name="Renamed")
    await expect(page.get_by_role("link", name="Renamed")).to_be_visible()
    assert await shown(page) == MORE_THAN_A_PAGE + 1


async def test_a_page_whose_first_reading_failed_is_live_all_the_same(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await client.target(outdial["id"], name="Ana Silva")
    failed = asyncio.Event()

    async def fail(route: Route) -> None:
        if failed.is_set() or "query Targets" not in (route.request.post_data or ""):
            await route.continue_()
            return
        failed.set()
        await route.abort()

    await seen.page.route("**/graphql", fail)
    page = await opened(seen, client, outdial["id"])
    await becomes(lambda: names(page), {"Ana Silva"})
    assert failed.is_set()
    await client.target(outdial["id"], name="Chidi Okafor")
    await becomes(lambda: names(page), {"Ana Silva", "Chidi Okafor"})


async def test_a_reset_takes_what_was_counted_and_a_second_one_begins_anew(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await people(client, outdial["id"], 3)
    await finish(client, outdial["id"], "ANSWERED", "DO_NOT_CALL", "DO_NOT_CALL")
    listed = (await client.run("{ suppressions { nodes { id } } }"))["suppressions"]["nodes"]
    await client.good("removeSuppressions", ids=[one["id"] for one in listed])  # else a reset leaves them out
    page = await opened(seen, client, outdial["id"])
    await page.get_by_role("button", name="Reset").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("checkbox", name="Exhausted").uncheck()
    await dialog.get_by_role("checkbox", name="Answered").check()
    await slow_down(page)
    await dialog.get_by_role("button", name="Count").click()
    await expect(dialog.get_by_role("checkbox", name="Do not call")).to_be_disabled()
    await expect(dialog.get_by_role("status")).to_have_text("1 target would be reset.")
    await dialog.get_by_role("button", name="Reset targets").click()
    await expect(dialog.get_by_role("checkbox", name="Do not call")).to_be_disabled()
    await expect(dialog.get_by_role("status")).to_have_text("1 target was reset.")
    await dialog.get_by_role("checkbox", name="Do not call").check()
    await expect(dialog.get_by_role("status")).to_have_text("")
    await dialog.get_by_role("button", name="Count").click()
    await expect(dialog.get_by_role("status")).to_have_text("2 targets would be reset.")
    await dialog.get_by_role("button", name="Reset targets").click()
    await expect(dialog.get_by_role("status")).to_have_text("2 targets were reset.")


async def test_a_priority_that_is_left_out_is_asked_for_in_words(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    page = await opened(seen, client, outdial["id"])
    await page.get_by_role("button", name="Add target").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Address").fill("+1 212 555 0142")
    priority = dialog.get_by_label("Priority")
    await priority.fill("")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    assert await priority.evaluate("field => field.validationMessage") == "Fill in this field."
    await expect(dialog.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("text", ["   ", "\t", "Bearer "])
async def test_a_token_of_nothing_is_refused_in_words(seen: Sight, text: str) -> None:
    await seen.open("/")
    await seen.page.get_by_label("Access token").fill(text)
    await seen.page.get_by_role("button", name="Log in").click()
    await expect(seen.page.get_by_role("alert")).to_contain_text("token")


async def test_the_title_names_what_is_shown(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    await slow_down(seen.page)
    await seen.open(f"/?outdial={outdial['id']}", token=client.token)
    await expect(seen.page).to_have_title("Loading… \u2013 Outdial")
    await expect(seen.page).to_have_title("Spring list \u2013 Outdial")
    await client.good("deleteOutdial", outdial["id"])
    await expect(seen.page).to_have_title("No such outdial \u2013 Outdial")
