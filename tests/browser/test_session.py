"""Who is logged in: by links into open tabs, in several tabs, for several customers, and until a logout."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from tests.support.browsing import Sight, becomes, connection, sight, until
from tests.support.graphql_client import Client
from tests.support.server import ServerProcess, token

LEFT_OPEN = "window.opened = 'once'"


async def paste(page: Page, text: str) -> None:
    """As a link in the address bar of an open tab: nothing but the part after # is another one."""
    await page.evaluate("(text) => { location.hash = `token=${text}`; }", text)


async def shows(page: Page, name: str) -> None:
    await expect(page.get_by_role("link", name=name)).to_be_visible()


async def no_token_is_left(page: Page, *texts: str) -> None:
    """Not in the address, the history, the page, or anything that a script can read."""

    async def hash_() -> str:
        return str(await page.evaluate("location.hash"))

    await becomes(hash_, "")
    kept = await page.evaluate(
        "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, history.state, location.href])"
    )
    for text in texts:
        assert text not in kept
        assert text not in await page.content()


@pytest_asyncio.fixture(loop_scope="session")
async def lists(service: ServerProcess, client: Client) -> AsyncIterator[tuple[Client, Client]]:
    """Two customers, each with a list."""
    async with Client(service.url, str(uuid4())) as other:
        await client.outdial(name="Mine")
        await other.outdial(name="Theirs")
        yield client, other


# ---------------------------------------------------------------- links


async def test_links_pasted_into_an_open_tab_log_in_in_any_order(seen: Sight, lists: tuple[Client, Client]) -> None:
    mine, theirs = lists
    page = seen.page
    await seen.open("/")
    await expect(page.get_by_label("Access token")).to_be_visible()
    await page.evaluate(LEFT_OPEN)
    await paste(page, mine.token)
    await shows(page, "Mine")
    await no_token_is_left(page, mine.token)

    await paste(page, mine.token)  # the same once more
    await no_token_is_left(page, mine.token)
    await shows(page, "Mine")

    await paste(page, theirs.token)
    await shows(page, "Theirs")
    await expect(page.get_by_role("link", name="Mine")).to_have_count(0)
    await becomes(lambda: connection(page), "live")
    await page.get_by_role("button", name="Pause Theirs").click()
    await expect(page.get_by_role("button", name="Resume Theirs")).to_be_visible()

    renewed = token(mine.customer_id, lifetime=timedelta(hours=2))
    await paste(page, renewed)
    await shows(page, "Mine")
    await no_token_is_left(page, mine.token, theirs.token, renewed)
    assert await page.evaluate("window.opened") == "once"
    await page.go_back()  # through the links that were pasted: none has a token
    await no_token_is_left(page, mine.token, theirs.token, renewed)


EXPIRED = token(str(uuid4()), lifetime=timedelta(seconds=-60))
BAD = [
    pair
    for bad in ("not.a.token", "", "%zz", "ключ", "<b>x</b>")
    for pair in ((bad, "not a valid JWT"), (EXPIRED, "expired"))  # in turns, so that each has to change the words
]


async def test_a_link_that_is_no_good_says_so_and_leaves_everything_as_it_was(
    seen: Sight, lists: tuple[Client, Client]
) -> None:
    page = seen.page
    await seen.open("/")
    await expect(page.get_by_label("Access token")).to_be_visible()
    for bad, words in BAD:
        await paste(page, bad)
        await expect(page.get_by_role("alert")).to_contain_text(words)
        await no_token_is_left(page)
        await expect(page.get_by_label("Access token")).to_be_visible()

    await paste(page, lists[0].token)
    await shows(page, "Mine")
    for bad, words in BAD:
        await paste(page, bad)
        await expect(page.get_by_role("alert")).to_contain_text(words)
        await expect(page.get_by_role("alert")).to_contain_text("still logged in")
        await no_token_is_left(page)
        await shows(page, "Mine")
    await page.reload()
    await shows(page, "Mine")


