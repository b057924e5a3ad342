"""What long messages and bodies hold until they are decoded is bounded in sum, for HTTP and WebSockets together."""

from collections.abc import Iterator

import orjson
import pytest

from app import bounds
from app.errors import RateLimited, Unavailable
from app.requests import arriving
from app.requests.arriving import SHORT_BYTES_MAX, Arriving
from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from tests.support import raw
from tests.support.raw import Raw, frame, head
from tests.support.transport import Served, eventually

CUSTOMER_BYTES = 1_000_000
PART_BYTES = 250_000
HEAD_BYTES = 14
"""Of a frame of a client with 64 KiB or more."""
LONG = frame(orjson.dumps({"type": "ping", "payload": {"x": "x" * 300_000}}))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(arriving, "CUSTOMER_ARRIVING_BYTES_MAX", CUSTOMER_BYTES)
    with Served(http=HttpProtocol, ws=WebSocketProtocol) as served:
        yield served


def opened(served: Served) -> Raw:
    return Raw(served.port).upgrade().initialise()


async def begun(served: Served, count: int) -> list[Raw]:
    """Sockets with PART_BYTES of a message that is not whole."""
    sockets = [opened(served).send(LONG[: HEAD_BYTES + PART_BYTES]) for _ in range(count)]
    await eventually(lambda: served.arriving.total == count * PART_BYTES)
    return sockets


def post(size: int) -> bytes:
    lines = ["Content-Type: application/json", f"Content-Length: {size}", "Authorization: Bearer good"]
    return head("/graphql", *lines, method="POST") + b"x" * size


