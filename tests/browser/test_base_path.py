"""The pages below the path of a reverse proxy: they work, and ask for nothing beside it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.test_graphiql import shows, write
from tests.browser.test_importing import choose, send
from tests.support.browsing import becomes, connection, sight
from tests.support.graphql_client import Client
from tests.support.proxying import ReverseProxy
from tests.support.server import ServerProcess
from tests.test_base_path import BASE
from tests.test_server import copied


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    database = f"sqlite:///{copied(sqlite_template, folder)}"
    with ServerProcess(database, folder, environment={"OUTDIAL_BASE_PATH": BASE}) as process:
        yield process


@pytest_asyncio.fixture(params=[False, True], ids=["passed on", "stripped"], loop_scope="session")
async def proxy(running: ServerProcess, request: pytest.FixtureRequest) -> AsyncIterator[ReverseProxy]:
    async with ReverseProxy(running.port, BASE, strips=request.param) as proxy:
        yield proxy
        assert proxy.strays == []


@pytest_asyncio.fixture(loop_scope="session")
async def below(proxy: ReverseProxy) -> AsyncIterator[Client]:
    async with Client(proxy.url, str(uuid4())) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("start", ["/", ""])
async def test_the_dashboard_is_live_below_it(
    browser: Browser, proxy: ReverseProxy, below: Client, tmp_path: Path, start: str
) -> None:
    outdial = await below.outdial(name="Spring")
    async with sight(browser, proxy.url) as seen:
        page = seen.page
        await seen.open(start, token=below.token)
        await page.get_by_role("link", name="Spring").click()
        await expect(page.get_by_role("heading", name="Spring")).to_be_visible()
        assert page.url.startswith(f"{proxy.url}/?outdial=")
        await becomes(lambda: connection(page), "live")
        await below.target(outdial["id"], name="Ana Silva")
        await expect(page.get_by_text("Ana Silva").first).to_be_visible()
        people = tmp_path / "people.csv"
        people.write_text("name,phone\nBo Lindqvist,+46701740605\n")
        await choose(page, people)
        await send(page)
        await expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("1 of 1 imported.")
        await page.reload()
        await expect(page.get_by_text("Ana Silva").first).to_be_visible()
        await page.get_by_role("button", name="Export").first.click()
        async with page.expect_download() as download:
            await page.get_by_role("dialog").get_by_role("button", name="Download").click()
        exported = await asyncio.to_thread(Path(await (await download.value).path()).read_text)
        assert "Ana Silva" in exported
        await page.get_by_role("link", name="Outdials").first.click()
        await expect(page.get_by_role("heading", name="Outdials", level=1)).to_be_visible()
        assert page.url == f"{proxy.url}/"


@pytest.mark.slow
async def test_graphiql_runs_below_it(browser: Browser, proxy: ReverseProxy, below: Client) -> None:
    await below.outdial(name="Spring")
    async with sight(browser, proxy.url) as seen:
        page = seen.page
        await seen.open("/graphql", token=below.token)
        run = page.get_by_role("button", name="Execute query").or_(page.locator(".graphiql-execute-button")).first
        await expect(run).to_be_visible()
        await write(page, "Mine", "query Mine { outdials { nodes { name state } } }")
        await run.click()
        await shows(page, '"name":"Spring","state":"ACTIVE"')
