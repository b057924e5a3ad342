"""A target's view: it is edited, called again now, and never called again."""

from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.test_outdial import ANA, opened
from tests.conftest import Kind
from tests.support.browsing import PHONE, Sight, barriers, becomes
from tests.support.graphql_client import Client

both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])
READ = """query($id: ID!) { target(id: $id) { name detail data priority status doneReason nextTryAt
    destinations { index destination { type target targetName } } } }"""


async def stored(client: Client, target_id: str) -> Any:
    return (await client.run(READ, id=target_id))["target"]


async def shown(seen: Sight, client: Client, outdial_id: str, target_id: str) -> tuple[Page, Locator]:
    page = await opened(seen, client, outdial_id, f"&target={target_id}")
    return page, page.get_by_role("dialog")


async def called(client: Client, outdial_id: str, disposition: str) -> None:
    claimed = await client.good("claimTargets", outdialId=outdial_id, limit=1)
    result = {
        "attemptId": claimed["attempts"][0]["id"],
        "disposition": disposition,
        "ringSeconds": 12,
        "talkSeconds": 65,
    }
    await client.good("completeAttempts", results=[result])


@both
async def test_a_target_is_edited_and_only_what_was_changed_is_sent(
    seen: Sight, client: Client, axe: str, kind: Kind
) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(
        outdial["id"], name="Ana", data="kept", destination0={"target": ANA, "targetName": "Ana Silva"}
    )
    page, dialog = await shown(seen, client, outdial["id"], target["id"])
    await dialog.get_by_role("button", name="Edit target").click()
    assert await barriers(page, axe) == []
    await dialog.get_by_label("Name", exact=True).fill("Ana Silva")
    await dialog.get_by_label("Priority").fill("7")
    await dialog.get_by_role("button", name="Add another address").click()
    await dialog.get_by_label("Address 2").fill("call me maybe")
    await dialog.get_by_role("button", name="Save target").click()
    await expect(dialog.get_by_role("form", name="Edit target")).to_contain_text("The number may contain digits")
    await dialog.get_by_label("Address 2").fill("+1 212 555 0143")
    await client.good("updateTarget", id=target["id"], detail="by somebody else")
    await dialog.get_by_role("button", name="Save target").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Read it again")  # what somebody else did is not lost
    assert (await stored(client, target["id"]))["name"] == "Ana"
    await dialog.get_by_role("button", name="Keep it as it is").click()
    await expect(dialog).to_contain_text("by somebody else")

    await dialog.get_by_role("button", name="Edit target").click()
    await dialog.get_by_label("Name", exact=True).fill("Ana Silva")
    await dialog.get_by_role("button", name="Add another address").click()
    await dialog.get_by_label("Address 2").fill("+1 212 555 0143")
    await dialog.get_by_role("button", name="Save target").click()
    await expect(dialog.get_by_role("form", name="Edit target")).to_have_count(0)
    after = await stored(client, target["id"])
    assert (after["name"], after["detail"], after["data"]) == ("Ana Silva", "by somebody else", "kept")
    first, second = (one["destination"] for one in after["destinations"])
    assert first == {"type": "TEL", "target": "+12125550142", "targetName": "Ana Silva"}
    assert second["target"] == "+12125550143"

    await dialog.get_by_role("button", name="Edit target").click()
    await dialog.get_by_label("Address 2").fill("")
    await dialog.get_by_role("button", name="Save target").click()
    await expect(dialog.get_by_role("form", name="Edit target")).to_have_count(0)
    assert len((await stored(client, target["id"]))["destinations"]) == 1


@both
async def test_a_target_is_called_again_now_if_it_waits_and_if_it_is_done(
    seen: Sight, client: Client, kind: Kind
) -> None:
    outdial = await client.outdial(name="Spring list", dialPolicy={"retryIntervalSeconds": 3_600})
    target = await client.target(outdial["id"], name="Ana", destination0={"target": ANA})
    await called(client, outdial["id"], "BUSY")
    _, dialog = await shown(seen, client, outdial["id"], target["id"])
    await expect(dialog.locator("[data-field=lengths]")).to_have_text("rang 12 s, talked 65 s")
    await dialog.get_by_role("button", name="Call again now").click()
    await expect(dialog.get_by_role("status")).to_have_text("It is called as soon as possible.")
    await called(client, outdial["id"], "ANSWERED")  # it could be claimed at once
    await expect(dialog.locator("[data-field=status]")).to_have_text("Answered")
    await dialog.get_by_role("button", name="Call again now").click()
    await expect(dialog.locator("[data-field=status]")).to_have_text("Waiting")
    assert (await stored(client, target["id"]))["status"] == "IDLE"


@both
@pytest.mark.parametrize("status", ["IDLE", "PROGRESSING", "DONE"])
async def test_a_target_is_never_called_again_once_that_is_confirmed(
    seen: Sight, client: Client, axe: str, kind: Kind, status: str
) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(
        outdial["id"], name="Ana", destination0={"target": ANA}, destination1={"target": "+1 212 555 0143"}
    )
    if status == "PROGRESSING":
        await client.good("claimTargets", outdialId=outdial["id"], limit=1)
    if status == "DONE":
        await called(client, outdial["id"], "ANSWERED")
    page, dialog = await shown(seen, client, outdial["id"], target["id"])
    await dialog.get_by_role("button", name="Never call again").click()
    await expect(dialog.get_by_role("button", name="Keep calling")).to_be_focused()
    await expect(dialog.get_by_role("group", name="Never call again")).to_contain_text("+12125550142, +12125550143")
    assert await barriers(page, axe) == []
    await page.set_viewport_size(PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await dialog.get_by_role("button", name="Yes, never call again").click()
    said = "It is never called again. On the do-not-call list now: +12125550142, +12125550143."
    await expect(dialog.get_by_role("status")).to_have_text(said)

    async def listed() -> set[str]:
        found = await client.run("{ suppressions { nodes { target } } }")
        return {one["target"] for one in found["suppressions"]["nodes"]}

    await becomes(listed, {"+12125550142", "+12125550143"})
    assert (await stored(client, target["id"]))["status"] == "DONE"
    assert (await client.good("claimTargets", outdialId=outdial["id"], limit=1))["attempts"] == []


async def test_who_changes_the_mind_keeps_the_target(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Spring list")
    target = await client.target(outdial["id"], name="Ana")
    _, dialog = await shown(seen, client, outdial["id"], target["id"])
    await dialog.get_by_role("button", name="Never call again").click()
    await dialog.get_by_role("button", name="Keep calling").click()
    await expect(dialog.get_by_role("button", name="Never call again")).to_be_visible()
    assert (await stored(client, target["id"]))["status"] == "IDLE"
    assert (await client.run("{ suppressions { totalCount } }"))["suppressions"]["totalCount"] == 0
