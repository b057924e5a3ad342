"""GraphiQL from our own origin: queries, subscriptions over WebSocket, the token in Headers and nowhere else."""

import json
import re
from contextlib import suppress

from playwright.async_api import Page, expect

from tests.support.browsing import Sight, until
from tests.support.graphql_client import Client

WRITES_MAX = 5
WRITE_MILLISECONDS_MAX = 3_000


async def write(page: Page, name: str, document: str) -> None:
    """Put one operation into the editor in place of what is there, and see that GraphiQL has read it.

    The editor shows before it takes keys, and puts its first text in late: what is typed before that is lost. Until
    GraphiQL has read the new text, a click on "Execute" asks which of the old operations to run.
    """
    editor = page.locator(".graphiql-query-editor .view-lines, .graphiql-editor .view-lines").first
    for _ in range(WRITES_MAX):
        await editor.click()
        await page.keyboard.press("ControlOrMeta+A")
        await page.keyboard.press("Delete")
        await page.keyboard.insert_text(document)
        with suppress(AssertionError):
            await expect(editor).to_have_text(_spaced(document), timeout=WRITE_MILLISECONDS_MAX)
            await expect(page.get_by_role("tab").get_by_text(name, exact=True)).to_be_visible()
            return
    raise AssertionError(f"the editor does not take the document; it shows: {await editor.inner_text()}")


def _spaced(document: str) -> re.Pattern[str]:
    """The document as Monaco draws it, with spaces of its own kind."""
    return re.compile("".join(r"\s*" if sign.isspace() else re.escape(sign) for sign in document))


async def shows(page: Page, words: str) -> None:
    # asked again and again from outside: the page's own policy lets nothing that waits in it evaluate text
    async def is_shown() -> bool:
        found: bool = await page.evaluate(
            """(words) => [...document.querySelectorAll(".result-window, .graphiql-response")]
                 .some((element) => element.innerText.replace(/\\s/g, "").includes(words))""",
            words,
        )
        return found

    await until(is_shown)


async def test_it_runs_a_query_and_a_subscription_with_the_token_of_the_headers_tab(
    seen: Sight, client: Client
) -> None:
    outdial = await client.outdial(name="Spring")
    await seen.open("/graphql", token=client.token)
    page = seen.page
    run = page.get_by_role("button", name="Execute query").or_(page.locator(".graphiql-execute-button")).first
    await expect(run).to_be_visible()
    assert page.url == f"{seen.url}/graphql"

    await write(page, "Mine", "query Mine { outdials { nodes { name state } } }")
    await run.click()
    await shows(page, '"name":"Spring","state":"ACTIVE"')

    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await write(
        page,
        "Watch",
        f'subscription Watch {{ targetEvents(outdialId: "{outdial["id"]}") {{ caughtUp events {{ type }} }} }}',
    )
    await run.click()
    await shows(page, '"events":[]')
    await client.target(outdial["id"])
    await shows(page, '"type":"CREATED"')
    assert sockets == [client.url.replace("http", "ws") + "/graphql"] or sockets == []  # or it was open before

    kept = json.dumps(await page.evaluate("[{...localStorage}, document.cookie]"))
    assert client.token not in kept


async def test_without_a_token_it_says_where_to_put_one(seen: Sight) -> None:
    await seen.open("/graphql")
    page = seen.page
    await expect(page.locator(".graphiql-container")).to_be_visible()
    await expect(page.locator("body")).to_contain_text("Headers")
    assert "outdial token" in "".join((await page.locator(".view-lines").first.inner_text()).replace("\xa0", " "))