async def test_a_link_into_graphiqls_open_tab_logs_in_there(seen: Sight, lists: tuple[Client, Client]) -> None:
    page = seen.page
    await seen.open("/graphql")
    await expect(page.locator(".graphiql-container")).to_be_visible()
    await page.evaluate(LEFT_OPEN)
    async with page.expect_event("load"):  # it is loaded anew
        await paste(page, lists[0].token)
    assert await page.evaluate("window.opened") is None
    await no_token_is_left(page, lists[0].token)
    await expect(page.locator(".graphiql-container")).to_be_visible()
    (cookie,) = await page.context.cookies()
    assert (cookie["value"], cookie["httpOnly"]) == (lists[0].token, True)


async def test_enter_in_the_box_logs_in_with_whatever_form_the_token_was_copied_in(
    seen: Sight, lists: tuple[Client, Client]
) -> None:
    page, text = seen.page, lists[0].token
    for pasted in (text, f" {text}\n", f"Bearer {text}", f"{seen.url}/#token={text}", f"{text[:60]}\n{text[60:]}"):
        await seen.open("/")
        box = page.get_by_label("Access token")
        await box.fill(pasted)
        await box.press("Enter")
        await shows(page, "Mine")
        await page.get_by_role("button", name="Log out").click()
        await expect(box).to_have_value("")


async def test_enter_in_the_box_adds_no_line_to_a_token_that_is_refused(seen: Sight) -> None:
    await seen.open("/")
    box = seen.page.get_by_label("Access token")
    await box.fill("not.a.token")
    await box.press("Enter")
    await expect(seen.page.get_by_role("alert")).to_contain_text("not a valid JWT")
    await expect(box).to_have_value("not.a.token")


# ---------------------------------------------------------------- tabs


async def test_a_new_tab_is_logged_in_by_ctrl_click_by_its_address_and_in_graphiql(
    seen: Sight, lists: tuple[Client, Client]
) -> None:
    page, context = seen.page, seen.page.context
    await seen.open("/", token=lists[0].token)
    await shows(page, "Mine")
    async with context.expect_page() as opened:
        await page.get_by_role("link", name="Mine").click(modifiers=["ControlOrMeta"])
    second = await opened.value
    await expect(second.get_by_role("heading", name="Mine", level=1)).to_be_visible()
    await becomes(lambda: connection(second), "live")
    third = await context.new_page()
    await third.goto(f"{seen.url}/")
    await shows(third, "Mine")
    async with context.expect_page() as opened:
        await page.get_by_role("link", name="GraphiQL").click()
    graphiql = await opened.value
    run = graphiql.get_by_role("button", name="Execute query").or_(graphiql.locator(".graphiql-execute-button"))
    who = graphiql.get_by_role("menuitem", name="WhoAmI")

    async def offers() -> bool:
        """It offers the operations as soon as it has read them."""
        if not await who.is_visible():
            await run.first.click()
        return await who.is_visible()

    await until(offers)
    await who.click()
    await expect(graphiql.locator("body")).to_contain_text(lists[0].customer_id)


async def test_a_logout_in_one_tab_logs_out_all(seen: Sight, lists: tuple[Client, Client]) -> None:
    page = seen.page
    await seen.open("/", token=lists[0].token)
    await shows(page, "Mine")
    second = await page.context.new_page()
    await second.goto(f"{seen.url}/")
    await shows(second, "Mine")
    await second.get_by_role("button", name="Log out").click()
    for tab in (second, page):
        await expect(tab.get_by_label("Access token")).to_be_visible()
        assert "Mine" not in await tab.content()
    await expect(page.get_by_role("alert")).to_contain_text("another tab")
    assert await page.context.cookies() == []
    await paste(second, lists[0].token)  # and a login logs them in again
    for tab in (second, page):
        await shows(tab, "Mine")


async def test_a_tab_notices_that_another_customer_logged_in_and_acts_for_neither(
    seen: Sight, lists: tuple[Client, Client]
) -> None:
    mine, theirs = lists
    page = seen.page
    await seen.open("/", token=mine.token)
    await shows(page, "Mine")
    second = await page.context.new_page()
    await second.goto(f"{seen.url}/")
    await shows(second, "Mine")
    await paste(second, theirs.token)
    await shows(second, "Theirs")
    await expect(page.get_by_role("heading", name="Another customer is logged in")).to_be_visible()
    assert "Mine" not in await page.locator("main").inner_text()
    for customer in (mine.customer_id, theirs.customer_id):
        await expect(page.locator("main")).to_contain_text(customer)
    await page.get_by_role("button", name="Continue with the new login").click()
    await shows(page, "Theirs")


