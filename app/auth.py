"""Tokens: read into a `Viewer`, or refused with a reason; issued for tests and small installations."""

import asyncio
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app import clock, ids
from app.errors import Forbidden, Unauthenticated, Unavailable
from app.settings import PublicKey, Settings, SettingsError, signature_key

TOKEN_CHARACTERS_MAX = 16_384
NOT_BEFORE_LEEWAY_SECONDS = 10
"""Issuers set `nbf` by their own clock. `exp` has no leeway: a socket closes exactly then."""
JWKS_TIMEOUT_SECONDS = 5.0
JWKS_LIFESPAN_SECONDS = 300.0
JWKS_STALE_SECONDS_MAX = 3600.0
"""How long the last fetched keys stay valid while their server is down."""
JWKS_COOLDOWN_SECONDS = 30.0
"""Tokens with unknown key ids cause a new fetch of the keys at most this often."""
JWKS_RETRY_SECONDS = 3.0
"""The wait after a failed fetch."""

_log = structlog.get_logger(__name__)

# What PyJWT, base64, json and the key objects raise on malformed text. A fuzz test looks for more.
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


class Scope(StrEnum):
    READ = "read"
    WRITE = "write"
    DIAL = "dial"


@dataclass(frozen=True, slots=True)
class Viewer:
    """The customer and the permissions of a token. A use-case reads and writes only data of this customer."""

    customer_id: str
    subject: str
    scopes: frozenset[Scope]
    expires_at: datetime | None

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless the token has that scope. No scope includes another."""
        if scope not in self.scopes:
            raise Forbidden(f"The token lacks the scope {scope.value}.")


@dataclass(frozen=True, slots=True)
class _Key:
    """A key and its only algorithm, which is fixed here and never chosen by a token's header."""

    material: bytes | PublicKey
    algorithm: str


class TokenReader:
    """Turns tokens into viewers with the key from the settings."""

    def __init__(self, settings: Settings) -> None:
        """Take the key, or the URL of the keys, from the settings.

        Raises:
            SettingsError: no key is set.
        """
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._key: _Key | None = None
        self._remote: _RemoteKeys | None = None
        if settings.jwt_secret is not None:
            self._key = _Key(settings.jwt_secret.get_secret_value().encode(), "HS256")
        elif settings.jwt_public_key is not None:
            found = signature_key(load_pem_public_key(settings.jwt_public_key.encode()))
            if found is None:
                raise SettingsError("OUTDIAL_JWT_PUBLIC_KEY must be an RSA, P-256 or Ed25519 key")
            self._key = _Key(*found)
        elif settings.jwt_jwks_url is not None:
            self._remote = _RemoteKeys(settings.jwt_jwks_url)
        else:
            raise SettingsError("OUTDIAL_JWT_SECRET is not set: set it, OUTDIAL_JWT_PUBLIC_KEY or OUTDIAL_JWT_JWKS_URL")

    async def viewer(self, token: str) -> Viewer:
        """The token's viewer. Fetches keys first if they are at a URL.

        Raises:
            Unauthenticated: the token is wrong, with the reason.
            Unavailable: its key could not be fetched.
        """
        if self._remote is not None:
            await self._remote.refresh_for(_key_id(token))
        return self.read(token)

    def read(self, token: str) -> Viewer:
        """Like `viewer`, without I/O: if keys are at a URL, it uses those that were fetched before."""
        key = self._key if self._remote is None else self._remote.get(_key_id(token))
        if key is None:
            raise Unauthenticated("The token is signed with a key that this server does not know.")
        return _viewer(self._claims(token, key))

    def _claims(self, token: str, key: _Key) -> dict[str, Any]:
        _check_length(token)
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    # Times are checked below, by the project's clock, and so are the types of claims.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                    "verify_jti": False,
                    "verify_aud": self._audience is not None,
                    "verify_iss": self._issuer is not None,
                },
            )
        except jwt.InvalidSignatureError:
            raise Unauthenticated("The token's signature is wrong. It was signed with another secret or key.") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError):
            raise Unauthenticated("The token's audience or issuer is not accepted by this server.") from None
        except jwt.InvalidAlgorithmError:
            raise Unauthenticated("The token's signature algorithm is not accepted by this server.") from None
        except _MALFORMED:
            raise Unauthenticated("The token is not a valid JWT.") from None


