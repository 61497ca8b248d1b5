"""Accounts and their passwords, and nothing that says whether an account exists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Row

from bi_app import words
from bi_app.auth.passwords import (
    HASHER,
    LONGEST,
    SHORTEST,
    hash_password,
    is_old,
    is_pbkdf2,
    verify_password,
    verify_pbkdf2,
)
from bi_app.auth.sql import run
from bi_app.words import _
from warehouse.access import ROLES, Role, Viewer
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

__all__ = ["HASHER", "LONGEST", "SHORTEST", "hash_password", "verify_password"]

ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f|,;:<>()\[\]\"\\]+@[^@\s\x00-\x1f\x7f|,;:<>()\"\\]+")


@dataclass(frozen=True)
class Account:
    """A person who may sign in."""

    account_id: int
    email: str
    name: str
    viewer: Viewer
    language: str = ""  # that the person chose; none: what the browser prefers


def create_account(  # noqa: PLR0913, PLR0917 - an account has six parts
    email: str,
    name: str,
    role: Role,
    branches: Sequence[str] = (),
    member_key: str | None = None,
    password: str = "",
    *,
    old_hash: str | None = None,
) -> int:
    """Make an account and return its number.

    `old_hash` is a PBKDF2 hash from another program, in place of a password.

    Raises:
        ConfigurationError: the account exists, the role is unknown, the password is refused,
            or the hash is of no kind that is known.
    """
    check_parts(email, role, branches, member_key)
    if old_hash is not None and not is_pbkdf2(old_hash):
        raise ConfigurationError(
            _("This is no PBKDF2 hash of Django, Werkzeug or passlib."),
            remedy=_("Invite the person instead: `carrel invite EMAIL ROLE`."),
        )
    rows = run(
        "add_account",
        email=email,
        name=name,
        role=role,
        branches=list(branches),
        member_key=member_key,
        password_hash=old_hash or hash_password(password, (email, name)),
    )
    if not rows:
        raise ConfigurationError(_("{email} has an account already.", email=email))
    return int(rows[0].account_id)


def check_parts(email: str, role: str, branches: Sequence[str], member_key: str | None) -> None:
    """Refuse what the viewer's signed claim could not hold.

    Raises:
        ConfigurationError: naming the part.
    """
    if role not in ROLES:
        raise ConfigurationError(
            _("{role} is no role.", role=repr(role)),
            remedy=_("Roles: {roles}.", roles=", ".join(ROLES)),
        )
    if not is_address(email):
        raise ConfigurationError(_("{email} is no e-mail address.", email=repr(email)))
    if any("|" in b or "," in b for b in branches) or "|" in (member_key or ""):
        raise ConfigurationError(_("A branch code or member key holds a separator."))


def is_address(email: str) -> bool:
    """Whether this could be one e-mail address, fits a claim, and passes for no other address.

    Addresses are compared in lower case, in which the Kelvin sign is a k: such letters are refused.
    """
    plain = all(c.isascii() or not c.lower()[0].isascii() for c in email)
    return plain and len(email) <= 200 and bool(ADDRESS.fullmatch(email))


def set_password(email: str, password: str) -> None:
    """Give an account a new password; its sessions and API keys end, its links are good no more.

    Raises:
        ConfigurationError: there is no such account, or the password is refused.
    """
    hashed = hash_password(password, (email,))
    found = run("number_of", email=email)
    wanted = {"password_hash": hashed, "end_keys": True}
    if not found or not run("choose_password", account_id=found[0].account_id, **wanted):
        raise ConfigurationError(_("{email} has no account.", email=email))


def check_password(email: str, password: str) -> Account | None:
    """The account, when the password is right; as slow for an unknown e-mail as for a known.

    As many hashes of each kind are worked out for everybody: one argon2id, and one PBKDF2 while
    any account still has such a one. A right password is then kept in today's way.
    """
    rows = run("account", email=email)
    kept = (rows[0].password_hash if rows else None) or decoy()
    if not is_pbkdf2(kept):
        _slow_down(password)
        good = verify_password(password, kept)
        if good and rows and is_old(kept):
            _keep(rows[0].account_id, kept, password)
    elif good := verify_pbkdf2(password, kept):
        _keep(rows[0].account_id, kept, password)
    else:
        verify_password(password, decoy())
    return account(rows[0]) if good and rows else None


def account_of(account_id: int) -> Account | None:
    """The account of a number, when it may sign in."""
    rows = run("account_of", account_id=account_id)
    return account(rows[0]) if rows else None


def has_password(account_id: int) -> bool:
    """Whether the account has a password of its own, and does not only sign in elsewhere."""
    rows = run("account_of", account_id=account_id)
    return bool(rows and rows[0].has_password)


def choose_password(
    account_id: int, password: str, about: Sequence[str] = (), *, end_keys: bool = True
) -> None:
    """Give an account a new password; its sessions end and its links are good no more.

    Its API keys end, too, unless it is said that they shall not: who resets a password may have
    lost the one before to a thief, and with it the keys that the thief made.

    Raises:
        ConfigurationError: the password is refused.
    """
    hashed = hash_password(password, about)
    run("choose_password", account_id=account_id, password_hash=hashed, end_keys=end_keys)


def rename(account_id: int, name: str) -> None:
    """Give an account another name.

    Raises:
        ConfigurationError: it is empty, longer than 100 characters, or cannot be printed.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise ConfigurationError(_("A name has 1 to 100 characters that can be printed."))
    run("rename", account_id=account_id, name=name)


def choose_language(account_id: int, language: str) -> None:
    """Keep the language that an account wants pages and mails in; empty: what the browser prefers.

    Raises:
        ConfigurationError: Carrel does not speak it.
    """
    if language and language not in words.languages():
        raise ConfigurationError(_("Carrel does not speak this language."))
    run("choose_language", account_id=account_id, language=language or None)


def tell_change(email: str, name: str, what: str) -> None:
    """Have a mail sent that says what changed (a key of `deployments.letters.CHANGES`)."""
    if settings().mails:
        letter = {"email": email, "name": name, "stated_key": None, "note": what}
        run("add_letter", kind="changed", language=words.language(), **letter)


def _slow_down(password: str) -> None:
    """Work out a PBKDF2 hash for nothing, as long as any account needs one."""
    for row in run("old_hashes"):
        verify_pbkdf2(password, row.password_hash)


def _keep(account_id: int, old: str, password: str) -> None:
    run("rehash", account_id=account_id, old=old, new=HASHER.hash(password))


def account(row: Row[tuple[object, ...]]) -> Account:
    """An account from a row with its columns."""
    viewer = Viewer(row.email, row.role, tuple(row.branches), row.member_key)
    return Account(row.account_id, row.email, row.name, viewer, row.language or "")


@cache
def decoy() -> str:
    """A hash that no password is known for: to take as long for nobody as for somebody."""
    return HASHER.hash("no account has this password")