async def test_a_tab_that_heard_nothing_of_another_login_changes_nothing_for_that_customer(
    seen: Sight, lists: tuple[Client, Client]
) -> None:
    mine, theirs = lists
    page = seen.page
    await page.add_init_script("window.BroadcastChannel = class { postMessage() {} }")
    await seen.open("/", token=mine.token)
    await shows(page, "Mine")
    await becomes(lambda: connection(page), "live")
    await page.wait_for_load_state("networkidle")  # it asks for nothing by itself any more
    second = await page.context.new_page()
    await second.goto(f"{seen.url}/#token={theirs.token}")
    await shows(second, "Theirs")
    await page.get_by_role("button", name="New outdial").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Whose?")
    await dialog.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name="Another customer is logged in")).to_be_visible()
    for customer, name in ((mine, "Mine"), (theirs, "Theirs")):
        async with Client(customer.url, customer.customer_id) as client:
            found = await client.run("{ outdials { nodes { name } } }")
            assert found["outdials"]["nodes"] == [{"name": name}]


@pytest.mark.slow
async def test_a_token_of_the_same_customer_in_another_tab_goes_on_where_one_was(seen: Sight, client: Client) -> None:
    outdial = await client.outdial(name="Mine")
    page = seen.page
    short = token(client.customer_id, lifetime=timedelta(seconds=6))
    await seen.open(f"/?outdial={outdial['id']}", token=short)
    await becomes(lambda: connection(page), "live")
    await page.evaluate(LEFT_OPEN)
    second = await page.context.new_page()
    await second.goto(f"{seen.url}/#token={client.token}")
    await shows(second, "Mine")
    await page.wait_for_timeout(7_000)  # the first token has expired meanwhile
    await becomes(lambda: connection(page), "live")
    await client.target(outdial["id"], name="Ana Silva")
    await expect(page.get_by_role("link", name="Ana Silva")).to_be_visible()
    assert await page.evaluate("window.opened") == "once"


async def test_servers_on_two_ports_of_a_host_keep_their_sessions_apart(
    browser: Browser, service: ServerProcess, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("second")
    server = await ServerProcess(f"sqlite:///{folder}/outdial.db", folder).started()
    try:
        async with sight(browser, service.url) as seen, Client(server.url, str(uuid4())) as other:
            await client.outdial(name="Mine")
            await other.outdial(name="Theirs")
            await seen.open("/", token=client.token)
            await shows(seen.page, "Mine")
            second = await seen.page.context.new_page()
            await second.goto(f"{server.url}/#token={other.token}")
            await shows(second, "Theirs")
            for tab, name in ((seen.page, "Mine"), (second, "Theirs")):
                await tab.reload()
                await shows(tab, name)
    finally:
        server.kill()


async def test_a_server_that_refuses_the_socket_but_not_the_session_says_what_to_set(
    seen: Sight, client: Client
) -> None:
    """As behind a proxy that changes Host, where the page's origin is not the server's own."""
    await client.outdial(name="Mine")
    page = seen.page

    async def refuse(socket: WebSocketRoute) -> None:
        await socket.close(code=4401, reason="Unauthorized")

    await page.route_web_socket("**/graphql", refuse)
    await seen.open("/", token=client.token)
    await shows(page, "Mine")
    await expect(page.get_by_role("alert")).to_contain_text("OUTDIAL_ALLOWED_ORIGINS")
    await expect(page.get_by_role("status").first).to_have_text("No live updates")


async def test_a_server_that_is_away_at_first_is_waited_for(seen: Sight, client: Client) -> None:
    await client.outdial(name="Mine")
    page = seen.page
    await seen.open("/", token=client.token)
    await shows(page, "Mine")
    await page.route("**/session", lambda route: route.abort())
    await page.reload()
    await expect(page.get_by_role("status").filter(has_text="Cannot reach the server")).to_be_visible()
    await page.unroute("**/session")
    await shows(page, "Mine")
