"""Accounts made by the stack: one generated sign-in a role, or the well-known ones of a demo."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from bi_app.auth.accounts import HASHER, create_account, set_password, verify_password
from warehouse.access import ROLES, Role, Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError

DEMO = {
    "admin@library.com": "admin123",  # pragma: allowlist secret
    "librarian@library.com": "lib123",  # pragma: allowlist secret
    "member@library.com": "member123",  # pragma: allowlist secret
}
BUSIEST_BRANCHES = """
    select branch_code from silver.library_loan_events
    group by branch_code order by count(*) desc, branch_code limit 2
"""
BUSIEST_MEMBER = """
    select member_key from silver.library_loan_events
    where member_key is not null
      and occurred_at > (select max(occurred_at) - interval '90 days'
                         from silver.library_loan_events)
    group by member_key order by count(*) desc, member_key limit 1
"""


@dataclass(frozen=True)
class SignIn:
    """A sign-in to be shown once."""

    role: Role
    email: str
    password: str


def make_first() -> list[SignIn]:
    """One account a role with a generated password; nothing when there are accounts already."""
    with connect() as db:
        if db.execute("select 1 from app.accounts limit 1").fetchone():
            return []
    made = [SignIn(r, f"{r}@example.org", secrets.token_urlsafe(12)) for r in ROLES]
    for one in made:
        _create(one)
    return made


def make_demo() -> list[SignIn]:
    """The well-known accounts of a demo, made or set back."""
    made = [SignIn(r, f"{r}@library.com", DEMO[f"{r}@library.com"]) for r in ROLES]
    known = {email for _, email, *_ in listed()}
    for one in made:
        if one.email not in known:
            _create(SignIn(one.role, one.email, secrets.token_urlsafe(12)))
        _set_hash(one.email, HASHER.hash(one.password))  # shorter than a password may be
    return made


def refuse_demo() -> None:
    """Refuse to go on while a demo's well-known password still opens the door.

    Raises:
        ConfigurationError: naming the accounts.
    """
    query = "select email, password_hash from app.accounts where email = any(%s)"
    with connect() as db:
        rows = db.execute(query, [list(DEMO)]).fetchall()
    open_doors = [email for email, hashed in rows if verify_password(DEMO[email], hashed)]
    if open_doors:
        raise ConfigurationError(
            f"Demo sign-ins are present: {', '.join(open_doors)}.",
            remedy="Start with `carrel up --demo`, or give them passwords: `carrel users"
            " set-password EMAIL`.",
        )


def listed() -> list[tuple[str, str, str, list[str], bool]]:
    """Every account: role, e-mail, name, branches, whether it may sign in."""
    query = """
        select role, email, name, branches, disabled_at is null
        from app.accounts order by role, email
    """
    with connect() as db:
        return db.execute(query).fetchall()


def viewer(email: str) -> Viewer:
    """Who has the account, as the database sees them.

    Raises:
        ConfigurationError: nobody has, or it is disabled.
    """
    query = """
        select email, role, branches, member_key from app.accounts
        where lower(email) = lower(%s) and disabled_at is null
    """
    with connect() as db:
        row = db.execute(query, [email]).fetchone()
    if row is None:
        raise ConfigurationError(f"{email} has no account.", remedy="See `carrel users list`.")
    return Viewer(row[0], row[1], tuple(row[2]), row[3])


def reset(email: str, password: str | None = None) -> str:
    """Give an account a new password, generated unless given; return it."""
    password = password or secrets.token_urlsafe(12)
    set_password(email, password)
    return password


def add(  # noqa: PLR0913, PLR0917 - an account has as many parts
    email: str,
    name: str,
    role: Role,
    branches: list[str],
    member: str | None,
    old_hash: str | None = None,
) -> str:
    """Make an account with a generated password and return that, unless an old hash is given."""
    password = secrets.token_urlsafe(12)
    create_account(email, name, role, branches, member, password, old_hash=old_hash)
    return password


def _create(one: SignIn) -> None:
    branches, member = [], None
    with connect() as db:
        if one.role == "librarian":
            branches = [row[0] for row in db.execute(BUSIEST_BRANCHES)]
        if one.role == "member":
            row = db.execute(BUSIEST_MEMBER).fetchone()
            member = row[0] if row else None
    name = one.role.capitalize()
    create_account(one.email, name, one.role, branches, member, one.password)


def _set_hash(email: str, hashed: str) -> None:
    with connect() as db:
        db.execute(
            "update app.accounts set password_hash = %s where lower(email) = lower(%s)",
            [hashed, email],
        )