def test_a_customer_and_a_process_have_sums_of_their_own() -> None:
    sums = Arriving()
    most, all_bytes = arriving.CUSTOMER_ARRIVING_BYTES_MAX, arriving.ARRIVING_BYTES_MAX
    shares = [sums.share(str(number)) for number in range(all_bytes // most)]
    for share in shares:
        share.hold(most)
        with pytest.raises(RateLimited):
            share.hold(most + 1)
    other = sums.share("other")
    other.hold(SHORT_BYTES_MAX)
    with pytest.raises(Unavailable):
        other.hold(SHORT_BYTES_MAX + 1)
    shares[0].hold(most - SHORT_BYTES_MAX - 1)
    other.hold(SHORT_BYTES_MAX + 1)
    assert sums.total == all_bytes
    for share in (*shares, other):
        share.hold(0)
    assert (sums.total, sums._of_each) == (0, {})


async def test_messages_that_are_not_whole_are_bounded_in_sum(served: Served) -> None:
    sockets = await begun(served, CUSTOMER_BYTES // PART_BYTES)
    late = opened(served).send(LONG[: HEAD_BYTES + SHORT_BYTES_MAX])
    short = opened(served).say(type="ping", payload={"x": 1})
    assert short.hear() == {"type": "pong", "payload": {"x": 1}}
    assert served.arriving.total == CUSTOMER_BYTES
    with Raw(served.port) as one:  # HTTP has the same sum
        status, headers, _ = one.send(post(SHORT_BYTES_MAX + 1)).answer()
        assert (status, headers["retry-after"]) == (429, "1")
    assert late.send(b"x").close_code() == 1013
    sockets[1].drop()
    await eventually(lambda: served.arriving.total == CUSTOMER_BYTES - PART_BYTES)
    assert sockets[0].send(LONG[HEAD_BYTES + PART_BYTES :]).hear() == {"type": "pong"}
    await eventually(lambda: served.arriving.total == CUSTOMER_BYTES - 2 * PART_BYTES)
    sockets += [opened(served).send(LONG[: HEAD_BYTES + PART_BYTES]) for _ in range(2)]  # there is room again
    await eventually(lambda: served.arriving.total == CUSTOMER_BYTES)
    for socket in (*sockets, late, short):
        socket.close()
    await eventually(lambda: served.arriving.total == 0)


async def test_a_client_that_sends_on_is_told_why_it_is_refused(served: Served) -> None:
    sockets = await begun(served, CUSTOMER_BYTES // PART_BYTES)
    with opened(served) as late:
        late.send(LONG * 20)  # far more than the system holds back
        opcode, data = late.frame()
        assert (opcode, data[2:]) == (raw.CLOSE, b"Too many long requests at once. Send them one after the other.")
    for socket in sockets:
        socket.close()


@pytest.mark.parametrize("ending", ["drop", "close", "bad", "said"])
async def test_nothing_is_counted_when_the_sockets_are_gone(served: Served, ending: str) -> None:
    sockets = await begun(served, 2)
    fragments = opened(served)
    for fin in (False, True):
        fragments.send(frame(b"x" * 100_000, raw.TEXT if not fin else 0, fin=False))
    await eventually(lambda: served.arriving.total == 2 * PART_BYTES + 200_000)
    for socket in sockets:
        if ending == "drop":
            socket.drop()
        elif ending == "close":
            socket.close()
        elif ending == "bad":  # the message is whole, and none
            assert socket.send(b"x" * (len(LONG) - HEAD_BYTES - PART_BYTES)).close_code() == 4400
        else:
            assert socket.send(LONG[HEAD_BYTES + PART_BYTES :]).hear() == {"type": "pong"}
    assert fragments.send(frame(b"x")).close_code() == 1002  # a new message within another
    await eventually(lambda: served.arriving.total == 0)
    for socket in (*sockets, fragments):
        socket.close()
    await eventually(lambda: not served.tasks())
    assert served.arriving._of_each == {}


async def test_what_waits_to_be_decoded_is_counted(served: Served) -> None:
    turns = served.endpoint.execution.reading._lanes._decoding
    served.on_loop(lambda: turns.take("other"))
    await eventually(lambda: turns.running == 1)
    wide = {"type": "ping", "payload": {"x": "🏃" + "x" * 150_000}}
    with opened(served) as socket, Raw(served.port) as one:
        socket.send(frame(orjson.dumps(wide)))  # four bytes for each character
        await eventually(lambda: 600_000 < served.arriving.total < 601_000)
        socket.send(LONG)  # the next one waits behind it
        await eventually(lambda: 900_000 < served.arriving.total < 902_000)
        assert one.send(post(150_000)).answer()[0] == 429
        served.on_loop(lambda: turns.end("other"))
        assert [socket.hear(), socket.hear()] == [{"type": "pong"}] * 2
        await eventually(lambda: served.arriving.total == 0)
    served.on_loop(lambda: turns.take("other"))
    await eventually(lambda: turns.running == 1)
    with Raw(served.port) as one:
        one.send(post(150_000))
        await eventually(lambda: served.arriving.total == 150_000)
        served.on_loop(lambda: turns.end("other"))
        assert one.answer()[0] == 400
        await eventually(lambda: served.arriving.total == 0)


async def test_what_is_held_of_a_socket_that_is_gone_is_counted_until_it_is_used(served: Served) -> None:
    turns = served.endpoint.execution.reading._lanes._decoding
    served.on_loop(lambda: turns.take("other"))
    await eventually(lambda: turns.running == 1)
    with opened(served) as socket:
        socket.send(LONG)
        await eventually(lambda: served.arriving.total > 300_000)
        socket.send(LONG[: HEAD_BYTES + PART_BYTES])
        await eventually(lambda: served.arriving.total > 300_000 + PART_BYTES)
        socket.drop()
        await eventually(lambda: 300_000 < served.arriving.total < 302_000)
    served.on_loop(lambda: turns.end("other"))
    await eventually(lambda: served.arriving.total == 0)


def test_a_ping_comes_back_with_its_payload_if_it_is_short(served: Served) -> None:
    rest = len(orjson.dumps({"type": "ping", "payload": {"x": ""}}))
    with opened(served) as socket:
        payload = {"x": "x" * (bounds.now().socket_init_bytes_max - rest)}
        assert socket.say(type="ping", payload=payload).hear() == {"type": "pong", "payload": payload}
        assert socket.say(type="ping", payload={"x": payload["x"] + "x"}).hear() == {"type": "pong"}


def test_a_control_frame_has_few_bytes(served: Served) -> None:
    with opened(served) as socket:
        assert socket.send(frame(b"x" * 125, raw.PING)).frame() == (raw.PONG, b"x" * 125)
        opcode, data = socket.send(frame(b"x" * 126, raw.PING)).frame()
        assert (opcode, data[:2]) == (raw.CLOSE, (1002).to_bytes(2, "big"))
