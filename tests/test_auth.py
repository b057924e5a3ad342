"""Tokens: both shapes of claims, a fixed algorithm, and nothing but Unauthenticated for a bad one."""

import asyncio
import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import auth, clock
from app.auth import Scope, TokenReader, Viewer
from app.errors import Forbidden, Unauthenticated, Unavailable
from app.settings import Settings, SettingsError

SECRET = "0123456789abcdef0123456789abcdef"
CUSTOMER = "5e4a0680-804e-11ec-8477-2fea5968d85b"
EVERY_SCOPE = frozenset(Scope)
FAR = 4_102_444_800  # 2100-01-01


def reader(**settings):
    return TokenReader(Settings(**({"jwt_secret": SECRET} | settings)))


def token(claims, key=SECRET, algorithm="HS256", **headers):
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def claims(**more):
    return {"customer_id": CUSTOMER, "sub": "ann", "scope": "read write dial", "exp": FAR} | more


def refusal(text, subject=None):
    with pytest.raises(Unauthenticated) as caught:
        (subject or reader()).read(text)
    assert len(caught.value.message) < 100
    return caught.value.message


# ---------------------------------------------------------------- claims


def test_the_first_shape_names_customer_subject_scopes_and_expiry():
    assert reader().read(token(claims())) == Viewer(CUSTOMER, "ann", EVERY_SCOPE, datetime(2100, 1, 1, tzinfo=UTC))


def test_the_reference_shape_names_the_customer_in_json_text_and_has_every_scope():
    customer = json.dumps({"id": CUSTOMER.upper(), "username": "admin", "permission_ids": []})
    viewer = reader().read(token({"customer": customer, "exp": FAR}))
    assert viewer == Viewer(CUSTOMER, "admin", EVERY_SCOPE, datetime(2100, 1, 1, tzinfo=UTC))


def test_a_scope_claim_holds_in_either_shape():
    customer = json.dumps({"id": CUSTOMER, "username": "admin"})
    assert reader().read(token({"customer": customer, "exp": FAR, "scope": "dial"})).scopes == {Scope.DIAL}
    assert reader().read(token({"customer": customer, "exp": FAR, "scope": ""})).scopes == frozenset()
    assert reader().read(token(claims(scope="dial"))).scopes == {Scope.DIAL}


def test_without_a_scope_claim_the_first_shape_may_only_read():
    assert reader().read(token({"customer_id": CUSTOMER, "exp": FAR})) == Viewer(
        CUSTOMER, "", frozenset({Scope.READ}), datetime(2100, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("read  write", {Scope.READ, Scope.WRITE}),
        (["read", "dial"], {Scope.READ, Scope.DIAL}),
        ("openid read READ", {Scope.READ}),
        ("reader", set()),
        ([], set()),
    ],
)
def test_scopes_are_text_or_a_list_and_unknown_ones_are_ignored(scope, scopes):
    assert reader().read(token(claims(scope=scope))).scopes == scopes


@pytest.mark.parametrize("scope", [None, 1, {"read": True}, [["read"]], True])
def test_a_malformed_scope_claim_grants_nothing(scope):
    assert "scope" in refusal(token(claims(scope=scope)))


@pytest.mark.parametrize("customer_id", [None, "", "x", 1, {}, CUSTOMER.replace("-", ""), CUSTOMER + "\n"])
def test_the_customer_must_be_a_uuid(customer_id):
    assert refusal(token(claims(customer_id=customer_id))) == "The token's customer is not a UUID."
    customer = json.dumps({"id": customer_id})
    assert refusal(token({"customer": customer, "exp": FAR})) == "The token's customer is not a UUID."


@pytest.mark.parametrize("customer", [None, "", "{", "[]", "null", 1, {"id": CUSTOMER}, "[" * 100_000])
def test_a_malformed_customer_claim_is_unauthenticated(customer):
    refusal(token({"customer": customer, "exp": FAR}))


def test_a_token_without_a_customer_is_unauthenticated():
    assert "has no customer" in refusal(token({"sub": "ann", "exp": FAR}))


@pytest.mark.parametrize("subject", [1, None, ["ann"], {}])
def test_a_subject_is_text(subject):
    assert refusal(_signed(claims(sub=subject))) == "The token's claim sub must be text."


# ---------------------------------------------------------------- time


def test_an_expiry_is_required():
    parts = claims()
    del parts["exp"]
    assert "needs the claim exp" in refusal(token(parts))
    assert "needs the claim exp" in refusal(_signed(claims(exp=None)))


