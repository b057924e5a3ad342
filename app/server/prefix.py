"""The base path below which a reverse proxy shows the server: OUTDIAL_BASE_PATH."""

from starlette.types import ASGIApp, Receive, Scope, Send


class BasePath:
    """Removes the base path, so that the application does not depend on it or on how the proxy works.

    A proxy that keeps paths sends /calls/graphql, one that strips the base path sends /graphql: both are served. So the
    probes also answer at the root, without the proxy.

    Args:
        app: gets the paths without it.
        base_path: begins with a slash and does not end with one.
    """

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self.app = app
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "path": self._within(scope["path"])}
        await self.app(scope, receive, send)

    def _within(self, path: str) -> str:
        if path == self._base_path:
            return "/"
        return path.removeprefix(self._base_path) if path.startswith(f"{self._base_path}/") else path
