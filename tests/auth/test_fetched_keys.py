"""Keys that live elsewhere: fetched when they are needed, and no more often."""

import asyncio
import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from structlog.testing import capture_logs

from app import auth
from app.errors import Unauthenticated, Unavailable
from tests.support.tokens import (
    CUSTOMER,
    SECRET,
    claims,
    reader,
    token,
)


class KeyServer:
    """What answers at the JWKS URL, and how often it was asked."""

    def __init__(self):
        self.document: object = {"keys": []}
        self.status = 200
        self.asked = 0
        self.released = threading.Event()
        self.released.set()


@contextmanager
def key_server():
    state = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked += 1
            state.released.wait(10)
            body = state.document if isinstance(state.document, bytes) else json.dumps(state.document).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state, f"http://127.0.0.1:{http_server.server_port}/keys"
        finally:
            state.released.set()
            http_server.shutdown()
            thread.join()


ALGORITHMS = {
    rsa.RSAPrivateKey: "RS256",
    ec.EllipticCurvePrivateKey: "ES256",
    ed25519.Ed25519PrivateKey: "EdDSA",
}


def jwk(key, key_id=None, **more):
    name = next(name for kind, name in ALGORITHMS.items() if isinstance(key, kind))
    data = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    return data | ({"kid": key_id} if key_id else {}) | more


@pytest.fixture
def at_home():
    with key_server() as (state, url):
        yield state, reader(jwt_secret=None, jwt_jwks_url=url)


@pytest.fixture
def tick(monkeypatch):
    """Moves the clock that the cache of keys goes by."""
    moved = [0.0]
    real = auth.time.monotonic
    monkeypatch.setattr(auth.time, "monotonic", lambda: real() + moved[0])

    def move(seconds):
        moved[0] += seconds

    return move


async def test_fetched_keys_verify_by_their_own_type(at_home, keys):
    state, subject = at_home
    state.document = {"keys": [jwk(key, name) for name, key in keys.items()]}
    for name, key in keys.items():
        assert (await subject.viewer(token(claims(), key, name, kid=name))).customer_id == CUSTOMER
        for other in keys.keys() - {name}:
            with pytest.raises(Unauthenticated):
                await subject.viewer(token(claims(), key, name, kid=other))
    assert state.asked == 1


async def test_keys_for_other_uses_and_shared_secrets_verify_nothing(at_home, keys):
    state, subject = at_home
    secret = jwt.get_algorithm_by_name("HS256").to_jwk(SECRET.encode(), as_dict=True) | {"kid": "oct"}
    state.document = {
        "keys": [
            secret,
            jwk(keys["ES256"], "enc", use="enc"),
            jwk(keys["RS256"], "ps", alg="PS256"),
            jwk(keys["EdDSA"], "good"),
        ]
    }
    assert (await subject.viewer(token(claims(), keys["EdDSA"], "EdDSA", kid="good"))).subject == "ann"
    for text in (
        token(claims(), SECRET, "HS256", kid="oct"),
        token(claims(), keys["ES256"], "ES256", kid="enc"),
        token(claims(), keys["RS256"], "RS256", kid="ps"),
        token(claims(), keys["RS256"], "PS256", kid="ps"),
    ):
        with pytest.raises(Unauthenticated):
            await subject.viewer(text)


async def test_a_token_may_leave_out_the_key_id_where_there_is_one_key(at_home, keys, tick):
    state, subject = at_home
    state.document = {"keys": [jwk(keys["ES256"])]}
    text = token(claims(), keys["ES256"], "ES256")
    assert (await subject.viewer(text)).customer_id == CUSTOMER
    state.document = {"keys": [jwk(keys["ES256"], "a"), jwk(keys["EdDSA"], "b")]}
    tick(auth.JWKS_LIFESPAN_SECONDS + 1)
    with pytest.raises(Unauthenticated, match="a key that this server does not know"):
        await subject.viewer(text)