@pytest.mark.parametrize("exp", ["soon", "4102444800", True, [], 1e300, 10**30, float("nan"), float("inf")])
def test_an_expiry_is_a_time(exp):
    assert refusal(_signed(claims(exp=exp))) == "The token's claim exp is not a time."


def test_a_token_is_good_until_its_expiry_and_not_at_it(monkeypatch):
    text = token(claims(exp=FAR))
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(FAR, UTC) - timedelta(microseconds=1))
    assert reader().read(text).customer_id == CUSTOMER
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(FAR, UTC))
    assert refusal(text) == "The token has expired. Get a new one."


def test_a_token_is_not_good_before_its_time_but_clocks_may_differ_a_little(monkeypatch):
    text = token(claims(nbf=FAR - 1000))
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(FAR - 1011, UTC))
    assert refusal(text) == "The token is not valid yet."
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(FAR - 1010, UTC))
    assert reader().read(text).customer_id == CUSTOMER


# ---------------------------------------------------------------- signatures


def test_another_secret_or_a_changed_token_is_refused():
    good = token(claims())
    assert "signature" in refusal(token(claims(), key=SECRET[::-1]))
    header, _, signature = good.split(".")
    assert "signature" in refusal(f"{header}.{_part(claims(sub='eve'))}.{signature}")


def test_the_algorithm_never_comes_from_the_token(pems):
    unsigned = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims())}."
    assert "algorithm" in refusal(unsigned)
    assert "algorithm" in refusal(token(claims(), key=SECRET * 2, algorithm="HS512"))
    # The classic: the public key, known to all, as an HMAC secret.
    public = pems["RS256"]
    raw = f"{_part({'alg': 'HS256'})}.{_part(claims())}"
    forged = f"{raw}.{_encode(jwt.get_algorithm_by_name('HS256').sign(raw.encode(), public.encode()))}"
    assert "algorithm" in refusal(forged, reader(jwt_secret=None, jwt_public_key=public))


@pytest.fixture(scope="module")
def keys():
    return {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


@pytest.fixture(scope="module")
def pems(keys):
    return {
        name: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for name, key in keys.items()
    }


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_verifies_by_its_own_type_alone(keys, pems, algorithm):
    subject = reader(jwt_secret=None, jwt_public_key=pems[algorithm])
    assert subject.read(token(claims(), keys[algorithm], algorithm)).customer_id == CUSTOMER
    for other in keys.keys() - {algorithm}:
        assert "algorithm" in refusal(token(claims(), keys[other], other), subject)
    assert "algorithm" in refusal(token(claims()), subject)
    if algorithm == "RS256":
        assert "algorithm" in refusal(token(claims(), keys[algorithm], "PS256"), subject)


def test_audience_and_issuer_count_where_they_are_set():
    strict = reader(jwt_audience="outdial", jwt_issuer="https://login.example.com")
    good = claims(aud=["other", "outdial"], iss="https://login.example.com")
    assert strict.read(token(good)).customer_id == CUSTOMER
    for wrong in (
        claims(),
        claims(aud="outdial"),
        claims(iss="https://login.example.com"),
        good | {"aud": "x"},
        good | {"iss": "x"},
        good | {"aud": None},
    ):
        assert "audience" in refusal(_signed(wrong), strict)
    # Where they are not set, they may be anything.
    assert reader().read(token(good)).customer_id == CUSTOMER


def test_a_reader_without_a_key_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="OUTDIAL_JWT_SECRET is not set"):
        TokenReader(Settings())


# ---------------------------------------------------------------- hostile text


def _encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value):
    return _encode(json.dumps(value).encode())


def _signed(payload, header=None):
    """A token that PyJWT itself would not make."""
    raw = f"{_part(header or {'alg': 'HS256'})}.{payload if isinstance(payload, str) else _part(payload)}"
    return f"{raw}.{_encode(jwt.get_algorithm_by_name('HS256').sign(raw.encode(), SECRET.encode()))}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "\0",
        "\ud800.\ud800.\ud800",
        "é" * 50,
        "Bearer x",
        "x" * 20_000,
        f"{_encode(b'[' * 5000)}.{_encode(b'[' * 5000)}.",
        f"{_part({'alg': 'HS256', 'crit': ['x']})}.{_part({})}.",
        f"{_part({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}..",
        f"{_part({'alg': ['HS256']})}.{_part({})}.",
        f"{_part({'alg': 'HS256', 'kid': 1})}.{_part({})}.",
        f"{_part([])}.{_part({})}.",
        f"{_encode(b'{' + b'1' * 6000)}.{_part({})}.",
        f"{_encode(bytes(range(128, 256)))}.{_part({})}.",
    ],
)
async def test_text_that_is_no_token_is_unauthenticated(text, pems):
    for subject in (reader(), reader(jwt_secret=None, jwt_public_key=pems["ES256"])):
        refusal(text, subject)
        with pytest.raises(Unauthenticated):
            await subject.viewer(text)


