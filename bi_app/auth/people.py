"""What an admin does with people's accounts.

Each function takes who does it. PostgreSQL lets admins alone do these things (row policies of
`app.accounts` and `app.sessions`), ends the sessions of an account whose rights change, and
refuses to lose the last admin.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row

from bi_app.auth import tokens
from bi_app.auth.accounts import check_parts
from bi_app.auth.sql import run_as
from bi_app.auth.tokens import Bearer
from bi_app.words import N_, _
from warehouse import audit
from warehouse.access import Role, Viewer
from warehouse.errors import ConfigurationError
from warehouse.pseudonyms import pseudonym
from warehouse.settings import settings

NOBODY = N_("There is no such account.")


@dataclass(frozen=True)
class Person:
    """An account as admins see it.

    `state` is waiting (for approval), invited (has not chosen a password yet), active or
    disabled. `states_known_member`: the person stated the number of a member whom the library
    knows, which is no proof; None when no number was stated.
    """

    account_id: int
    email: str
    name: str
    role: Role
    branches: tuple[str, ...]
    member_key: str | None
    created_at: dt.datetime
    state: str
    states_known_member: bool | None
    second_factor: bool
    signs_in_elsewhere: bool
    sessions: int
    last_seen_at: dt.datetime | None


@dataclass(frozen=True)
class Session:
    """A live session as admins see it."""

    session_id: str
    account_id: int
    email: str
    started_at: dt.datetime
    seen_at: dt.datetime
    expires_at: dt.datetime
    address: str | None
    client: str | None
    method: str


@dataclass(frozen=True)
class SignInAttempt:
    """A sign-in that was tried: `ok`, `refused`, `second` (wrong second factor) or `locked`."""

    sign_in_id: int
    at: dt.datetime
    email: str
    address: str | None
    outcome: str


@dataclass(frozen=True)
class Invitation:
    """An account that waits for its person; `link` is None when it goes out by mail."""

    account_id: int
    email: str
    link: str | None


# Looking ----------------------------------------------------------------------------------------


def list_accounts(by: Viewer) -> list[Person]:
    """Every account, by role and e-mail."""
    return _people(by, None)


def person(by: Viewer, account_id: int) -> Person:
    """One account.

    Raises:
        ConfigurationError: there is none of this number.
    """
    found = _people(by, account_id)
    if not found:
        raise ConfigurationError(_(NOBODY))
    return found[0]


def _people(by: Viewer, account_id: int | None) -> list[Person]:
    idle = settings().session_idle_min
    rows = run_as(by, "list_accounts", account_id=account_id, idle_minutes=idle)
    return [Person(**{**r._mapping, "branches": tuple(r.branches)}) for r in rows]


def list_sessions(by: Viewer, account_id: int | None = None) -> list[Session]:
    """The live sessions of an account, or of all, the one used last first."""
    idle = settings().session_idle_min
    rows = run_as(by, "list_sessions", account_id=account_id, idle_minutes=idle)
    return [Session(**{**r._mapping, "session_id": str(r.session_id)}) for r in rows]


def list_sign_ins(
    by: Viewer, *, days: int = 30, failed: bool = True, most: int = 500
) -> list[SignInAttempt]:
    """Sign-ins of the last days, the newest first; only the failed ones unless told otherwise."""
    rows = run_as(by, "list_sign_ins", days=days, failed=failed, most=most)
    return [SignInAttempt(*r) for r in rows]


# Letting in -------------------------------------------------------------------------------------


def invite(  # noqa: PLR0913, PLR0917 - an account has as many parts
    by: Viewer,
    email: str,
    name: str,
    role: Role,
    branches: Sequence[str] = (),
    member_key: str | None = None,
) -> Invitation:
    """Make an account whose person chooses the password by a link.

    Raises:
        ConfigurationError: the account exists, or a part of it is wrong.
    """
    check_parts(email, role, branches, member_key)
    rows = run_as(
        by,
        "invite",
        email=email,
        name=name or email,
        role=role,
        branches=list(branches),
        member_key=member_key,
    )
    if not rows:
        raise ConfigurationError(_("{email} has an account already.", email=email))
    return _ask_in(by, int(rows[0].account_id), email, name)


def invite_again(by: Viewer, account_id: int) -> Invitation:
    """Another link for an account that has no password yet.

    Raises:
        ConfigurationError: there is no such account, or it is not waiting for its person.
    """
    one = person(by, account_id)
    if one.state != "invited":
        raise ConfigurationError(
            _("{email} is {state}, not invited.", email=one.email, state=_(one.state))
        )
    return _ask_in(by, account_id, one.email, one.name)


def approve(by: Viewer, account_id: int, *, link_stated_member: bool = False) -> Invitation:
    """Let in who registered; with `link_stated_member` as the member whose number was stated.

    The number proves nothing: link it only when you have seen the card.

    Raises:
        ConfigurationError: nobody waits under this number.
    """
    if person(by, account_id).state == "waiting" and link_stated_member:
        link_stated(by, account_id)
    rows = run_as(by, "approve", account_id=account_id)
    if not rows:
        raise ConfigurationError(_("Nobody waits for approval under this number."))
    return _ask_in(by, account_id, rows[0].email, rows[0].name)


def send_reset(by: Viewer, account_id: int) -> Invitation:
    """Let a person choose a new password; the one there is stays good until then.

    Raises:
        ConfigurationError: the account is not active.
    """
    one = person(by, account_id)
    if one.state != "active":
        raise ConfigurationError(
            _("{email} is {state}, not active.", email=one.email, state=_(one.state))
        )
    audit.note(audit.viewer(by), "account", f"account {account_id}", what="send_reset")
    if settings().mails:
        letter = {
            "email": one.email,
            "name": one.name,
            "stated_key": None,
            "note": "",
            "language": "",
        }
        run_as(by, "add_letter", kind="reset", **letter)
        return Invitation(account_id, one.email, None)
    token = tokens.make(Bearer("reset", account_id, one.email, one.name))
    return Invitation(account_id, one.email, tokens.link(token))


def _ask_in(by: Viewer, account_id: int, email: str, name: str) -> Invitation:
    """Send the link by mail; without mail, hand it to the admin, once."""
    if settings().mails:
        letter = {"email": email, "name": name, "stated_key": None, "note": "", "language": ""}
        run_as(by, "add_letter", kind="join", **letter)
        return Invitation(account_id, email, None)
    token = tokens.make(Bearer("join", account_id, email, name))
    return Invitation(account_id, email, tokens.link(token))


# Changing ---------------------------------------------------------------------------------------


def disable(by: Viewer, account_id: int) -> None:
    """Let an account in no more; its sessions and open pages end."""
    _one(run_as(by, "disable", account_id=account_id))


def enable(by: Viewer, account_id: int) -> None:
    """Let a disabled account in again."""
    _one(run_as(by, "enable", account_id=account_id))


def set_role(by: Viewer, account_id: int, role: Role) -> None:
    """Give an account another role; its sessions end.

    Raises:
        ConfigurationError: the role is unknown, or no other admin could sign in.
    """
    check_parts("any@example.org", role, (), None)
    _one(run_as(by, "set_role", account_id=account_id, role=role))


def set_branches(by: Viewer, account_id: int, branches: Sequence[str]) -> None:
    """Give a librarian other branches; the account's sessions end."""
    check_parts("any@example.org", "librarian", branches, None)
    _one(run_as(by, "set_branches", account_id=account_id, branches=list(branches)))


