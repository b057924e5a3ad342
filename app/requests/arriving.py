"""What long requests hold from their arrival to their end, bounded for each customer and for the process."""

from types import TracebackType
from typing import Self

from app.errors import RateLimited, Unavailable

SHORT_BYTES_MAX = 64 * 1024
"""A request that holds no more is not counted."""
ARRIVING_BYTES_MAX = 256 * 1024 * 1024
CUSTOMER_ARRIVING_BYTES_MAX = 64 * 1024 * 1024
"""Of bodies, WebSocket messages and what is made of them, in a process, and of one customer: eight of the longest."""


class Arriving:
    """The bytes of all of them, by customer. One for each process, for HTTP and WebSockets together."""

    def __init__(self) -> None:
        self.total = 0
        self._of_each: dict[str, int] = {}

    def share(self, customer_id: str = "") -> "Share":
        """What one request or socket holds of them: nothing yet. Its customer may be set later."""
        return Share(self, customer_id)

    def change(self, customer_id: str, size: int) -> None:
        """The customer's requests hold so many bytes more, or fewer if it is negative.

        Raises:
            RateLimited: the customer's hold too many. Unavailable: all together do. Then nothing is changed.
        """
        held = self._of_each.get(customer_id, 0) + size
        if size > 0 and held > CUSTOMER_ARRIVING_BYTES_MAX:
            raise RateLimited("Too many long requests at once. Send them one after the other.")
        if size > 0 and self.total + size > ARRIVING_BYTES_MAX:
            raise Unavailable("Too many long requests at once. Try again later.")
        self.total += size
        if held:
            self._of_each[customer_id] = held
        else:
            del self._of_each[customer_id]


class Share:
    """The bytes that one request or socket holds. It ends with `hold(0)`, which its context does."""

    __slots__ = ("_arriving", "counted", "customer_id")

    def __init__(self, arriving: Arriving, customer_id: str) -> None:
        self._arriving = arriving
        self.customer_id = customer_id
        """Set before it holds anything."""
        self.counted = 0
        """How much of it is in the sums."""

    def hold(self, size: int) -> None:
        """It holds so many bytes now; SHORT_BYTES_MAX and fewer count as none.

        Raises:
            RateLimited: its customer's requests hold too many. Unavailable: all together do. Then it counts as before.
        """
        counted = size if size > SHORT_BYTES_MAX else 0
        if counted != self.counted:
            self._arriving.change(self.customer_id, counted - self.counted)
            self.counted = counted

    def hold_decoded(self, size: int) -> None:
        """It holds a value of about this size now, instead of its text. Raises as `hold`.

        None counts as more than half of what a customer may hold: a single request always finds room.
        """
        self.hold(min(size, CUSTOMER_ARRIVING_BYTES_MAX // 2))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hold(0)
