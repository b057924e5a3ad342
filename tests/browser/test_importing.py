"""Importing in the page: what it says at the end, the file of rejected rows, and an import whose dialog is closed."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Dialog, Download, Page, expect

from tests.support import importing
from tests.support.browsing import PHONE, Sight, barriers, becomes, counts
from tests.support.graphql_client import Client

SLOW_BYTES_A_SECOND = 40_000
MANY = 30_000
LIST = "Kunde;phone;name\n" + "".join(f"{row};nobody;=Person {row}\n" for row in range(5))


async def opened(seen: Sight, client: Client, name: str = "Spring list") -> str:
    outdial_id: str = (await client.outdial(name=name))["id"]
    await seen.open(f"/?outdial={outdial_id}", token=client.token)
    await expect(seen.page.get_by_role("heading", name=name)).to_be_visible()
    return outdial_id


async def choose(page: Page, path: Path) -> None:
    await page.get_by_role("button", name="Import", exact=True).first.click()
    await page.get_by_label("File", exact=True).set_input_files(path)


async def send(page: Page) -> None:
    await page.get_by_role("button", name="Import file").click()


async def saved(download: Download) -> bytes:
    return await asyncio.to_thread(Path(await download.path()).read_bytes)


async def test_a_file_of_which_nothing_goes_in_is_not_said_to_be_imported_and_is_mended(
    seen: Sight, client: Client, tmp_path: Path
) -> None:
    page, path = seen.page, tmp_path / "people.CSV"
    path.write_text(LIST, encoding="utf-8")
    outdial_id = await opened(seen, client)
    await choose(page, path)
    await page.get_by_text("Options").click()
    await page.get_by_label("Encoding").fill("windows-1252")
    await send(page)
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("status")).to_have_text("0 of 5 imported, 5 rejected.")
    async with page.expect_download() as download:
        await dialog.get_by_role("button", name="Download rejected rows (5)").click()
    assert (await download.value).suggested_filename == "people-rejects.csv"
    content = await saved(await download.value)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert rows[0] == ["Kunde", "phone", "name", "import_line", "import_reason"]
    assert [row[:4] for row in rows[1:]] == [[f"{row}", "nobody", f"'=Person {row}", f"{row + 2}"] for row in range(5)]
    mended = tmp_path / "people-rejects.csv"
    mended.write_bytes(content.replace(b";nobody;", b";+442079460;", 3).replace(b";+442079460;", b";+442079460123;"))
    # the same dialog, the same options: the file says itself how it is encoded
    await page.get_by_label("File", exact=True).set_input_files(mended)
    await send(page)
    await expect(dialog.get_by_role("status")).to_have_text("3 of 5 imported, 2 rejected.")
    await becomes(lambda: counts(page), {"total": 3, "idle": 3})
    assert [target["name"] for target in await importing.targets(client, outdial_id)] == [
        f"=Person {row}" for row in range(3)
    ]


@asynccontextmanager
async def slow(page: Page) -> AsyncIterator[None]:
    """An upload of some seconds."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    wanted = {"offline": False, "latency": 0, "downloadThroughput": -1}
    await session.send("Network.emulateNetworkConditions", {**wanted, "uploadThroughput": SLOW_BYTES_A_SECOND})
    yield
    await session.send("Network.emulateNetworkConditions", {**wanted, "uploadThroughput": -1})
    await session.detach()


