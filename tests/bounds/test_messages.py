"""What a WebSocket may send, before its token is known and after it."""

import orjson
import pytest

from app.graphql.transport import websocket as endpoint
from app.server.connections import websocket as socket_protocol
from tests.bounds import INIT_BYTES, MESSAGE_BYTES
from tests.support import raw
from tests.support.raw import Raw, frame, head
from tests.support.server import ServerProcess


def test_a_message_before_the_acknowledgement_has_few_bytes(small: ServerProcess, mine: str) -> None:
    rest = len(orjson.dumps({"type": "connection_init", "payload": {"token": mine, "x": ""}}))
    for beyond in (0, 1):
        with Raw(small.port) as connection:
            payload = {"token": mine, "x": "x" * (INIT_BYTES - rest + beyond)}
            connection.upgrade().say(type="connection_init", payload=payload)
            assert connection.hear() == (4400 if beyond else {"type": "connection_ack"})


def test_a_message_after_the_acknowledgement_has_more(small: ServerProcess, mine: str) -> None:
    rest = len(orjson.dumps({"type": "ping", "payload": {"x": ""}}))
    for beyond in (0, 1):
        with Raw(small.port) as connection:
            connection.upgrade().initialise(mine).say(type="ping", payload={"x": "x" * (MESSAGE_BYTES - rest + beyond)})
            heard = connection.hear()
            assert heard == 1009 if beyond else heard["type"] == "pong"


def test_a_message_before_the_acknowledgement_has_few_levels_and_values(usual: ServerProcess, mine: str) -> None:
    for depth, values, heard in (
        (endpoint.INIT_DEPTH_MAX, endpoint.INIT_VALUES_MAX, None),
        (endpoint.INIT_DEPTH_MAX + 1, 100, 4400),
        (10, endpoint.INIT_VALUES_MAX + 1, 4400),
    ):
        deep = "[" * (depth - 2) + "]" * (depth - 2)
        many = ",".join(["1"] * (values - (depth - 2) - 5))  # and: two braces, this array's bracket, two commas
        message = f'{{"type": "connection_init", "payload": {{"token": "{mine}", "a": {deep}, "b": [{many}]}}}}'
        assert sum(map(message.count, "{[,")) == values
        with Raw(usual.port) as connection:
            assert connection.upgrade().send(frame(message.encode())).hear() == (heard or {"type": "connection_ack"})


def test_the_longest_token_fits_into_connection_init(usual: ServerProcess) -> None:
    with Raw(usual.port) as connection:
        connection.upgrade().say(type="connection_init", payload={"Authorization": "Bearer " + "x" * 16_384})
        assert connection.hear() == 4401  # it is read, and is no token


def test_a_message_has_a_number_of_frames(usual: ServerProcess, mine: str) -> None:
    message = b'{"type":"ping"}'
    for count in (socket_protocol.FRAGMENTS_MAX, socket_protocol.FRAGMENTS_MAX + 1):
        with Raw(usual.port) as connection:
            connection.upgrade().initialise(mine)
            empty = frame(b"", 0, fin=False) * (count - 2)
            connection.send(frame(message[:5], fin=False) + empty + frame(message[5:], 0))
            heard = connection.hear()
            assert heard == {"type": "pong"} if count == socket_protocol.FRAGMENTS_MAX else heard == 1009


@pytest.mark.parametrize("opcode", [raw.PING, raw.PONG])
def test_a_client_may_send_so_many_pings_and_pongs(usual: ServerProcess, opcode: int) -> None:
    for count in (socket_protocol.CONTROL_FRAMES_MAX, socket_protocol.CONTROL_FRAMES_MAX + 1):
        with Raw(usual.port) as connection:
            connection.upgrade().send(frame(b"x", opcode) * count)
            connection.say(type="ping")
            assert connection.hear() == ({"type": "pong"} if count == socket_protocol.CONTROL_FRAMES_MAX else 1008)


def test_of_pings_that_come_together_the_last_is_answered(usual: ServerProcess) -> None:
    with Raw(usual.port) as connection:
        connection.upgrade().send(b"".join(frame(b"%d" % number, raw.PING) for number in range(50)))
        assert connection.frame() == (raw.PONG, b"49")
        connection.send(frame(b"again", raw.PING))
        assert connection.frame() == (raw.PONG, b"again")


@pytest.mark.parametrize("lines", [["Origin: http://[::1", "Cookie: token=x"], ["Origin: http://[", "Cookie: token=x"]])
def test_an_origin_that_is_none_is_not_allowed(usual: ServerProcess, lines: list[str]) -> None:
    with Raw(usual.port) as connection:
        assert connection.upgrade(*lines).say(type="connection_init").hear() == 4401
    with Raw(usual.port) as connection:
        assert connection.send(head("/session", *lines)).answer()[0] == 403


def test_a_deep_ping_is_malformed(usual: ServerProcess, mine: str) -> None:
    with Raw(usual.port) as connection:
        connection.upgrade().initialise(mine)
        connection.send(frame(b'{"type":"ping","payload":{"a":' + b"[" * 1_000 + b"]" * 1_000 + b"}}"))
        assert connection.close_code() == 4400