@pytest.mark.parametrize(
    "payload",
    [
        _encode(b"[]"),
        _encode(b"null"),
        _encode(b"1"),
        _encode(b'"x"'),
        _encode(b"\xff\xfe"),
        _encode(b"[" * 10_000),
        _encode(b'{"exp":' + b"1" * 5000 + b"}"),
        _encode(b""),
    ],
)
def test_a_signed_payload_that_is_no_object_is_unauthenticated(payload):
    refusal(_signed(payload))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.text() | st.builds("{}.{}.{}".format, st.text(), st.text(), st.text()))
def test_no_text_raises_anything_but_unauthenticated(text):
    refusal(text)


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: JSON | st.just(good)
            for name, good in (
                ("customer_id", CUSTOMER),
                ("customer", json.dumps({"id": CUSTOMER})),
                ("sub", "ann"),
                ("scope", "read"),
                ("exp", FAR),
                ("nbf", 0),
                ("iat", 0),
                ("aud", "outdial"),
                ("iss", "x"),
                ("jti", "x"),
            )
        },
    ),
    st.fixed_dictionaries({"alg": st.just("HS256")}, optional={"kid": JSON, "typ": JSON, "crit": JSON, "b64": JSON}),
    st.sampled_from([{}, {"jwt_audience": "outdial"}, {"jwt_issuer": "x"}]),
)
def test_no_signed_claims_raise_anything_but_unauthenticated(parts, header, settings):
    try:
        viewer = reader(**settings).read(_signed(parts, header))
    except Unauthenticated:
        return
    assert viewer.customer_id == CUSTOMER
    assert viewer.expires_at > clock.now()


# ---------------------------------------------------------------- scopes and issue


def test_no_scope_implies_another():
    for scope in Scope:
        viewer = Viewer(CUSTOMER, "", frozenset({scope}), None)
        viewer.require(scope)
        for other in EVERY_SCOPE - {scope}:
            with pytest.raises(Forbidden) as caught:
                viewer.require(other)
            assert caught.value.message == f"The token lacks the scope {other.value}."


def test_an_issued_token_is_read_back():
    settings = Settings(jwt_secret=SECRET, jwt_audience="outdial", jwt_issuer="me")
    before = clock.now()
    text = auth.issue(settings, CUSTOMER.upper(), "ann", [Scope.DIAL, Scope.READ], timedelta(hours=1))
    viewer = TokenReader(settings).read(text)
    assert (viewer.customer_id, viewer.subject, viewer.scopes) == (CUSTOMER, "ann", {Scope.READ, Scope.DIAL})
    assert abs((viewer.expires_at - before).total_seconds() - 3600) < 5


def test_a_token_without_scopes_allows_nothing():
    settings = Settings(jwt_secret=SECRET)
    viewer = TokenReader(settings).read(auth.issue(settings, CUSTOMER, "", [], timedelta(hours=1)))
    assert (viewer.subject, viewer.scopes) == ("", frozenset())


def test_only_a_secret_can_sign(pems):
    with pytest.raises(SettingsError, match="this server can verify tokens but not sign them"):
        auth.issue(Settings(jwt_public_key=pems["ES256"]), CUSTOMER, "", [], timedelta(hours=1))
    with pytest.raises(SettingsError, match="OUTDIAL_JWT_SECRET is not set"):
        auth.issue(Settings(), CUSTOMER, "", [], timedelta(hours=1))
    with pytest.raises(ValueError, match="UUID"):
        auth.issue(Settings(jwt_secret=SECRET), "ann", "", [], timedelta(hours=1))


# ---------------------------------------------------------------- keys that live elsewhere


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
    monkeypatch.setattr(subject._remote._client, "timeout", 0.1)
    state.released.clear()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await subject.viewer(token(claims(), keys["ES256"], "ES256", kid="a"))


async def test_hostile_text_never_reaches_the_key_server(at_home):
    state, subject = at_home
    for text in ("", "a.b.c", "x" * 20_000, "\ud800.."):
        with pytest.raises(Unauthenticated):
            await subject.viewer(text)
    assert state.asked == 0
