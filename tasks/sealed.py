"""Seal a file: encrypted in pieces that are authenticated one by one, in bounded memory.

A sealed file is a header and pieces of at most 1 MiB, each AES-256-GCM. The nonce of a piece holds
its number and whether it is the last, and the label (what the file is, of which backup) is bound
to every piece: a piece that was changed, moved, cut off, or taken from another file is noticed.

    CARREL-SEALED-1\\n | salt (16) | check (16) | nonce prefix (7) | pieces, each with its tag (16)
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from warehouse.errors import CarrelError, ConfigurationError

MAGIC = b"CARREL-SEALED-1\n"
PIECE = 1 << 20
TAG, SALT, CHECK, PREFIX = 16, 16, 16, 7
WORK = 2**15  # scrypt's cost: 32 MB and some 0.1 s, once a backup


def seal(chunks: Iterable[bytes], key: str, label: str, salt: bytes) -> Iterator[bytes]:
    """The sealed form of the chunks, in chunks of at most 1 MiB and a tag.

    Args:
        chunks: the plain bytes, in chunks of any size.
        key: the pass phrase.
        label: what the bytes are; `unseal` must be told the same.
        salt: 16 random bytes; files of one backup may share them.
    """
    cipher, check = _cipher(key, salt)
    prefix = secrets.token_bytes(PREFIX)
    yield MAGIC + salt + check + prefix
    number, held = 0, None
    for piece in _pieces(chunks):
        if held is not None:
            yield cipher.encrypt(_nonce(prefix, number, last=False), held, label.encode())
            number += 1
        held = piece
    yield cipher.encrypt(_nonce(prefix, number, last=True), held or b"", label.encode())


def unseal(stream: BinaryIO, key: str | None, label: str, name: Path) -> Iterator[bytes]:
    """The plain bytes of a sealed file, in chunks of at most 1 MiB.

    Raises:
        ConfigurationError: there is no key, or it is another one than it was sealed with.
        CarrelError: the file is damaged, cut off, changed, or another one than `label` says.
    """
    cipher, prefix = _open(stream, key, name)
    number, piece, last = 0, stream.read(PIECE + TAG), False
    while not last:
        following = stream.read(PIECE + TAG)
        last = not following
        yield _plain(cipher, _nonce(prefix, number, last=last), piece, label, name)
        number, piece = number + 1, following


def authentic(text: bytes, key: str, salt: bytes) -> str:
    """The HMAC-SHA256 of a short text under the key, as 64 hexadecimal digits."""
    return hmac.new(_derived(key, salt)[1], text, hashlib.sha256).hexdigest()


def _open(stream: BinaryIO, key: str | None, name: Path) -> tuple[_Cipher, bytes]:
    head = stream.read(len(MAGIC) + SALT + CHECK + PREFIX)
    if not head.startswith(MAGIC) or len(head) < len(MAGIC) + SALT + CHECK + PREFIX:
        raise CarrelError(f"{name}: is no sealed file.", remedy="Use another backup.")
    if not key:
        raise ConfigurationError(
            f"{name}: is encrypted and there is no key.",
            remedy="Set CARREL_BACKUP_KEY to the key that the backup was made with.",
        )
    rest = head[len(MAGIC) :]
    salt, check, prefix = rest[:SALT], rest[SALT : SALT + CHECK], rest[SALT + CHECK :]
    cipher, expected = _cipher(key, salt)
    if not hmac.compare_digest(check, expected):
        raise ConfigurationError(
            f"{name}: CARREL_BACKUP_KEY is not the key that it was sealed with.",
            remedy="Set the key that the backup was made with.",
        )
    return cipher, prefix


def _plain(cipher: _Cipher, nonce: bytes, piece: bytes, label: str, name: Path) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, piece, label.encode())
    except (InvalidTag, ValueError):
        raise CarrelError(
            f"{name}: is damaged or was changed after it was sealed.", remedy="Use another backup."
        ) from None


class _Cipher:
    """AES-256-GCM, imported when it is needed."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = AESGCM(key)
        self.encrypt, self.decrypt = cipher.encrypt, cipher.decrypt


def _cipher(key: str, salt: bytes) -> tuple[_Cipher, bytes]:
    """The cipher, and what tells that the key is the right one."""
    secret, other = _derived(key, salt)
    return _Cipher(secret), hmac.new(other, b"check", hashlib.sha256).digest()[:CHECK]


@lru_cache(maxsize=4)
def _derived(key: str, salt: bytes) -> tuple[bytes, bytes]:
    both = hashlib.scrypt(key.encode(), salt=salt, n=WORK, r=8, p=1, maxmem=64 << 20, dklen=64)
    return both[:32], both[32:]


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([last])


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes in pieces of exactly 1 MiB, the last one shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)
