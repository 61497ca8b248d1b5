"""Accounts and their passwords: argon2id, and nothing that says whether an account exists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Row

from bi_app.auth.sql import run
from warehouse.access import ROLES, Role, Viewer
from warehouse.errors import ConfigurationError

SHORTEST, LONGEST = 10, 256
HASHER = PasswordHasher(time_cost=2, memory_cost=47 * 1024, parallelism=1)  # KiB: 47 MiB


@dataclass(frozen=True)
class Account:
    """A person who may sign in."""

    account_id: int
    email: str
    name: str
    viewer: Viewer


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and parameters.

    Raises:
        ConfigurationError: the password is shorter than 10 or longer than 256 characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigurationError(
            f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}."
        )
    return HASHER.hash(password)


def verify_password(password: str, hashed: str) -> bool:
    """Whether the password belongs to the hash; takes some 50 ms on purpose."""
    try:
        return HASHER.verify(hashed, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False


def create_account(  # noqa: PLR0913, PLR0917 - an account has six parts
    email: str,
    name: str,
    role: Role,
    branches: Sequence[str] = (),
    member_key: str | None = None,
    password: str = "",
) -> int:
    """Make an account and return its number.

    Raises:
        ConfigurationError: the account exists, the role is unknown, the password is too short,
            or a member has no key.
    """
    check_parts(email, role, branches, member_key)
    rows = run(
        "add_account",
        email=email,
        name=name,
        role=role,
        branches=list(branches),
        member_key=member_key,
        password_hash=hash_password(password),
    )
    if not rows:
        raise ConfigurationError(f"{email} has an account already.")
    return int(rows[0].account_id)


def check_parts(email: str, role: str, branches: Sequence[str], member_key: str | None) -> None:
    """Refuse what the viewer's signed claim could not hold.

    Raises:
        ConfigurationError: naming the part.
    """
    if role not in ROLES:
        raise ConfigurationError(f"{role!r} is no role.", remedy=f"Roles: {', '.join(ROLES)}.")
    if not re.fullmatch(r"[^@\s|]+@[^@\s|]+", email) or len(email) > 200:
        raise ConfigurationError(f"{email!r} is no e-mail address.")
    if any("|" in b or "," in b for b in branches) or "|" in (member_key or ""):
        raise ConfigurationError("A branch code or member key holds a separator.")


def set_password(email: str, password: str) -> None:
    """Give an account a new password and end its sessions.

    Raises:
        ConfigurationError: there is no such account.
    """
    if not run("set_password", email=email, password_hash=hash_password(password)):
        raise ConfigurationError(f"{email} has no account.")
    run("end_sessions_of", email=email)


def check_password(email: str, password: str) -> Account | None:
    """The account, when the password is right; as slow for an unknown e-mail as for a known."""
    rows = run("account", email=email)
    hashed = (rows[0].password_hash if rows else None) or _decoy()
    return account(rows[0]) if verify_password(password, hashed) and rows else None


def account(row: Row[tuple[object, ...]]) -> Account:
    """An account from a row with its columns."""
    viewer = Viewer(row.email, row.role, tuple(row.branches), row.member_key)
    return Account(row.account_id, row.email, row.name, viewer)


@cache
def _decoy() -> str:
    return HASHER.hash("no account has this password")