def change(
    by: Viewer,
    account_id: int,
    role: Role | None = None,
    branches: Sequence[str] | None = None,
    disabled: bool | None = None,
) -> None:
    """Change several things about an account at once, all or none; None leaves a thing as it is.

    Raises:
        ConfigurationError: a part is wrong, or no other admin could sign in.
    """
    check_parts("any@example.org", role or "member", branches or (), None)
    codes = None if branches is None else list(branches)
    wanted = {"role": role, "branches": codes, "disabled": disabled}
    _one(run_as(by, "change", account_id=account_id, **wanted))


def link_member(by: Viewer, account_id: int, number: str | None) -> None:
    """Say which member an account is, by the number that the data has them under; None: nobody.

    That number is the card number in the sample and in files, and the system's own number of a
    patron where Carrel reads a library system (docs/accounts.md). It is not kept.

    Raises:
        ConfigurationError: another account is this member.
    """
    key = pseudonym(number.strip().upper()) if number and number.strip() else None
    person(by, account_id)
    if not run_as(by, "link_member", account_id=account_id, member_key=key):
        raise ConfigurationError(_("Another account is this member already."))


def link_stated(by: Viewer, account_id: int) -> None:
    """Say that an account is the member whose number its person stated.

    Raises:
        ConfigurationError: no number was stated, or another account is that member.
    """
    if not run_as(by, "link_stated", account_id=account_id):
        raise ConfigurationError(_("No number was stated, or another account is that member."))


def remove_second_factor(by: Viewer, account_id: int) -> None:
    """Take the second factor from who lost it; their sessions end."""
    rows = run_as(by, "remove_second_factor", account_id=account_id)
    if not rows[0].removed:
        raise ConfigurationError(_("This account has no second factor."))
    end_all_sessions(by, account_id)


def end_session(by: Viewer, session_id: str) -> None:
    """End one session of anybody; its open pages close within seconds."""
    run_as(by, "end_one_session", session_id=session_id)


def end_all_sessions(by: Viewer, account_id: int) -> int:
    """End every session of an account; returns how many there were."""
    return len(run_as(by, "end_account_sessions", account_id=account_id))


def find_account(by: Viewer, email: str) -> Person:
    """The account of an e-mail address.

    Raises:
        ConfigurationError: it has none.
    """
    for one in list_accounts(by):
        if one.email.lower() == email.lower():
            return one
    raise ConfigurationError(
        _("{email} has no account.", email=email), remedy=_("See `carrel users list`.")
    )


def _one(rows: list[Row[tuple[object, ...]]]) -> None:
    if not rows:
        raise ConfigurationError(_(NOBODY))