async def test_a_new_key_is_fetched_but_made_up_ids_do_not_flood_the_issuer(at_home, keys, tick):
    state, subject = at_home
    state.document = {"keys": [jwk(keys["ES256"], "old")]}
    await subject.viewer(token(claims(), keys["ES256"], "ES256", kid="old"))
    state.document = {"keys": [jwk(keys["EdDSA"], "new")]}
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await subject.viewer(token(claims(), keys["EdDSA"], "EdDSA", kid=f"made up {number}"))
    assert state.asked == 1
    tick(auth.JWKS_COOLDOWN_SECONDS + 1)
    assert (await subject.viewer(token(claims(), keys["EdDSA"], "EdDSA", kid="new"))).subject == "ann"
    assert state.asked == 2
    with pytest.raises(Unauthenticated):  # revoked by its absence
        await subject.viewer(token(claims(), keys["ES256"], "ES256", kid="old"))


@pytest.mark.parametrize(
    ("status", "document"),
    [(500, {}), (302, {}), (200, b"<html>"), (200, []), (200, {"keys": []}), (200, {"keys": 1}), (200, b"[" * 100_000)],
)
async def test_keys_that_cannot_be_fetched_are_unavailable(at_home, keys, tick, status, document):
    state, subject = at_home
    good = {"keys": [jwk(keys["ES256"], "a")]}
    state.status, state.document = status, document
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    for _ in range(5):
        with pytest.raises(Unavailable):
            await subject.viewer(text)
    assert state.asked == 1
    state.status, state.document = 200, good
    tick(auth.JWKS_RETRY_SECONDS + 1)
    assert (await subject.viewer(text)).customer_id == CUSTOMER


