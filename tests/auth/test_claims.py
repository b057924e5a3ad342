"""Tokens: both shapes of claims, their times, and what a scope allows."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app import auth, clock
from app.auth import Scope, TokenReader, Viewer
from app.errors import Forbidden
from app.settings import Settings, SettingsError
from tests.support.tokens import CUSTOMER, EVERY_SCOPE, FAR, SECRET, claims, reader, refusal, signed, token

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
    assert refusal(signed(claims(sub=subject))) == "The token's claim sub must be text."


# ---------------------------------------------------------------- time


def test_an_expiry_is_required():
    parts = claims()
    del parts["exp"]
    assert "needs the claim exp" in refusal(token(parts))
    assert "needs the claim exp" in refusal(signed(claims(exp=None)))


@pytest.mark.parametrize("exp", ["soon", "4102444800", True, [], 1e300, 10**30, float("nan"), float("inf")])
def test_an_expiry_is_a_time(exp):
    assert refusal(signed(claims(exp=exp))) == "The token's claim exp is not a time."


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
        assert "audience" in refusal(signed(wrong), strict)
    # Where they are not set, they may be anything.
    assert reader().read(token(good)).customer_id == CUSTOMER


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
