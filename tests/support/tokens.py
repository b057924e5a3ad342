"""Tokens of any shape, and what reads them."""

import base64
import json

import jwt
import pytest

from app.auth import Scope, TokenReader
from app.errors import Unauthenticated
from app.settings import Settings

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


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return encoded(json.dumps(value).encode())


def signed(payload, header=None):
    """A token that PyJWT itself would not make."""
    raw = f"{part(header or {'alg': 'HS256'})}.{payload if isinstance(payload, str) else part(payload)}"
    return f"{raw}.{encoded(jwt.get_algorithm_by_name('HS256').sign(raw.encode(), SECRET.encode()))}"
