"""The keys that sign the API's tokens: the current one and the one before, in `secrets.json`.

Both verify; only the current one signs. A running API sees a change at its next token.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import OKPKey

from warehouse.settings import change_secrets, settings

CURRENT, BEFORE = "token_key", "token_key_before"
_kept: dict[Path, tuple[int, TokenKeys]] = {}


@dataclass(frozen=True)
class TokenKeys:
    """`by_id` holds every key that verifies, by its `kid`; `current` is the `kid` that signs."""

    current: str
    by_id: dict[str, OKPKey]


def token_keys() -> TokenKeys:
    """The keys as `secrets.json` has them now; the first is made where there is none."""
    path = settings().home / "secrets.json"
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    kept = _kept.get(path)
    if kept is None or kept[0] != stamp:
        kept = _kept[path] = (stamp, _read(path))
    return kept[1]


def rotate() -> str:
    """Make a new current key and return its `kid`; the one before verifies until the next time."""
    token_keys()
    path = settings().home / "secrets.json"
    known = json.loads(path.read_text())
    change_secrets({BEFORE: known[CURRENT], CURRENT: secrets.token_urlsafe(32)})
    return token_keys().current


def _read(path: Path) -> TokenKeys:
    known = json.loads(path.read_text()) if path.exists() else dict(settings().secrets)
    if not known.get(CURRENT):
        known = change_secrets({CURRENT: secrets.token_urlsafe(32)})
    keys = [_key(known[name]) for name in (CURRENT, BEFORE) if known.get(name)]
    by_id = {key.thumbprint()[:16]: key for key in keys}
    return TokenKeys(next(iter(by_id)), by_id)


def _key(seed: str) -> OKPKey:
    """An Ed25519 key from its 32 secret bytes, as base64url."""
    raw = base64.urlsafe_b64decode(seed + "=")
    public = Ed25519PrivateKey.from_private_bytes(raw).public_key()
    x = base64.urlsafe_b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "d": seed, "x": x.rstrip(b"=").decode()}
    )
