"""Passwords: which are taken, how they are kept, and how older ways of keeping them are read.

Kept is argon2id. A PBKDF2 hash, as Django, Werkzeug and passlib write it, is accepted once more
and then replaced. Nobody has to mix kinds of characters; what others try first is refused.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import hmac
import mmap
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bi_app.words import N_, _
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

SHORTEST, LONGEST = 10, 256
RECOMMENDED = 15
HASHER = PasswordHasher(time_cost=2, memory_cost=47 * 1024, parallelism=1)  # KiB: 47 MiB
COMMON = Path(__file__).parent / "common_passwords.txt.gz"
OUR_WORDS = ("carrel", "library", "librarian")
ADVICE = N_("Three or four words that only you would put together are good.")
# pragma: allowlist nextline secret
ROWS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "0123456789")
LEET = str.maketrans("@431!05$7", "aaeiiosst")
MOST_ROUNDS = 5_000_000  # an imported hash must not keep a processor busy for minutes


# Which are taken --------------------------------------------------------------------------------


def refuse_weak(password: str, about: Iterable[str] = ()) -> None:
    """Refuse a password that is too short, common, breached, or made of the person's own words.

    `about` are texts on the person, such as name and e-mail.

    Raises:
        ConfigurationError: saying which of these it is.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigurationError(
            _(
                "A password has {shortest} to {longest} characters; this one has {password}.",
                shortest=SHORTEST,
                longest=LONGEST,
                password=len(password),
            )
        )
    if _is_common(password):
        raise ConfigurationError(
            _("This password is among the first that others try."), remedy=_(ADVICE)
        )
    if _core(password) in _words(about):
        raise ConfigurationError(
            _("This password is little more than your name or ours."), remedy=_(ADVICE)
        )
    if is_breached(password):
        raise ConfigurationError(_("This password is in a list of stolen ones."), remedy=_(ADVICE))


def _is_common(password: str) -> bool:
    """Whether it is a common password, one with trimmings, one repeated, or a row of keys."""
    lowered = password.lower()
    once = _period(lowered)
    forms = {lowered, once, _core(lowered), _core(lowered).translate(LEET), _core(once)}
    return len(set(lowered)) < 4 or _is_row(lowered) or any(f in _common() for f in forms if f)


def _core(password: str) -> str:
    """The password without case, and without what is no letter at its ends: `Monkey2024!`."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", password.lower())


def _period(text: str) -> str:
    """The text that this one repeats: `abcabc` is `abc` twice; else the text itself."""
    return text[: (text + text).find(text, 1)]


def _is_row(text: str) -> bool:
    """Whether it runs along the alphabet, the digits or the keyboard, in either direction."""
    return any(text in row * 4 or text in (row * 4)[::-1] for row in ROWS)


def _words(about: Iterable[str]) -> set[str]:
    """The words on the person, and the first part of an address as one."""
    texts = [text.lower() for text in about] + [" ".join(OUR_WORDS)]
    found = {word for text in texts for word in re.split(r"[\W_]+", text)}
    found |= {_core(text.partition("@")[0]) for text in texts}
    found |= {re.sub(r"[\W_]+", "", text.partition("@")[0]) for text in texts}
    return {word for word in found if len(word) > 2}


@cache
def _common() -> frozenset[str]:
    lines = gzip.decompress(COMMON.read_bytes()).decode().splitlines()
    return frozenset(line for line in lines if len(line) > 3 and not line.startswith("# "))


def is_breached(password: str) -> bool:
    """Whether its SHA-1 is in the file of stolen passwords that the settings name.

    The file is searched where it lies: Have I Been Pwned's has 40 GB.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path = settings().breached_passwords
    if path is None:
        return False
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines,
        ):
            return _stands_in(lines, wanted)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            _("{path} cannot be searched: {error}.", path=path, error=error),
            remedy=_("See CARREL_BREACHED_PASSWORDS."),
        ) from None


def _stands_in(lines: mmap.mmap, wanted: bytes) -> bool:
    """Binary search among sorted lines `SHA1` or `SHA1:count`."""
    low, high = 0, len(lines)
    while low < high:
        start = lines.rfind(b"\n", 0, (low + high) // 2) + 1
        end = lines.find(b"\n", start)
        end = len(lines) if end < 0 else end
        found = lines[start:end].partition(b":")[0].strip().upper()
        if found == wanted:
            return True
        if found < wanted:
            low = end + 1
        else:
            high = start
    return False


# How they are kept ------------------------------------------------------------------------------


def hash_password(password: str, about: Iterable[str] = ()) -> str:
    """The argon2id hash of a password that may be taken, with its salt and parameters.

    Raises:
        ConfigurationError: the password is refused (see `refuse_weak`).
    """
    refuse_weak(password, about)
    return HASHER.hash(password)


def verify_password(password: str, hashed: str) -> bool:
    """Whether the password belongs to the hash; takes some 50 ms on purpose."""
    try:
        return HASHER.verify(hashed, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False


def is_old(hashed: str) -> bool:
    """Whether a hash was made in another way than today's."""
    return not hashed.startswith("$argon2") or HASHER.check_needs_rehash(hashed)


def is_pbkdf2(hashed: str) -> bool:
    """Whether this is a PBKDF2 hash that `verify_pbkdf2` reads."""
    return _pbkdf2(hashed) is not None


def verify_pbkdf2(password: str, hashed: str) -> bool:
    """Whether the password belongs to a PBKDF2 hash; a hash of another kind is nobody's."""
    parts = _pbkdf2(hashed)
    if parts is None:
        return False
    name, rounds, salt, wanted = parts
    given = hashlib.pbkdf2_hmac(name, password[:LONGEST].encode(), salt, rounds, len(wanted))
    return hmac.compare_digest(given, wanted)


def _pbkdf2(hashed: str) -> tuple[str, int, bytes, bytes] | None:
    """Digest, rounds, salt and key of a PBKDF2 hash as Django, Werkzeug or passlib writes it."""
    ways = (
        (r"pbkdf2_(sha256|sha512|sha1)\$(\d+)\$([^$]+)\$([^$]+)", str.encode, base64.b64decode),
        (r"pbkdf2:(sha256|sha512|sha1):(\d+)\$([^$]+)\$([0-9a-f]+)", str.encode, bytes.fromhex),
        (r"\$pbkdf2-(sha256|sha512)\$(\d+)\$([^$]*)\$([^$]+)", _ab64, _ab64),
    )
    for pattern, salt, key in ways:
        if found := re.fullmatch(pattern, hashed):
            name, rounds = found[1], int(found[2])
            try:
                parts = name, rounds, salt(found[3]), key(found[4])
            except (ValueError, binascii.Error):
                return None
            return parts if 0 < rounds <= MOST_ROUNDS and parts[3] else None
    return None


def _ab64(text: str) -> bytes:
    """passlib's base64: `.` for `+`, no padding."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)
