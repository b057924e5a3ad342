"""Login and logout of the pages: /session keeps the token in a cookie that no script can read."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.auth import Viewer
from app.errors import BadUserInput, Expected, Forbidden, Unauthenticated, Unavailable
from app.graphql.transport import masking
from app.requests import sessions
from app.requests.tokens import TokenReader, bearer

METHODS = ["GET", "POST", "DELETE"]
_STATUS = {Unauthenticated: 401, Forbidden: 403, BadUserInput: 400, Unavailable: 503}
_NO_STORE = {"Cache-Control": "no-store"}


class SessionEndpoint:
    """GET says who is logged in, POST with a bearer token logs in, DELETE logs out.

    Args:
        reader: of tokens.
        base_path: the prefix of the server's paths, without a slash at its end.
    """

    def __init__(self, reader: TokenReader, *, base_path: str = "") -> None:
        self._reader = reader
        self._base_path = base_path

    async def respond(self, request: Request) -> Response:
        """Answer with the session, or with null and the reason why there is none."""
        try:
            return await self._answer(request)
        except (Unauthenticated, Forbidden, BadUserInput, Unavailable) as error:
            return _refuse(error)

    async def _answer(self, request: Request) -> Response:
        if sessions.is_foreign(request.headers):
            raise Forbidden("Only pages of this server can log in or out.")
        match request.method:
            case "POST":
                return await self._log_in(request)
            case "DELETE":
                return self._log_out(request)
            case _:
                return await self._say(request)

    async def _say(self, request: Request) -> Response:
        # If the browser does not say which page asks, it sends Origin with a GET only for a page of another origin.
        if "origin" in request.headers and not sessions.is_own_origin(request.headers):
            raise Forbidden("Only pages of this server can ask for its session.")
        token = sessions.read(request.headers, self._name(request))
        if token is None:
            return _respond({"session": None, "message": ""})
        try:
            return _respond(_shown(token, await self._reader.viewer(token)))
        except Unauthenticated as error:
            response = _respond({"session": None, "message": error.message})
            self._forget(request, response)
            return response

    async def _log_in(self, request: Request) -> Response:
        # A page of another origin cannot send this header without a preflight, so it can log nobody in.
        token = bearer(request.headers)
        if token is None:
            raise Unauthenticated("No token. Send it as Authorization: Bearer <token>.")
        viewer = await self._reader.viewer(token)
        name = self._name(request)
        if not sessions.fits(name, token):
            raise BadUserInput("The token does not fit into a cookie. Use one of at most 4,000 letters and digits.")
        response = _respond(_shown(token, viewer))
        # Without a date: the browser removes it when it is closed. The server refuses it after the token has expired.
        response.set_cookie(name, token, path=self._path, secure=_is_secure(request), httponly=True, samesite="strict")
        return response

    def _log_out(self, request: Request) -> Response:
        if sessions.read(request.headers, self._name(request)) is not None:
            sessions.token(request.headers, request.headers.get(sessions.HEADER, ""))
        response = _respond({"session": None, "message": ""})
        self._forget(request, response)
        return response

    def _forget(self, request: Request, response: Response) -> None:
        response.delete_cookie(
            self._name(request), path=self._path, secure=_is_secure(request), httponly=True, samesite="strict"
        )

    def _name(self, request: Request) -> str:
        return sessions.cookie_name(request.headers, self._base_path)

    @property
    def _path(self) -> str:
        return self._base_path or "/"


def _is_secure(request: Request) -> bool:
    """Whether the browser reaches the server by TLS.

    Behind a proxy only the browser knows, and says so in Origin. It is about the browser's own cookie, so there is
    nothing to gain by a forged one.
    """
    return request.headers.get("origin", "").startswith("https://")


def _shown(token: str, viewer: Viewer) -> dict[str, Any]:
    return {
        "session": sessions.identify(token),
        "customerId": viewer.customer_id,
        "subject": viewer.subject,
        "scopes": sorted(scope.name for scope in viewer.scopes),
        "expiresAt": viewer.expires_at.isoformat() if viewer.expires_at else None,
    }


def _respond(content: dict[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, _NO_STORE)


def _refuse(error: Expected) -> Response:
    return _respond({"errors": [masking.render(error)]}, _STATUS[type(error)])
