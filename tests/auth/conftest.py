"""Keys of each kind, and which tokens were verified with them."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app import auth


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


@pytest.fixture
def verified(monkeypatch):
    """The tokens whose signature was verified."""
    texts = []
    decode = jwt.decode

    def counting(text, *args, **named):
        texts.append(text)
        return decode(text, *args, **named)

    monkeypatch.setattr(auth.jwt, "decode", counting)
    return texts
