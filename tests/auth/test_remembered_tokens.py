"""Verified tokens are remembered, as long as they are good and their key is known."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import auth, clock
from app.auth import Viewer
from app.errors import Unauthenticated
from tests.support.tokens import (
    CUSTOMER,
    EVERY_SCOPE,
    FAR,
    SECRET,
    claims,
    reader,
    refusal,
    token,
)


async def test_a_token_is_verified_once(verified):
    subject, text = reader(), token(claims())
    viewers = [subject.read(text), await subject.viewer(text), subject.read(text)]
    assert viewers == [Viewer(CUSTOMER, "ann", EVERY_SCOPE, datetime(2100, 1, 1, tzinfo=UTC))] * 3
    assert verified == [text]


def test_a_remembered_token_expires(verified, monkeypatch):
    subject, text = reader(), token(claims(exp=FAR))
    subject.read(text)
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(FAR, UTC))
    assert refusal(text, subject) == "The token has expired. Get a new one."
    assert subject._verified == {}


def test_a_refused_token_is_not_remembered(verified):
    subject = reader()
    for text in (token(claims(exp=1)), token(claims(), key=SECRET[::-1]), "a.b.c"):
        for _ in range(2):
            refusal(text, subject)
    assert subject._verified == {}


def test_another_token_is_verified_even_if_it_differs_in_one_character(verified):
    subject, text = reader(), token(claims())
    subject.read(text)
    changed = text[:-1] + ("A" if text[-1] != "A" else "E")
    refusal(changed, subject)
    assert verified == [text, changed]


def test_no_token_is_kept_in_memory_and_the_longest_unused_is_forgotten_first(verified, monkeypatch):
    monkeypatch.setattr(auth, "TOKENS_REMEMBERED_MAX", 3)
    subject, texts = reader(), [token(claims(sub=f"{number}")) for number in range(4)]
    for text in (*texts[:3], texts[0], texts[3]):
        subject.read(text)
    assert verified == texts
    assert len(subject._verified) == 3
    assert not any(text.encode() in key or key in text.encode() for key in subject._verified for text in texts)
    subject.read(texts[0])
    assert verified == texts
    subject.read(texts[1])
    assert verified == [*texts, texts[1]]


class Issuer:
    """Keys elsewhere, without their server."""

    def __init__(self, keys):
        self.keys = {key_id: auth._Key(key, "HS256") for key_id, key in keys.items()}

    async def refresh_for(self, key_id):
        pass

    def get(self, key_id):
        return self.keys.get(key_id)


KEY_IDS = st.sampled_from(["a", "b"])
SECRETS = st.sampled_from([SECRET.encode(), SECRET[::-1].encode(), SECRET.upper().encode()])
STEPS = st.one_of(
    st.tuples(st.just("read"), st.tuples(KEY_IDS, SECRETS, st.integers(1, 20), st.integers(0, 5))),
    st.tuples(st.just("rotate"), st.dictionaries(KEY_IDS, SECRETS)),
    st.tuples(st.just("later"), st.integers(1, 8)),
)


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=25), st.integers(1, 4))
def test_a_reader_that_remembers_answers_like_one_that_does_not(steps, remembered_max):
    """Whatever keys come, go and change under the same id, and however late it is."""
    subject, issuer, at = (
        reader(jwt_secret=None, jwt_jwks_url="http://127.0.0.1/keys"),
        Issuer({"a": SECRET.encode()}),
        0,
    )

    def outcome(remembering, text):
        remembering._remote = issuer
        try:
            return asyncio.run(remembering.viewer(text))
        except Unauthenticated as error:
            return error.message

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: datetime.fromtimestamp(FAR + at, UTC))
        patch.setattr(auth, "TOKENS_REMEMBERED_MAX", remembered_max)
        for kind, value in steps:
            if kind == "later":
                at += value
            elif kind == "rotate":
                issuer.keys = Issuer(value).keys
            else:
                key_id, secret, lifetime, number = value
                text = token(claims(exp=FAR + lifetime, sub=f"{number}"), key=secret, kid=key_id)
                fresh = reader(jwt_secret=None, jwt_jwks_url="http://127.0.0.1/keys")
                assert outcome(subject, text) == outcome(fresh, text)
                assert len(subject._verified) <= remembered_max
