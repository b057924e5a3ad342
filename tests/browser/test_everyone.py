"""For everyone: axe finds nothing that keeps people out, a phone scrolls one way, the first view is small."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.test_outdial import FILE, finish, people
from tests.support.browsing import PHONE, Sight, barriers, becomes, connection, sight
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess

FIRST_VIEW_BYTES_MAX = 300_000


@pytest.fixture(scope="session")
def file_to_import(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "people.csv"
    path.write_text(FILE)
    return path


async def busy_list(client: Client) -> str:
    """An outdial that has something of everything; its id."""
    outdial = await client.outdial(name="Spring list", detail="For everyone who asked to be called in spring")
    await people(client, outdial["id"], 30)
    await finish(client, outdial["id"], "ANSWERED", "BUSY", "DO_NOT_CALL", "NO_ANSWER", "ANSWERED")
    await client.good("claimTargets", outdialId=outdial["id"], limit=4)
    paused = await client.outdial(name="A list with a long name that somebody paused " * 3)
    await client.good("updateOutdial", id=paused["id"], state="PAUSED")
    return str(outdial["id"])


async def tour(seen: Sight, client: Client, outdial_id: str, file: Path):
    """Every view, by its name; when one is yielded, the page shows it."""
    page = seen.page
    await seen.open("/")
    await expect(page.get_by_label("Access token")).to_be_visible()
    yield "login"
    await seen.open("/", token=client.token)
    await page.reload()
    await expect(page.get_by_role("link", name="Spring list")).to_be_visible()
    yield "list"
    await page.get_by_role("button", name="New outdial").first.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    yield "new outdial"
    await seen.open(f"/?outdial={outdial_id}")
    await becomes(lambda: connection(page), "live")
    await expect(page.locator("[data-target]").first).to_be_visible()
    yield "outdial"
    await page.get_by_role("button", name="Import", exact=True).first.click()
    await page.get_by_label("File", exact=True).set_input_files(file)
    await page.get_by_role("button", name="Import file").click()
    await expect(page.get_by_role("table", name="Rejected rows")).to_be_visible()
    yield "import"
    for name in ("Add target", "Policy", "Reset", "Export", "All of these"):
        await seen.open(f"/?outdial={outdial_id}")
        await page.get_by_role("button", name=name).first.click()
        await expect(page.get_by_role("dialog", name=name)).to_be_visible()
        if name == "Policy":
            await page.get_by_label("Only at certain hours").check()
            await page.get_by_role("button", name="Add a cap").click()
            await page.get_by_role("button", name="Add a rule").click()
            await page.get_by_label("Stop by itself if calls fail").check()
        if name == "All of these":
            await page.get_by_label("Reset").check()
            await page.get_by_role("button", name="Count").click()
            await expect(page.get_by_text("would be reset")).to_be_visible()
        yield name.lower()
    target = (await client.run("query($id: ID!) { outdial(id: $id) { targets(first: 1, where: {statuses: [DONE]}) "
        "{ nodes { id } } } }", id=outdial_id))["outdial"]["targets"]["nodes"][0]["id"]  # fmt: skip
    await seen.open(f"/?outdial={outdial_id}&target={target}")
    await expect(page.get_by_role("table", name="Attempts")).to_be_visible()
    yield "target"


@pytest.mark.slow
async def test_axe_finds_nothing_serious_in_light_and_in_dark(
    browser: Browser, service: ServerProcess, client: Client, axe: str, file_to_import: Path
) -> None:
    outdial_id = await busy_list(client)
    found: dict[str, list[str]] = {}
    async with sight(browser, service.url, color_scheme="light") as seen:
        async for view in tour(seen, client, outdial_id, file_to_import):
            found[f"{view}, light"] = await barriers(seen.page, axe)
            await seen.page.emulate_media(color_scheme="dark")
            found[f"{view}, dark"] = await barriers(seen.page, axe, "color-contrast")  # nothing else is another
            await seen.page.emulate_media(color_scheme="light")
    assert len(found) == 22
    found = {view: barring for view, barring in found.items() if barring}
    assert found == {}


# What lies beyond the window's or a dialog's edge, or is cut there by something that cannot be scrolled to it.
CUT = """() => [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || element.closest(".unseen, .skip, .scroll, svg, thead, .ellipsis")) return false;
    const frame = element.parentElement.closest("dialog")?.getBoundingClientRect();
    const [left, right] = frame ? [frame.left, frame.right] : [0, innerWidth];
    return box.left < left - 1 || box.right > right + 1;
  }).map((element) => `${element.tagName} ${element.className} ${element.textContent.trim().slice(0, 40)}`)"""


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 640}], ids=["phone", "small phone"])
async def test_no_view_is_wider_than_a_phone_and_nothing_is_cut_off_on_it(
    browser: Browser, service: ServerProcess, client: Client, file_to_import: Path, viewport: dict[str, int]
) -> None:
    outdial_id = await busy_list(client)
    wider: dict[str, object] = {}
    async with sight(browser, service.url, viewport=viewport, has_touch=True) as seen:
        async for view in tour(seen, client, outdial_id, file_to_import):
            width = await seen.page.evaluate("document.documentElement.scrollWidth")
            cut = await seen.page.evaluate(CUT)
            if width > viewport["width"] or cut:
                wider[view] = (width, cut)
    assert wider == {}


@pytest.mark.parametrize("path", ["/", "/?outdial="])
async def test_the_first_view_is_small(seen: Sight, client: Client, path: str) -> None:
    """On a cold cache, headers and all; without GraphiQL, which nobody is sent who does not open it."""
    outdial_id = await busy_list(client)
    await seen.open(path + (outdial_id if path != "/" else ""), token=client.token)
    await becomes(lambda: connection(seen.page), "live")
    await expect(seen.page.get_by_text("Spring list").first).to_be_visible()
    sizes = {request.url: await request.sizes() for request in seen.requests if request.url.startswith("http")}
    assert len(sizes) >= 3
    total = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes.values())
    assert total < FIRST_VIEW_BYTES_MAX, {url: size["responseBodySize"] for url, size in sizes.items()}


async def test_the_keyboard_is_enough_to_create_and_open_an_outdial(seen: Sight, client: Client) -> None:
    await seen.open("/", token=client.token)
    page = seen.page
    await expect(page.get_by_role("button", name="New outdial").first).to_be_visible()
    await _tab_to(page, "New outdial")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="New outdial").first).to_be_focused()  # where one was
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    await page.keyboard.type("Autumn list")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Autumn list").first).to_be_visible()


async def _focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''"))


async def _tab_to(page: Page, words: str) -> None:
    for _ in range(30):
        await page.keyboard.press("Tab")
        if words in await _focused(page):
            return
    pytest.fail(f"Tab does not come to {words}")
