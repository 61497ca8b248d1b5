"""The API's short tokens: JWTs (RFC 9068), signed with Ed25519, good for fifteen minutes.

A token names an account and a session and holds no rights: those are looked up at each request.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OKPKey
from joserfc.jwt import JWTClaimsRegistry

from bi_app.auth.token_keys import token_keys

ISSUER, AUDIENCE, TYPE = "carrel", "carrel-api", "at+jwt"
ALGORITHM = "Ed25519"  # EdDSA's name since RFC 9864; the only one that is accepted
SECONDS = 15 * 60
LEEWAY = 5
LONGEST = 2048
CLAIMS = JWTClaimsRegistry(
    leeway=LEEWAY,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    nbf={"essential": True},
    iat={"essential": True},
    jti={"essential": True},
    sub={"essential": True},
    sid={"essential": True},
)


@dataclass(frozen=True)
class Token:
    """What a good token says; `expires` is in seconds since 1970."""

    account_id: int
    session_id: str
    expires: int


def issue(account_id: int, session_id: str, *, now: float | None = None) -> str:
    """A token for a session."""
    keys = token_keys()
    moment = int(time.time() if now is None else now)
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": str(account_id), "sid": session_id,
        "iat": moment, "nbf": moment, "exp": moment + SECONDS, "jti": secrets.token_urlsafe(12),
    }  # fmt: skip
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": keys.current}
    return jwt.encode(header, claims, keys.by_id[keys.current], algorithms=[ALGORITHM])


def read(text: str) -> Token | None:
    """What a token says; None unless its signature, algorithm, type and every claim hold."""
    if len(text) > LONGEST:
        return None
    try:
        token = jwt.decode(text, _key_of, algorithms=[ALGORITHM])
        if token.header.get("typ") != TYPE:
            return None
        CLAIMS.validate(token.claims)
        said = token.claims
        return Token(int(said["sub"]), str(UUID(said["sid"])), int(said["exp"]))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _key_of(asked: GuestProtocol) -> OKPKey:
    """The key that the header names: one of ours, or none.

    Raises:
        ValueError: it is none of ours.
    """
    found = token_keys().by_id.get(str(asked.headers().get("kid")))
    if found is None:
        raise ValueError("no such key")
    return found