async def test_no_remembered_token_outlives_its_key(at_home, keys, tick, verified):
    """Also if the new key has the old one's id, and while the keys' server is down for too long."""
    state, subject = at_home
    state.document = {"keys": [jwk(keys["ES256"], "a")]}
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    for _ in range(3):
        await subject.viewer(text)
    assert verified == [text]
    tick(auth.JWKS_LIFESPAN_SECONDS + 1)  # the same keys, fetched anew
    await subject.viewer(text)
    assert (verified, state.asked) == ([text] * 2, 2)
    state.document = {"keys": [jwk(keys["EdDSA"], "a")]}
    tick(auth.JWKS_LIFESPAN_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        await subject.viewer(text)
    state.document = {"keys": [jwk(keys["ES256"], "a")]}
    tick(auth.JWKS_LIFESPAN_SECONDS + 1)
    assert (await subject.viewer(text)).customer_id == CUSTOMER
    state.status = 503
    tick(auth.JWKS_STALE_SECONDS_MAX + 1)
    with pytest.raises(Unavailable):
        await subject.viewer(text)


async def test_known_keys_outlive_their_server_for_a_while(at_home, keys, tick):
    state, subject = at_home
    state.document = {"keys": [jwk(keys["ES256"], "a")]}
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    await subject.viewer(text)
    state.status = 503
    tick(auth.JWKS_LIFESPAN_SECONDS + 1)
    assert (await subject.viewer(text)).customer_id == CUSTOMER
    assert state.asked == 2
    tick(auth.JWKS_STALE_SECONDS_MAX)
    with pytest.raises(Unavailable):
        await subject.viewer(text)


async def test_the_loop_goes_on_and_one_fetch_serves_all_who_wait(at_home, keys):
    state, subject = at_home
    state.document = {"keys": [jwk(keys["ES256"], "a")]}
    state.released.clear()
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    waiting = [asyncio.create_task(subject.viewer(text)) for _ in range(20)]
    while state.asked == 0:  # noqa: ASYNC110 - it is counted on another thread
        await asyncio.sleep(0.01)  # which would hang if the fetch held the loop
    waiting[0].cancel()  # whoever hangs up takes nobody's answer with him
    await asyncio.sleep(0)
    state.released.set()
    viewers = await asyncio.gather(*waiting[1:])
    assert {viewer.customer_id for viewer in viewers} == {CUSTOMER}
    assert waiting[0].cancelled()
    assert state.asked == 1


async def test_a_server_that_does_not_answer_is_unavailable_in_time(at_home, keys, monkeypatch):
    state, subject = at_home
    monkeypatch.setattr(auth, "JWKS_TIMEOUT_SECONDS", 0.1)
    state.released.clear()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await subject.viewer(token(claims(), keys["ES256"], "ES256", kid="a"))


@pytest.mark.parametrize("slow_part", ["head", "body"])
async def test_a_server_that_sends_a_byte_at_a_time_is_left_and_a_good_one_is_served_at_once(
    keys, tick, monkeypatch, slow_part
):
    document = json.dumps({"keys": [jwk(keys["ES256"], "a")]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(document)
    is_well, left = asyncio.Event(), asyncio.Event()

    async def serve(asks, writer):
        with suppress(EOFError, ConnectionError):
            await asks.readuntil(b"\r\n\r\n")
            at_once = len(head + document) if is_well.is_set() else len(head) if slow_part == "body" else 0
            writer.write((head + document)[:at_once])
            for byte in (head + document)[at_once:]:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
                if asks.at_eof():
                    left.set()
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    subject = reader(jwt_secret=None, jwt_jwks_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    threads = threading.active_count()
    async with server, asyncio.timeout(20):
        with monkeypatch.context() as patch:
            patch.setattr(auth, "JWKS_TIMEOUT_SECONDS", 0.4)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await subject.viewer(text)
                tick(auth.JWKS_RETRY_SECONDS + 1)
        await left.wait()
        assert threading.active_count() <= threads  # one of another test may have ended
        is_well.set()
        assert (await subject.viewer(text)).customer_id == CUSTOMER


async def test_a_document_without_end_is_left_after_its_bytes(keys, tick):
    sent = 0

    async def serve(asks, writer):
        nonlocal sent
        await asks.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"[]," * 20_000)
                await writer.drain()
                sent += 60_000
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    subject = reader(jwt_secret=None, jwt_jwks_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    async with server, asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await subject.viewer(token(claims(), keys["ES256"], "ES256", kid="a"))
    assert sent < 32 * auth.JWKS_BYTES_MAX  # what the system holds for a connection comes on top


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_document_may_be_as_long_as_its_bound_and_no_longer(at_home, keys, excess):
    state, subject = at_home
    document = json.dumps({"keys": [jwk(keys["ES256"], "a")]}).encode()
    state.document = document.ljust(auth.JWKS_BYTES_MAX + excess)
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    if excess:
        with pytest.raises(Unavailable):
            await subject.viewer(text)
    else:
        assert (await subject.viewer(text)).customer_id == CUSTOMER


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_document_has_no_more_keys_than_its_bound(at_home, keys, excess):
    state, subject = at_home
    others = [jwk(keys["EdDSA"], f"other {number}") for number in range(auth.JWKS_KEYS_MAX - 1 + excess)]
    state.document = {"keys": [jwk(keys["ES256"], "a"), *others]}
    text = token(claims(), keys["ES256"], "ES256", kid="a")
    if excess:
        with pytest.raises(Unavailable):
            await subject.viewer(text)
    else:
        assert (await subject.viewer(text)).customer_id == CUSTOMER


@pytest.mark.parametrize("order", [1, -1])
async def test_of_two_keys_with_one_id_none_is_taken_and_the_log_says_so_once(at_home, keys, tick, order):
    state, subject = at_home
    two = [jwk(keys["ES256"], "a"), jwk(keys["EdDSA"], "a")][::order]
    state.document = {"keys": [*two, jwk(keys["RS256"], "b")]}
    with capture_logs() as lines:
        for _ in range(2):
            for name in ("ES256", "EdDSA"):
                with pytest.raises(Unauthenticated):
                    await subject.viewer(token(claims(), keys[name], name, kid="a"))
            assert (await subject.viewer(token(claims(), keys["RS256"], "RS256", kid="b"))).customer_id == CUSTOMER
            tick(auth.JWKS_LIFESPAN_SECONDS + 1)
    assert [line["key_ids"] for line in lines if line["event"] == "issuer_keys_ambiguous"] == [["a"]]


async def test_of_two_keys_without_an_id_none_is_taken(at_home, keys):
    state, subject = at_home
    state.document = {"keys": [jwk(keys["ES256"]), jwk(keys["EdDSA"])]}
    for name in ("ES256", "EdDSA"):
        with pytest.raises(Unauthenticated):
            await subject.viewer(token(claims(), keys[name], name))


async def test_hostile_text_never_reaches_the_key_server(at_home):
    state, subject = at_home
    for text in ("", "a.b.c", "x" * 20_000, "\ud800.."):
        with pytest.raises(Unauthenticated):
            await subject.viewer(text)
    assert state.asked == 0
