"""How many connections there are, of a process and of an address."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app import bounds
from app.server.connections import addresses, counting
from app.server.connections import http as http_protocol
from app.server.connections.http import HttpProtocol
from app.server.connections.websocket import WebSocketProtocol
from app.settings import Settings
from tests.bounds import OPEN, code
from tests.support import raw
from tests.support.raw import Raw, head
from tests.support.server import ServerProcess
from tests.support.transport import Served


@contextmanager
def limited(monkeypatch: pytest.MonkeyPatch, **limits: object) -> Iterator[Served]:
    """The transports on our protocols in this process, with these settings."""
    settings = Settings.load(jwt_secret="x" * 32, **limits)
    monkeypatch.setattr(bounds, "_settings", settings)
    with Served(http=HttpProtocol, ws=WebSocketProtocol) as served:
        yield served


GRAPHQL = head("/graphql")
PROBE = head("/graphql/healthz")
"""The small application has no probes: 404 is its own answer."""


def test_a_process_has_a_number_of_connections_and_still_answers_its_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "RESERVED_SECONDS_MAX", 0.5)
    with limited(monkeypatch, connections_max=OPEN, address_connections_max=1_000) as served:
        opened = [Raw(served.port).upgrade().initialise() for _ in range(OPEN)]
        for _ in range(counting.RESERVE_MAX + 1):  # none of them stays in the reserve
            connection = Raw(served.port)
            assert connection.send(PROBE).answer()[0] == 404
            assert connection.is_closed_within(1)
            connection.close()
        with Raw(served.port) as connection:
            status, headers, body = connection.send(GRAPHQL).answer()
            assert (status, code(body)) == (503, "UNAVAILABLE")
            assert headers["retry-after"] == str(http_protocol.RETRY_SECONDS)
        with Raw(served.port) as connection, pytest.raises(AssertionError, match="503"):
            connection.upgrade()
        time.sleep(0.1)
        # Those beyond the limit have a limit themselves, and little time.
        beyond = [Raw(served.port) for _ in range(counting.RESERVE_MAX + 1)]
        assert beyond[-1].is_closed_within(1)
        assert not beyond[0].is_closed_within(0.1)
        for connection in beyond:
            assert connection.is_closed_within(3)
            connection.close()
        opened.pop().close()
        time.sleep(0.1)
        with Raw(served.port) as connection:
            assert connection.send(GRAPHQL).answer()[0] == 401
        for connection in opened:  # all of them are still served
            assert connection.say(type="ping").hear() == {"type": "pong"}
            connection.close()


def test_an_idle_connection_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with limited(monkeypatch, connections_max=OPEN, address_connections_max=1_000) as served:
        answered = Raw(served.port)
        assert answered.send(GRAPHQL).answer()[0] == 401
        silent = [Raw(served.port) for _ in range(OPEN - 1)]
        time.sleep(0.3)  # until all are accepted
        assert answered.send(GRAPHQL).answer()[0] == 401  # so that the silent ones are idle for longer
        with Raw(served.port) as connection:
            assert connection.send(GRAPHQL).answer()[0] == 401
        assert silent[0].is_closed_within(1)
        assert not silent[1].is_closed_within(0.1)
        for connection in [answered, *silent]:
            connection.close()


def test_silent_connections_do_not_take_the_probes_descriptors(make: Callable[..., ServerProcess]) -> None:
    with make(descriptors=64) as server:
        silent = [Raw(server.port) for _ in range(120)]
        for _ in range(5):
            with Raw(server.port, seconds=3) as connection:
                assert connection.send(head()).answer()[0] == 200
        assert raw.descriptors(server.pid) < 64
        for connection in silent:
            connection.close()


def test_an_address_has_a_number_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with limited(monkeypatch, address_connections_max=5) as served:
        # Nobody is trusted: what a client says of itself does not count.
        opened = [Raw(served.port).upgrade(f"X-Forwarded-For: 192.0.2.{number}") for number in range(5)]
        with Raw(served.port) as connection:
            status, _, body = connection.send(head("/graphql", "X-Forwarded-For: 192.0.2.9")).answer()
            assert (status, code(body)) == (429, "LIMIT_EXCEEDED")
        with Raw(served.port) as connection:
            assert connection.send(PROBE).answer()[0] == 404
        opened.pop().close()
        time.sleep(0.1)
        with Raw(served.port) as connection:
            connection.upgrade().initialise()
        for connection in opened:
            connection.close()


def test_an_address_that_has_its_share_gives_up_its_own_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with limited(monkeypatch, address_connections_max=3) as served:
        working = Raw(served.port).upgrade()
        idle = [Raw(served.port) for _ in range(2)]
        for connection in idle:
            assert connection.send(GRAPHQL).answer()[0] == 401
        with Raw(served.port) as connection:
            assert connection.send(GRAPHQL).answer()[0] == 401
        assert idle[0].is_closed_within(1)
        assert not idle[1].is_closed_within(0.1)
        for connection in (working.initialise(), *idle):
            connection.close()


@pytest.mark.parametrize(
    ("files", "limits", "most"),
    [(40, {}, 10), (10_000, {"connections_max": 20}, 5), (2, {}, 1), (40, {"address_connections_max": 12}, 12)],
)
def test_an_address_has_a_share_of_what_the_process_can_have(
    monkeypatch: pytest.MonkeyPatch, files: int, limits: dict[str, int], most: int
) -> None:
    monkeypatch.setattr(counting, "_free_descriptors", lambda: files)
    with limited(monkeypatch, trusted_proxies="127.0.0.0/8", **limits) as served:
        opened = [Raw(served.port).upgrade("X-Forwarded-For: 192.0.2.1") for _ in range(most)]
        with Raw(served.port) as connection, pytest.raises(AssertionError, match="429"):
            connection.upgrade("X-Forwarded-For: 192.0.2.1")
        with Raw(served.port) as connection:  # nobody else is kept out
            connection.upgrade("X-Forwarded-For: 192.0.2.2").initialise()
        for connection in opened:
            connection.close()


def test_behind_a_trusted_proxy_the_forwarded_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with limited(monkeypatch, address_connections_max=3, trusted_proxies="127.0.0.0/8, 10.0.0.0/8") as served:
        ours, others = "X-Forwarded-For: 203.0.113.7, 192.0.2.1, 10.1.2.3", "X-Forwarded-For: 192.0.2.2"
        opened = [Raw(served.port).upgrade(ours) for _ in range(3)]
        with Raw(served.port) as connection, pytest.raises(AssertionError, match="429"):
            connection.upgrade("X-Forwarded-For: 192.0.2.1")
        opened += [Raw(served.port).upgrade(others) for _ in range(3)]
        # A proxy's connection is one client's after the other's, and nobody's in between.
        idle = [Raw(served.port) for _ in range(6)]
        for number, connection in enumerate(idle):
            assert connection.send(head("/graphql", f"X-Forwarded-For: 192.0.2.{50 + number % 2}")).answer()[0] == 401
        assert idle[0].send(head("/graphql", ours)).answer()[0] == 429
        for connection in opened + idle:
            connection.close()


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", [b"203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [b"forged, 203.0.113.9 , 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"forged", b"203.0.113.9", b"10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [b"203.0.113.9, what"], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", [b"[2001:db8::1]:4711"], "2001:db8::/64"),
        ("::ffff:10.0.0.1", [b"2001:db8:0:0:ffff::2"], "2001:db8::/64"),
        ("10.0.0.1", [b"::ffff:192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", [b"10.0.0.2,10.0.0.3"], "10.0.0.1"),
        ("10.0.0.1", [b"\xff\xfe"], "10.0.0.1"),
        ("10.0.0.1", [b"203.0.113.9" + b",10.0.0.2" * (addresses.FORWARDED_MAX - 1)], "203.0.113.9"),
        ("10.0.0.1", [b"203.0.113.9" + b",10.0.0.2" * addresses.FORWARDED_MAX], "10.0.0.1"),
    ],
)
def test_the_last_address_that_no_proxy_has_is_the_clients(peer: str, forwarded: list[bytes], found: str) -> None:
    trusted = Settings.load(trusted_proxies="10.0.0.0/8").trusted_proxies
    assert addresses.origin(peer, forwarded, trusted) == found
