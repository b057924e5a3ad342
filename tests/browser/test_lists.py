"""The list of outdials: logging in, creating, renaming, pausing, deleting."""

import re
from datetime import timedelta

from playwright.async_api import Page, expect

from app import clock
from app.hours import Weekday
from tests.support.browsing import Sight, becomes, connection
from tests.support.factories import phone_number
from tests.support.graphql_client import Client


async def test_a_link_logs_in_and_leaves_no_token_in_sight(seen: Sight, client: Client) -> None:
    await client.outdial(name="Spring list")
    await seen.open("/", token=client.token)
    page = seen.page
    await expect(page.get_by_role("link", name="Spring list")).to_be_visible()
    assert page.url == f"{client.url}/"
    kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert kept == '[{},{},""]'
    (cookie,) = await page.context.cookies()
    assert (cookie["value"], cookie["httpOnly"], cookie["sameSite"]) == (client.token, True, "Strict")
    assert client.token not in await page.content()
    assert [request.url for request in seen.requests if client.token in request.url] == []
    await page.go_back()  # to the empty page it came from: the link is in no history
    assert page.url == "about:blank"


async def test_a_token_that_is_pasted_logs_in_and_logging_out_forgets_it(seen: Sight, client: Client) -> None:
    await client.outdial(name="Spring list")
    await seen.open("/")
    page = seen.page
    await page.get_by_label("Access token").fill(client.token)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Outdials", level=1)).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Access token")).to_be_visible()
    assert await page.context.cookies() == []
    assert client.token not in await page.content()
    assert "Spring list" not in await page.content()


async def test_a_token_that_is_none_is_refused_in_words(seen: Sight) -> None:
    await seen.open("/", token="not.a.token")
    page = seen.page
    await expect(page.get_by_label("Access token")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("token")


async def test_an_empty_account_says_what_to_do_and_an_outdial_is_created(seen: Sight, client: Client) -> None:
    await seen.open("/", token=client.token)
    page = seen.page
    await expect(page.get_by_role("heading", name="Outdials", level=1)).to_be_visible()
    await page.get_by_role("button", name="New outdial").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Autumn list")
    await dialog.get_by_label("Detail").fill("for the harvest")
    await dialog.get_by_role("button", name="Create").click()
    await expect(page.get_by_text("Autumn list").first).to_be_visible()
    (made,) = (await client.run("{ outdials { nodes { name detail state } } }"))["outdials"]["nodes"]
    assert made == {"name": "Autumn list", "detail": "for the harvest", "state": "ACTIVE"}


async def test_an_outdial_is_renamed_paused_resumed_and_deleted_after_typing_its_name(
    seen: Sight, client: Client
) -> None:
    outdial = await client.outdial(name="Spring list")
    await seen.open("/", token=client.token)
    page = seen.page

    async def stored() -> tuple[str, str] | None:
        found = await client.read_outdial(outdial["id"])
        return (found["name"], found["state"]) if found else None

    await page.get_by_role("button", name="Pause Spring list").click()
    await expect(page.get_by_role("button", name="Resume Spring list")).to_be_visible()
    assert await stored() == ("Spring list", "PAUSED")
    await page.get_by_role("button", name="Resume Spring list").click()
    await expect(page.get_by_role("button", name="Pause Spring list")).to_be_visible()
    assert await stored() == ("Spring list", "ACTIVE")

    await page.get_by_role("button", name="Edit Spring list").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Summer list")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("link", name="Summer list")).to_be_visible()
    assert await stored() == ("Summer list", "ACTIVE")

    await page.get_by_role("button", name="Delete Summer list").click()
    delete = page.get_by_role("button", name="Delete outdial")
    await expect(delete).to_be_disabled()
    await page.get_by_label("Type the name to delete it").fill("Summer")
    await expect(delete).to_be_disabled()
    await page.get_by_label("Type the name to delete it").fill("Summer list")
    await delete.click()
    await expect(page.get_by_role("link", name="Summer list")).to_have_count(0)
    assert await stored() is None


async def test_what_others_do_shows_by_itself_over_one_socket(seen: Sight, client: Client) -> None:
    """Created, changed, deleted and called by somebody else: nothing is asked again but by the socket."""
    first = await client.outdial(name="First")
    await seen.open("/", token=client.token)
    page = seen.page
    await expect(page.get_by_role("link", name="First")).to_be_visible()
    await becomes(lambda: connection(page), "live")
    second = await client.outdial(name="Second")
    await expect(page.get_by_role("link", name="Second")).to_be_visible()
    await client.good("updateOutdial", id=second["id"], name="Another")
    await expect(page.get_by_role("link", name="Another")).to_be_visible()
    for _ in range(3):
        await client.target(second["id"])
    await expect(_row(page, "Another")).to_contain_text("3")
    await client.good("deleteOutdial", first["id"])
    await expect(page.get_by_role("link", name="First")).to_have_count(0)
    assert len(seen.sockets) == 1


def _row(page: Page, name: str):
    return page.locator("[data-outdial]").filter(has=page.get_by_role("link", name=name))


async def test_a_list_that_sleeps_says_until_when(seen: Sight, client: Client) -> None:
    """Outside of its calling hours, and not before somebody is on it."""
    day = list(Weekday)[(clock.now() + timedelta(days=3)).weekday()]
    hours = {"timeZone": "UTC", "windows": [{"weekday": day.value, "from": "09:00", "to": "10:00"}]}
    outdial = await client.outdial(name="Spring list", dialPolicy={"callingHours": hours})
    await client.outdial(name="Nobody", dialPolicy={"callingHours": hours})
    awake = await client.outdial(name="Autumn list")
    for listed in (outdial, awake):
        await client.good(
            "createTargets", outdialId=listed["id"], targets=[{"destination0": {"target": phone_number()}}]
        )
    await seen.open("/", token=client.token)
    row = seen.page.locator(f'[data-outdial="{outdial["id"]}"]')
    await expect(row.locator("[data-field=sleeps]")).to_have_text(
        re.compile(r"^sleeps until \w{3},? \d+ \w+, \d\d:\d\d$")
    )
    await expect(seen.page.locator("[data-field=sleeps]")).to_have_count(1)


async def test_a_list_that_never_opens_says_that_no_target_can_be_called(seen: Sight, client: Client) -> None:
    hours = {"timeZone": None, "windows": []}
    outdial = await client.outdial(name="Never", dialPolicy={"callingHours": hours})
    await client.outdial(name="Nobody", dialPolicy={"callingHours": hours})
    await client.good("createTargets", outdialId=outdial["id"], targets=[{"destination0": {"target": phone_number()}}])
    await seen.open("/", token=client.token)
    row = seen.page.locator(f'[data-outdial="{outdial["id"]}"]')
    await expect(row.locator("[data-field=sleeps]")).to_have_text("no target can be called: each says why it waits")
    await expect(seen.page.locator("[data-field=sleeps]")).to_have_count(1)
