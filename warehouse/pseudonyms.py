"""Keyed pseudonyms: what stands for a person in silver, gold and accounts."""

from __future__ import annotations

import hashlib
import hmac

from warehouse.settings import settings

NOBODY = "0" * 32  # what stands for a person that was forgotten; no HMAC is ever that


def pseudonym(value: str) -> str:
    """The pseudonym of a cleaned identifier: the first 32 hex digits of its HMAC-SHA256."""
    return hmac.new(_key(), value.encode(), hashlib.sha256).hexdigest()[:32]


def pads() -> tuple[bytes, bytes]:
    """The key's inner and outer pad (RFC 2104), for engines that have only SHA-256."""
    block = _key().ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def _key() -> bytes:
    key = settings().secrets["pseudonym_key"].encode()
    return hashlib.sha256(key).digest() if len(key) > 64 else key
