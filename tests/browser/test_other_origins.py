"""A page of another origin in a real browser: with the origin allowed it works like one of our own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.async_api import Browser

from tests.support.server import ServerProcess, token
from tests.test_server import copied

# Apollo Client, OpenTelemetry, Sentry and a retried import, all at once.
HEADERS = {
    "Content-Type": "application/json",
    "Idempotency-Key": "a key",
    "apollographql-client-name": "page",
    "apollographql-client-version": "1",
    "apollo-require-preflight": "true",
    "x-apollo-operation-name": "Who",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=1",
    "baggage": "key=value",
    "sentry-trace": "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
}
# Null where the browser lets the page see nothing of the answer.
ASK = """async ({ url, ...options }) => {
  try {
    const response = await fetch(url, options);
    return { status: response.status, id: response.headers.get("x-request-id"), body: await response.text() };
  } catch { return null; }
}"""


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another origin</title>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def elsewhere() -> Iterator[str]:
    """An origin of its own, with an empty page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join(10)


async def test_only_an_allowed_page_sends_its_headers_and_reads_the_answers(
    browser: Browser, sqlite_template: Path, tmp_path: Path
) -> None:
    with elsewhere() as allowed, elsewhere() as stranger:
        environment = {"OUTDIAL_ALLOWED_ORIGINS": allowed}
        with ServerProcess(
            f"sqlite:///{copied(sqlite_template, tmp_path)}", tmp_path, environment=environment
        ) as server:
            headers = {**HEADERS, "Authorization": f"Bearer {token(str(uuid4()))}"}
            query = '{"query": "query Who { viewer { subject } }"}'
            graphql = {"url": f"{server.url}/graphql", "method": "POST", "headers": headers, "body": query}
            refused = {**graphql, "headers": {**headers, "Authorization": "Bearer bad"}, "credentials": "include"}
            created = {"url": f"{server.url}/v1.0/outdials", "method": "POST", "headers": headers, "body": "{}"}
            outdial = f"{server.url}/v1.0/outdials/{uuid4()}"
            deleted = {"url": outdial, "method": "DELETE", "headers": headers}
            page = await browser.new_page()

            async def ask(options: dict[str, Any]) -> Any:
                return await page.evaluate(ASK, options)

            try:
                await page.goto(allowed)
                answers = [await ask(wish) for wish in (graphql, refused, created, deleted)]
                assert [answer["status"] for answer in answers] == [200, 401, 200, 404]
                assert "tester" in answers[0]["body"]
                assert all(answer["id"] for answer in answers)
                await page.goto(stranger)
                assert [await ask(wish) for wish in (graphql, refused, created, deleted)] == [None] * 4
            finally:
                await page.close()
