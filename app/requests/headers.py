"""Headers that are looked up by their names. Starlette goes through all of them for each name."""

from starlette.datastructures import Headers
from starlette.types import Scope


class RequestHeaders(Headers):
    """A request's. If a name comes several times, its first value counts, as with Starlette."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        # latin-1 as Starlette: it decodes any byte
        self._values: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])
        }

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override] # of text alone
        return self._values.get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values