def issue(
    settings: Settings,
    customer_id: str,
    subject: str,
    scopes: Iterable[Scope],
    lifetime: timedelta,
) -> str:
    """Make a token that this server accepts.

    Raises:
        SettingsError: the settings hold no secret to sign with.
        ValueError: the customer's id is malformed.
    """
    if settings.jwt_secret is None:
        raise SettingsError(
            "OUTDIAL_JWT_SECRET is not set: this server can verify tokens but not sign them"
            if settings.has_key
            else "OUTDIAL_JWT_SECRET is not set"
        )
    canonical_id = ids.parse(customer_id)
    if canonical_id is None:
        raise ValueError("Invalid customer id. Use a UUID.")
    now = clock.now()
    wanted = frozenset(scopes)
    claims: dict[str, Any] = {
        "customer_id": canonical_id,
        "scope": " ".join(scope.value for scope in Scope if scope in wanted),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    if subject:
        claims["sub"] = subject
    if settings.jwt_audience is not None:
        claims["aud"] = settings.jwt_audience
    if settings.jwt_issuer is not None:
        claims["iss"] = settings.jwt_issuer
    return jwt.encode(claims, settings.jwt_secret.get_secret_value().encode(), algorithm="HS256")


# ---------------------------------------------------------------- claims


def _viewer(claims: Mapping[str, Any]) -> Viewer:
    expires_at = _instant(claims, "exp")
    if expires_at is None:
        raise Unauthenticated("The token has no expiry. It needs the claim exp.")
    now = clock.now()
    if expires_at <= now:
        raise Unauthenticated("The token has expired. Get a new one.")
    not_before = _instant(claims, "nbf")
    if not_before is not None and (not_before - now).total_seconds() > NOT_BEFORE_LEEWAY_SECONDS:
        raise Unauthenticated("The token is not valid yet.")

    if "customer_id" in claims:
        owner: object = claims["customer_id"]
        subject = claims.get("sub", "")
        default_scopes = frozenset({Scope.READ})
    else:
        customer = _customer(claims)
        owner = customer.get("id")
        subject = claims.get("sub") or customer.get("username") or ""
        default_scopes = frozenset(Scope)
    customer_id = ids.parse(owner) if isinstance(owner, str) else None
    if customer_id is None:
        raise Unauthenticated("The token's customer is not a UUID.")
    if not isinstance(subject, str):
        raise Unauthenticated("The token's claim sub must be text.")
    scopes = _scopes(claims["scope"]) if "scope" in claims else default_scopes
    return Viewer(customer_id, subject, scopes, expires_at)


def _instant(claims: Mapping[str, Any], name: str) -> datetime | None:
    """An RFC 7519 NumericDate; None if the claim is missing."""
    seconds = claims.get(name)
    if seconds is None:
        return None
    try:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise Unauthenticated(f"The token's claim {name} is not a time.")
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unauthenticated(f"The token's claim {name} is not a time.") from None


def _customer(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    text = claims.get("customer")
    try:
        customer = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        customer = None
    if not isinstance(customer, dict):
        raise Unauthenticated("The token has no customer. It needs the claim customer_id or customer.")
    return customer


def _scopes(claim: object) -> frozenset[Scope]:
    words = claim.split() if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Unauthenticated("The token's claim scope must be text or a list of text.")
    # Other services' scopes may stand beside ours.
    return frozenset(scope for scope in Scope if scope.value in words)


# ---------------------------------------------------------------- keys at a URL


def _check_length(token: str) -> None:
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise Unauthenticated("The token is too long.")


def _key_id(token: str) -> str | None:
    _check_length(token)
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except _MALFORMED:
        raise Unauthenticated("The token is not a valid JWT.") from None
    return key_id if isinstance(key_id, str) else None


class _RemoteKeys:
    """The keys at a JWKS URL: fetched in a thread, one fetch at a time, and cached."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=JWKS_TIMEOUT_SECONDS)
        self._keys: dict[str | None, _Key] = {}
        self._fetched_at = -math.inf
        self._retry_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    def get(self, key_id: str | None) -> _Key | None:
        if time.monotonic() - self._fetched_at > JWKS_STALE_SECONDS_MAX:
            raise Unavailable("The token issuer's keys cannot be fetched. Try again later.")
        return self._keys.get(key_id)

    async def refresh_for(self, key_id: str | None) -> None:
        now = time.monotonic()
        fresh = now - self._fetched_at <= JWKS_LIFESPAN_SECONDS
        if fresh and key_id in self._keys:
            return
        if self._fetching is None:
            # `fresh` here means an unknown key id, which any client can invent.
            if now < self._retry_at or (fresh and now < self._fetched_at + JWKS_COOLDOWN_SECONDS):
                return
            self._fetching = asyncio.create_task(self._fetch(), name="jwks")
        # Shielded: a client that disconnects must not end the fetch for other clients.
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            # The client's timeout is for each read; this one is for all of them.
            async with asyncio.timeout(2 * JWKS_TIMEOUT_SECONDS):
                document = await asyncio.to_thread(self._client.fetch_data)
            self._keys = _usable(jwt.PyJWKSet.from_dict(document))
            self._fetched_at = time.monotonic()
        except (*_MALFORMED, OSError) as error:  # TimeoutError is an OSError
            self._retry_at = time.monotonic() + JWKS_RETRY_SECONDS
            _log.warning("issuer_keys_not_fetched", error=type(error).__name__)
        finally:
            self._fetching = None


def _usable(key_set: jwt.PyJWKSet) -> dict[str | None, _Key]:
    """The signature keys by id. If there is only one, it is also under None, for tokens that name no key."""
    keys: dict[str | None, _Key] = {}
    for jwk in key_set.keys:
        found = signature_key(jwk.key)  # by the key's own type; a shared secret or a private key is not accepted
        # PyJWK takes the algorithm from the key, or else from its type. A key for PS256 or RS512 is not used here.
        if found is not None and found[1] == jwk.algorithm_name and jwk.public_key_use in {"sig", None}:
            keys[jwk.key_id] = _Key(*found)
    if len(keys) == 1:
        keys[None] = next(iter(keys.values()))
    else:
        keys.pop(None, None)
    return keys
