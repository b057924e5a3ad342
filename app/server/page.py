"""The web pages: the dashboard at /, GraphiQL at /graphql, both built from app/web with the package.

Everything they load is on this server. If they were not built, both show how to build them.
"""

import mimetypes
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).parent.parent / "web" / "dist"
ASSETS_PATH = "/web/assets"
_BUILT_ASSETS = '"./assets/'
_BUILT_BASE_PATH = '<meta name="base-path" content="/"'
"""As in app/web's pages. The page's script takes its addresses from it."""

# 'self' includes the WebSocket: https://www.w3.org/TR/CSP3/#match-url-to-source-expression (a browser of before 2022
# may not know it, and then shows no live changes). Scripts act for the person who is logged in, so only our own run.
_DASHBOARD_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# GraphiQL's editor writes style elements from its script, and runs its language services in workers.
_GRAPHIQL_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-cache",
    # If a page of another origin opens this one, it cannot reach its window.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ASSET_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
"""The name of an asset changes with its content, so a browser may keep it without limit."""
# Browsers run no script of another type, and Python's type for .js depends on the machine.
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}

_UNBUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outdial</title>
<h1>Outdial is running</h1>
<p>This installation does not include the dashboard and GraphiQL. Build them with Node.js 20.19 or newer, then restart
the server:</p>
<pre>cd app/web
npm ci
npm run build</pre>
<p>Send queries and mutations to <code>/graphql</code> by POST:</p>
<pre>curl http://localhost:8000/graphql \\
  -H "Authorization: Bearer $(outdial token --customer UUID)" \\
  -H "Content-Type: application/json" \\
  -d '{"query": "{ viewer { customerId scopes } }"}'</pre>
<p>Subscriptions use the same path over WebSocket (<code>graphql-transport-ws</code>) or Server-Sent Events
(<code>Accept: text/event-stream</code>). <code>outdial schema</code> prints the schema.</p>
</html>
"""


class Pages:
    """The dashboard and GraphiQL, read once.

    Args:
        folder: the build's result; it may be missing.
        base_path: the prefix of the server's paths, without a slash at its end.
    """

    def __init__(self, folder: Path = BUILT, *, base_path: str = "") -> None:
        self._assets = folder / "assets"
        self._dashboard = _Page(_read(folder / "index.html", base_path), _DASHBOARD_POLICY)
        self.graphiql = _Page(_read(folder / "graphiql.html", base_path), _GRAPHIQL_POLICY, vary="Accept")
        """An ASGI application. The GraphQL endpoint calls it if the client prefers HTML."""

    def routes(self) -> list[BaseRoute]:
        """The dashboard, and the files that both pages load."""
        routes: list[BaseRoute] = [Route("/", self._dashboard.respond)]
        if self._assets.is_dir():
            routes.append(Mount(ASSETS_PATH, _Assets(self._assets)))
        return routes


class _Page:
    def __init__(self, text: str, policy: str, *, vary: str | None = None) -> None:
        self._text = text
        self._headers = _HEADERS | {"Content-Security-Policy": policy} | ({"Vary": vary} if vary else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await HTMLResponse(self._text, headers=self._headers)(scope, receive, send)

    async def respond(self, _request: Request) -> Response:
        return HTMLResponse(self._text, headers=self._headers)


class _Assets(StaticFiles):
    """Files, compressed by the build if the browser accepts that: GraphiQL's editor is megabytes of script."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._compressed = {str(path.resolve().with_suffix("")) for path in folder.rglob("*.gz")}

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        path = str(full_path)
        headers = dict(_ASSET_HEADERS)
        if path in self._compressed and _takes_gzip(Headers(scope=scope)):
            full_path = f"{path}.gz"
            stat_result = os.stat(full_path)  # noqa: PTH116 - like Starlette, which has found the other file
            headers["Content-Encoding"] = "gzip"
        media_type = _TYPES.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
        return FileResponse(full_path, status_code, headers, media_type, stat_result=stat_result)


def _takes_gzip(headers: Headers) -> bool:
    """Whether Accept-Encoding has gzip with a weight above 0."""
    for item in headers.get("accept-encoding", "").split(","):
        coding, _, weight = item.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False


def _read(path: Path, base_path: str) -> str:
    if not path.exists():
        return _UNBUILT.replace("/graphql", f"{base_path}/graphql")
    text = path.read_text(encoding="utf-8").replace(_BUILT_ASSETS, f'"{base_path}{ASSETS_PATH}/')
    return text.replace(_BUILT_BASE_PATH, f'<meta name="base-path" content="{base_path}/"')
