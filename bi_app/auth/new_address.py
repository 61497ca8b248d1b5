"""Another e-mail address for an account: asked for at My account, confirmed by the new address.

The new address gets a link that is good once, the old one a link with which its holder objects.
Which mails go out is decided where they are written (`deployments.letters`), so the page's answer,
and the work behind it, are the same whether or not the new address has an account.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from bi_app.auth.accounts import is_address
from bi_app.auth.sql import run
from bi_app.auth.tokens import digest
from bi_app.words import _
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

OBJECT_DAYS = 7  # the old address may object; after that, and so long after it did, nobody asks
MOST_ASKED = 3  # within an hour, by one account


@dataclass(frozen=True)
class Change:
    """A change of address that is under way or was made."""

    change_id: int
    account_id: int
    old_email: str
    new_email: str
    name: str
    done: bool


def why_not(account_id: int) -> str:
    """Why this account's address cannot be changed here; empty where it can."""
    if not settings().mails:
        return _("Changing it needs mail, which is not set up here.")
    row = run("may_change_email", account_id=account_id, days=OBJECT_DAYS)[0]
    if row.elsewhere or not row.has_password:
        return _(
            "You sign in through {oidc_name}, which says what your address is.",
            oidc_name=settings().oidc_name,
        )
    if row.objected:
        return _("Your old address objected to a change lately, so it cannot be changed now.")
    return ""


def pending(account_id: int) -> str:
    """The new address that has not confirmed yet; empty where there is none."""
    rows = run("pending_email", account_id=account_id)
    return str(rows[0].new_email) if rows else ""


def ask(account_id: int, email: str, new: str) -> bool:
    """Ask for another address; False when this account asked too often.

    An earlier change that waits is given up. Two mails are asked for: to the new address and to
    the old.

    Raises:
        ConfigurationError: it is no address, or the one there is.
    """
    if not is_address(new):
        raise ConfigurationError(_("This is no e-mail address."))
    if new.lower() == email.lower():
        raise ConfigurationError(_("This is your address already."))
    return bool(run("ask_email", account_id=account_id, new_email=new, most=MOST_ASKED))


def give_up(account_id: int) -> bool:
    """Give up the change that waits; whether there was one."""
    return bool(run("give_up_email", account_id=account_id))


def confirm_link(change_id: int) -> str | None:
    """A new link for the new address; None when the change waits no more."""
    token, minutes = secrets.token_urlsafe(32), settings().reset_min
    found = run("set_email_link", change_id=change_id, sha256=digest(token), minutes=minutes)
    return _link(token) if found else None


def object_link(change_id: int) -> str | None:
    """A new link for the old address; None when there is nothing to object to."""
    token = secrets.token_urlsafe(32)
    found = run("set_object_link", change_id=change_id, sha256=digest(token), days=OBJECT_DAYS)
    return _link(token) if found else None


def _link(token: str) -> str:
    return f"{settings().app_address}/address/{token}"


def look(token: str) -> tuple[str, Change] | None:
    """What a link is for, `confirm` or `object`, and its change; None when it is good no more."""
    rows = run("email_link", sha256=digest(token))
    return (str(rows[0][0]), Change(*rows[0][1:])) if rows else None


def confirm(token: str) -> Change | None:
    """Give the account its new address; sessions and links end. None when the link is over.

    The statement changes nothing when another account got the address meanwhile.
    """
    try:
        rows = run("confirm_email", sha256=digest(token))
    except IntegrityError:  # another account got the address in this very moment
        return None
    return Change(*rows[0]) if rows else None


def refuse(token: str) -> Change | None:
    """The old address objects: the change is stopped, or taken back where it was made.

    Sessions, links and API keys end, and the password is good no more, since whoever asked knew
    it: the next one comes by a mail to the old address. None when the link is over.
    """
    rows = run("object_email", sha256=digest(token))
    return Change(*rows[0]) if rows else None