@pytest.fixture
def long_list(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(importing.table(MANY))
    return path


async def test_an_import_whose_dialog_is_closed_is_seen_and_stopped_on_every_page(
    seen: Sight, client: Client, long_list: Path, axe: str
) -> None:
    page = seen.page
    outdial_id = await opened(seen, client)
    bar = page.get_by_role("region", name="Imports")
    dialog = page.get_by_role("dialog")
    async with slow(page):
        await choose(page, long_list)
        await send(page)
        await expect(dialog.get_by_role("progressbar", name="The file")).to_be_visible()
        await expect(dialog.get_by_role("button", name="Stop")).to_be_visible()
        await expect(bar).to_have_count(0)
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(bar).to_contain_text("people.csv into Spring list")
        await expect(bar.get_by_role("progressbar")).to_be_visible()
        await expect(bar.get_by_role("status")).to_contain_text("Importing…")

        # on other pages, too, and from there back into the dialog
        await page.get_by_role("link", name="Outdials").first.click()
        await expect(page.get_by_role("heading", name="Outdials")).to_be_visible()
        await bar.get_by_role("button", name="Show the import of people.csv into Spring list").click()
        await expect(dialog).to_contain_text("Import into Spring list")
        await expect(dialog.get_by_role("button", name="Stop")).to_be_visible()
        await dialog.get_by_role("button", name="Close").click()
        await expect(bar.get_by_role("progressbar")).to_be_visible()
        await expect(bar.get_by_role("button", name="Show the import of")).to_be_focused()
        assert await barriers(page, axe) == []
        await page.emulate_media(color_scheme="dark")
        assert await barriers(page, axe, "color-contrast") == []

        # leaving the page would cut it off: the browser asks first
        asked: list[str] = []

        async def stay(question: Dialog) -> None:
            asked.append(question.type)
            await question.dismiss()

        page.once("dialog", stay)
        await page.close(run_before_unload=True)

        async def types() -> list[str]:
            return asked

        await becomes(types, ["beforeunload"])

        await bar.get_by_role("button", name="Stop the import of people.csv into Spring list").click()
        await expect(bar.get_by_role("status")).to_contain_text("Import stopped.")
    await expect(bar.get_by_role("progressbar")).to_have_count(0)
    await expect(bar.get_by_role("button", name="Dismiss the import of")).to_be_focused()
    await page.set_viewport_size(PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    taken = len(await importing.targets(client, outdial_id))
    assert 0 <= taken < MANY
    await bar.get_by_role("button", name="Dismiss the import of people.csv into Spring list").click()
    await expect(bar).to_have_count(0)
    query = "query ($id: ID!) { outdial(id: $id) { imports { nodes { state stopReason } } } }"
    found = (await client.run(query, id=outdial_id))["outdial"]["imports"]["nodes"]
    assert found == [{"state": "CANCELED", "stopReason": "CANCELED"}]
    # nothing is asked any more
    await page.goto(f"{seen.url}/")


async def test_an_import_that_ends_unseen_says_what_came_of_it(seen: Sight, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(importing.table(3_000) + "x,y,nobody\n" * 2)
    page = seen.page
    await opened(seen, client)
    bar = page.get_by_role("region", name="Imports")
    async with slow(page):
        await choose(page, path)
        await send(page)
        await page.keyboard.press("Escape")
        await expect(bar.get_by_role("status")).to_have_text("3,000 of 3,002 imported, 2 rejected.")
    await becomes(lambda: counts(page), {"total": 3_000, "idle": 3_000})
    await bar.get_by_role("button", name="Show the import of").click()
    await expect(page.get_by_role("table", name="Rejected rows").locator("tbody tr")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(bar).to_have_count(0)


async def test_stopping_at_once_leaves_nothing_to_go_on(seen: Sight, client: Client, long_list: Path) -> None:
    page = seen.page
    outdial_id = await opened(seen, client)
    dialog = page.get_by_role("dialog")
    async with slow(page):
        await choose(page, long_list)
        await send(page)
        await dialog.get_by_role("button", name="Stop").click()
        await expect(dialog.get_by_role("progressbar")).to_have_count(0)
    await expect(dialog.get_by_role("button", name="Import file")).to_be_enabled()
    # whether or not the server had begun by then
    await expect(dialog).to_contain_text(re.compile(r"Import stopped\.|Stopped before the import began\."))

    async def states() -> set[str]:
        query = "query ($id: ID!) { outdial(id: $id) { imports { nodes { state } } } }"
        nodes = (await client.run(query, id=outdial_id))["outdial"]["imports"]["nodes"]
        return {node["state"] for node in nodes} & {"QUEUED", "RUNNING", "COMPLETED"}

    await becomes(states, set())
    assert len(await importing.targets(client, outdial_id)) < MANY


async def test_a_dropped_file_waits_for_the_import_that_goes_on(seen: Sight, client: Client, long_list: Path) -> None:
    page = seen.page
    await opened(seen, client)
    async with slow(page):
        await choose(page, long_list)
        await send(page)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("region", name="Imports")).to_be_visible()
        await page.evaluate(
            """() => {
                const data = new DataTransfer();
                data.items.add(new File(["phone\\n"], "more.csv"));
                window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
            }"""
        )
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("alert")).to_contain_text(
            "more.csv is not imported while another import goes on."
        )
        await expect(dialog).to_contain_text("people.csv")
        await dialog.get_by_role("button", name="Stop").click()
        await expect(dialog.get_by_role("progressbar")).to_have_count(0)
