"""What a browser gets at /graphql: GraphiQL, built from app/web with the package; nothing comes from elsewhere."""

from pathlib import Path

from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).parent.parent / "web" / "dist"
ASSETS_PATH = "/graphiql"
"""As `base` in app/web/vite.config.js."""

# The editor sets styles from its script, and runs its language services in workers.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_UNBUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outdial GraphQL</title>
<h1>Outdial's GraphQL endpoint</h1>
<p>GraphiQL is not part of this installation. To build it, with Node.js 20.19 or newer, and start the server again:</p>
<pre>cd app/web
npm ci
npm run build</pre>
<p>Queries and mutations go here by POST:</p>
<pre>curl http://localhost:8000/graphql \\
  -H "Authorization: Bearer $(outdial token --customer UUID)" \\
  -H "Content-Type: application/json" \\
  -d '{"query": "{ viewer { customerId scopes } }"}'</pre>
<p>Subscriptions go over WebSocket (<code>graphql-transport-ws</code>) or Server-Sent Events
(<code>Accept: text/event-stream</code>). <code>outdial schema</code> prints the schema.</p>
</html>
"""


class Page:
    """The ASGI application of the page, read once."""

    def __init__(self, folder: Path = BUILT) -> None:
        built = folder / "index.html"
        self._text = built.read_text(encoding="utf-8") if built.exists() else _UNBUILT
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Content-Security-Policy": _CONTENT_SECURITY_POLICY, "Vary": "Accept", "Cache-Control": "no-cache"}
        await HTMLResponse(self._text, headers=headers)(scope, receive, send)

    def routes(self) -> list[BaseRoute]:
        """What the page loads; its names change with its content."""
        return [Mount(ASSETS_PATH, StaticFiles(directory=self._folder))] if self._folder.exists() else []
