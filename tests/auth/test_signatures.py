"""Signatures: a fixed algorithm, and nothing but Unauthenticated for a bad token."""

import json

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import clock
from app.auth import TokenReader
from app.errors import Unauthenticated
from app.settings import Settings, SettingsError
from tests.support.tokens import CUSTOMER, FAR, SECRET, claims, encoded, part, reader, refusal, signed, token

# ---------------------------------------------------------------- signatures


def test_another_secret_or_a_changed_token_is_refused():
    good = token(claims())
    assert "signature" in refusal(token(claims(), key=SECRET[::-1]))
    header, _, signature = good.split(".")
    assert "signature" in refusal(f"{header}.{part(claims(sub='eve'))}.{signature}")


def test_the_algorithm_never_comes_from_the_token(pems):
    unsigned = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}."
    assert "algorithm" in refusal(unsigned)
    assert "algorithm" in refusal(token(claims(), key=SECRET * 2, algorithm="HS512"))
    # The classic: the public key, known to all, as an HMAC secret.
    public = pems["RS256"]
    raw = f"{part({'alg': 'HS256'})}.{part(claims())}"
    forged = f"{raw}.{encoded(jwt.get_algorithm_by_name('HS256').sign(raw.encode(), public.encode()))}"
    assert "algorithm" in refusal(forged, reader(jwt_secret=None, jwt_public_key=public))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_verifies_by_its_own_type_alone(keys, pems, algorithm):
    subject = reader(jwt_secret=None, jwt_public_key=pems[algorithm])
    assert subject.read(token(claims(), keys[algorithm], algorithm)).customer_id == CUSTOMER
    for other in keys.keys() - {algorithm}:
        assert "algorithm" in refusal(token(claims(), keys[other], other), subject)
    assert "algorithm" in refusal(token(claims()), subject)
    if algorithm == "RS256":
        assert "algorithm" in refusal(token(claims(), keys[algorithm], "PS256"), subject)


def test_a_reader_without_a_key_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="OUTDIAL_JWT_SECRET is not set"):
        TokenReader(Settings())


# ---------------------------------------------------------------- hostile text


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
        f"{encoded(b'[' * 5000)}.{encoded(b'[' * 5000)}.",
        f"{part({'alg': 'HS256', 'crit': ['x']})}.{part({})}.",
        f"{part({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}..",
        f"{part({'alg': ['HS256']})}.{part({})}.",
        f"{part({'alg': 'HS256', 'kid': 1})}.{part({})}.",
        f"{part([])}.{part({})}.",
        f"{encoded(b'{' + b'1' * 6000)}.{part({})}.",
        f"{encoded(bytes(range(128, 256)))}.{part({})}.",
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
        encoded(b"[]"),
        encoded(b"null"),
        encoded(b"1"),
        encoded(b'"x"'),
        encoded(b"\xff\xfe"),
        encoded(b"[" * 10_000),
        encoded(b'{"exp":' + b"1" * 5000 + b"}"),
        encoded(b""),
    ],
)
def test_a_signed_payload_that_is_no_object_is_unauthenticated(payload):
    refusal(signed(payload))


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
        viewer = reader(**settings).read(signed(parts, header))
    except Unauthenticated:
        return
    assert viewer.customer_id == CUSTOMER
    assert viewer.expires_at > clock.now()
