"""Tokens: read into a `Viewer`, or refused with a reason; issued for tests and small installations."""

import asyncio
import hashlib
import json
import math
import ssl
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib import import_module
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
TOKENS_REMEMBERED_MAX = 10_000
"""Verified tokens, about 6 MB. The one that was not used for the longest time is forgotten first."""
JWKS_TIMEOUT_SECONDS = 5.0
"""For all of a fetch, from the name's look-up to the last byte."""
JWKS_BYTES_MAX = 256 * 1024
JWKS_KEYS_MAX = 100
"""In one document. Issuers publish two or three."""
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


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token said when it was verified."""

    viewer: Viewer
    expires_at: datetime
    key_id: str | None
    key: _Key


class TokenReader:
    """Turns tokens into viewers with the key from the settings.

    A token is verified once and remembered until it expires, under its hash. It is verified again if its key is another
    object than before: keys at a URL are new objects after each fetch, so no token outlives its key.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the key, or the URL of the keys, from the settings.

        Raises:
            SettingsError: no key is set.
        """
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._key: _Key | None = None
        self._remote: _RemoteKeys | None = None
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
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

    def replace(self, settings: Settings) -> None:
        """Take the key from these settings from now on. Every token is verified again.

        Raises:
            SettingsError: no key is set. The present one stays.
        """
        self.__dict__.update(TokenReader(settings).__dict__)

    async def viewer(self, token: str) -> Viewer:
        """The token's viewer. Fetches keys first if they are at a URL.

        Raises:
            Unauthenticated: the token is wrong, with the reason.
            Unavailable: its key could not be fetched.
        """
        digest = _digest(token)
        if self._remote is not None:
            known = self._verified.get(digest)
            await self._remote.refresh_for(_key_id(token) if known is None else known.key_id)
        return self._read(token, digest)

    def read(self, token: str) -> Viewer:
        """Like `viewer`, without I/O: if keys are at a URL, it uses those that were fetched before."""
        return self._read(token, _digest(token))

    def _read(self, token: str, digest: bytes) -> Viewer:
        known = self._verified.pop(digest, None)
        key_id = known.key_id if known is not None else None if self._remote is None else _key_id(token)
        key = self._key if self._remote is None else self._remote.get(key_id)
        if key is None:
            raise Unauthenticated("The token is signed with a key that this server does not know.")
        if known is None or known.key is not key or known.expires_at <= clock.now():
            viewer = _viewer(self._claims(token, key))
            assert viewer.expires_at is not None
            known = _Verified(viewer, viewer.expires_at, key_id, key)
        self._verified[digest] = known  # the newest again
        if len(self._verified) > TOKENS_REMEMBERED_MAX:
            self._verified.popitem(last=False)
        return known.viewer

    def _claims(self, token: str, key: _Key) -> dict[str, Any]:
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


def _digest(token: str) -> bytes:
    """A token's name among those that were verified, so that they are not all kept in memory."""
    _check_length(token)
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _key_id(token: str) -> str | None:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except _MALFORMED:
        raise Unauthenticated("The token is not a valid JWT.") from None
    return key_id if isinstance(key_id, str) else None


class _RemoteKeys:
    """The keys at a JWKS URL: one fetch at a time, and cached.

    A fetch has no thread: one that waits for a server that sends a byte a second could not be ended.
    """

    def __init__(self, url: str) -> None:
        import_module("httpx")  # servers without such a URL do not need it; later it would hold the loop for 60 ms
        self._url = url
        self._ambiguous: frozenset[str | None] = frozenset()
        """The ids that were logged."""
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
            async with asyncio.timeout(JWKS_TIMEOUT_SECONDS):
                body = await _download(self._url)
            found, ambiguous = _usable(_key_set(body))
            if ambiguous != self._ambiguous:
                self._ambiguous = ambiguous
                _log.warning("issuer_keys_ambiguous", key_ids=sorted(map(str, ambiguous)))
            self._keys = found
            self._fetched_at = time.monotonic()
        except (*_MALFORMED, OSError) as error:  # TimeoutError is an OSError
            self._retry_at = time.monotonic() + JWKS_RETRY_SECONDS
            _log.warning("issuer_keys_not_fetched", error=type(error).__name__)
        finally:
            self._fetching = None


async def _download(url: str) -> bytes:
    """The document at a URL, without redirects.

    Raises:
        OSError: it cannot be fetched, or is too long.
    """
    import httpx

    # the system's certificate authorities: to read them takes 20 ms
    verify = (
        await asyncio.to_thread(ssl.create_default_context)
        if url.startswith("https:")
        else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(verify=verify, timeout=JWKS_TIMEOUT_SECONDS) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise OSError(f"the issuer answered {response.status_code}")
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > JWKS_BYTES_MAX:
                    raise OSError("the issuer's document is too long")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error)) from error
    return bytes(body)


def _key_set(body: bytes) -> jwt.PyJWKSet:
    document = json.loads(body)
    if not isinstance(document, dict) or len(document.get("keys", ())) > JWKS_KEYS_MAX:
        raise ValueError("not a set of keys, or too many")
    return jwt.PyJWKSet.from_dict(document)


def _usable(key_set: jwt.PyJWKSet) -> tuple[dict[str | None, _Key], frozenset[str | None]]:
    """The signature keys by id, and the ids that several keys have, which are refused.

    If there is only one key, it is also under None, for tokens that name no key.
    """
    named: defaultdict[str | None, list[_Key]] = defaultdict(list)
    for jwk in key_set.keys:
        found = signature_key(jwk.key)  # by the key's own type; a shared secret or a private key is not accepted
        # PyJWK takes the algorithm from the key, or else from its type. A key for PS256 or RS512 is not used here.
        if found is not None and found[1] == jwk.algorithm_name and jwk.public_key_use in {"sig", None}:
            named[jwk.key_id].append(_Key(*found))
    ambiguous = frozenset(key_id for key_id, keys in named.items() if key_id is not None and len(keys) > 1)
    if sum(map(len, named.values())) == 1:
        [[only]] = named.values()
        return dict.fromkeys((*named, None), only), ambiguous
    return {key_id: keys[0] for key_id, keys in named.items() if key_id is not None and len(keys) == 1}, ambiguous
