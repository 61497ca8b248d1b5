"""Signing in through a provider of OpenID Connect: authorisation code with PKCE, state, nonce.

The provider is found by its issuer (OpenID Connect Discovery); its tokens are believed when
signature, issuer, audience, times and nonce hold. What its claims mean here is said by settings.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from bi_app.auth.accounts import Account, account_of, check_parts, is_address
from bi_app.auth.sql import run
from bi_app.words import _
from warehouse import audit
from warehouse.access import ROLES, Role
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.pseudonyms import pseudonym
from warehouse.settings import secret, settings

ALGORITHMS = [
    "RS256",
    "PS256",
    "ES256",
    "EdDSA",
    "Ed25519",
]  # what is signed with a shared key is not
TIMEOUT_S = 10
KEEP_S = 600  # how long what the provider says of itself is kept
LEEWAY_S = 60
RETURN = "/sign-in/provider/return"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class NotLetIn(CarrelError):
    """The provider's word does not let this person in; the message is for them to read."""


@dataclass(frozen=True)
class Attempt:
    """What we keep in the browser between leaving for the provider and coming back."""

    state: str
    nonce: str
    verifier: str
    next_page: str
    began: int

    @classmethod
    def new(cls, next_page: str) -> Attempt:
        """Fresh random values."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, next_page, int(time.time()))


# Asking the provider ------------------------------------------------------------------------------


def provider() -> dict[str, Any]:
    """What the provider says of itself, at most ten minutes old.

    Raises:
        ConfigurationError: its address is no address, is not sealed, or is another's.
        NotLetIn: it does not answer.
    """
    return _provider(settings().oidc_issuer, int(time.time()) // KEEP_S)


@lru_cache(maxsize=4)
def _provider(issuer: str, _age: int) -> dict[str, Any]:
    parts = urlsplit(issuer)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(
            _("The provider's address is not sealed."),
            remedy=_("CARREL_OIDC_ISSUER begins with https."),
        )
    found = _fetched("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise ConfigurationError(
            _("The provider calls itself {issuer}.", issuer=repr(str(found.get("issuer"))[:200])),
            remedy=_("Write CARREL_OIDC_ISSUER exactly so."),
        )
    return found


@lru_cache(maxsize=4)
def _keys(address: str, _age: int) -> dict[str, Any]:
    return _fetched("GET", address)


def _fetched(method: str, url: str, **options: Any) -> dict[str, Any]:
    """A JSON document of the provider."""
    try:
        answer = httpx.request(method, url, timeout=TIMEOUT_S, follow_redirects=False, **options)
        document = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        document = None
    if not isinstance(document, dict):
        raise NotLetIn(
            _("The sign-in service does not answer as it should. Please try again later.")
        )
    return document


def address_of(attempt: Attempt) -> str:
    """Where to send the browser."""
    digest = hashlib.sha256(attempt.verifier.encode("ascii")).digest()
    wanted = {
        "response_type": "code",
        "client_id": settings().oidc_client_id,
        "redirect_uri": settings().app_address + RETURN,
        "scope": settings().oidc_scope,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),  # RFC 7636, 4.2
        "code_challenge_method": "S256",
    }
    address = str(provider()["authorization_endpoint"])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(wanted)}"


def claims_of(attempt: Attempt, code: str) -> dict[str, Any]:
    """What the provider says of the person, for the code that the browser brought back.

    Raises:
        NotLetIn: a token does not hold.
    """
    about = provider()
    sent = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": settings().app_address + RETURN,
        "code_verifier": attempt.verifier,
    }
    who = settings().oidc_client_id, secret("oidc_client_secret")
    answer = _fetched("POST", str(about["token_endpoint"]), data=sent, auth=who)
    claims = checked(str(answer.get("id_token")), attempt.nonce)
    access = answer.get("access_token")
    if "userinfo_endpoint" in about and access:
        bearer = {"Authorization": f"Bearer {access}"}
        more = _fetched("GET", str(about["userinfo_endpoint"]), headers=bearer)
        if more.get("sub") != claims["sub"]:
            raise NotLetIn(_("The sign-in service told of two persons."))
        claims = more | claims
    return claims


def checked(token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token, when signature, issuer, audience, times and nonce hold.

    Raises:
        NotLetIn: one of them does not.
    """
    from joserfc import jwt
    from joserfc.errors import JoseError

    wanted = settings()
    registry = jwt.JWTClaimsRegistry(
        leeway=LEEWAY_S,
        iss={"essential": True, "value": wanted.oidc_issuer},
        aud={"essential": True, "value": wanted.oidc_client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        claims = _decoded(token)
        registry.validate(claims)
    except (JoseError, ValueError, KeyError, TypeError):
        raise NotLetIn(_("The sign-in service's word could not be believed.")) from None
    if claims.get("azp", wanted.oidc_client_id) != wanted.oidc_client_id:
        raise NotLetIn(_("The sign-in service's word was for somebody else."))
    return claims


def _decoded(token: str) -> dict[str, Any]:
    """The claims of a token that one of the provider's keys signed; new keys are fetched once."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    address, age = str(provider()["jwks_uri"]), int(time.time()) // KEEP_S
    for last in (False, True):
        keys = KeySet.import_key_set(_keys(address, age))  # type: ignore[arg-type]
        try:
            return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError):
            if last:
                raise
            _keys.cache_clear()
    raise AssertionError


# What its claims mean here ------------------------------------------------------------------------


def account_for(claims: dict[str, Any]) -> Account:
    """The account of a person from the provider, made or changed as the settings say.

    Raises:
        NotLetIn: the e-mail is not verified, or the person has no account and gets none.
        ConfigurationError: the claims would take the last admin away.
    """
    email = str(claims.get("email", ""))
    if not is_address(email) or claims.get("email_verified") is not True:
        raise NotLetIn(_("The sign-in service has not verified your e-mail address."))
    number = _linked(claims) or _by_email(claims, email) or _made(claims, email)
    _set_rights(number, claims)
    found = account_of(number)
    if found is None:
        raise NotLetIn(_("This account is disabled, or waits for an administrator."))
    return found


def _linked(claims: dict[str, Any]) -> int | None:
    rows = run("identity", issuer=settings().oidc_issuer, subject=claims["sub"])
    return int(rows[0].account_id) if rows else None


def _by_email(claims: dict[str, Any], email: str) -> int | None:
    """Link the account with this address, unless it belongs to another person of the provider."""
    values = {"issuer": settings().oidc_issuer, "subject": claims["sub"], "email": email}
    rows = run("link_identity", **values)
    return int(rows[0].account_id) if rows else None


def _made(claims: dict[str, Any], email: str) -> int:
    """A new member, where the settings let unknown persons be one."""
    if settings().oidc_unknown != "member":
        raise NotLetIn(
            _("You have no account here yet. Please ask an administrator to invite you.")
        )
    name = " ".join(str(claims.get("name") or email).split())[:100]
    values = {"email": email, "name": name, "stated_key": None, "password_hash": None}
    run("register", **values)
    made = _by_email(claims, email)
    if made is None:
        raise NotLetIn(_("Your e-mail address belongs to another account."))
    return made


def _set_rights(number: int, claims: dict[str, Any]) -> None:
    """Role, branches and member, of those that the settings name a claim for."""
    wanted = settings()
    branches = _listed(claims, wanted.oidc_branch_claim) if wanted.oidc_branch_claim else None
    member = str(claims.get(wanted.oidc_member_claim) or "") if wanted.oidc_member_claim else ""
    if branches is not None:
        check_parts("any@example.org", "librarian", branches, None)
    rows = run(
        "set_rights",
        account_id=number,
        role=role_of(claims),
        branches=branches,
        member_key=pseudonym(member.strip().upper()) if member.strip() else None,
    )
    for row in rows:
        by = audit.By(row.email, "page", row.role)
        what = {"what": "rights from the provider", "role": row.role, "branches": row.branches}
        audit.note(by, "account", f"account {number}", **what)


def role_of(claims: dict[str, Any]) -> Role | None:
    """The highest role that the claims give; a member without any; None: the settings name none."""
    wanted = settings()
    if not wanted.oidc_role_claim:
        return None
    table = dict(pair.partition("=")[::2] for pair in wanted.oidc_roles.split(",") if pair.strip())
    table = {value.strip(): role.strip() for value, role in table.items()}
    given = {table.get(value) for value in _listed(claims, wanted.oidc_role_claim)}
    return next((role for role in ROLES if role in given), "member")


def _listed(claims: dict[str, Any], name: str) -> list[str]:
    """A claim as a list: of texts, or one text with commas or spaces; `a.b` looks inside `a`."""
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def as_text(attempt: Attempt) -> dict[str, Any]:
    """The attempt, to be kept in a cookie."""
    return asdict(attempt)
