"""Write the mails that accounts need: links to come in, links to a new password, notices.

The app only notes what is wanted (`app.letters`), in the same way whether or not there is such an
account, so that nobody can tell from its answer. A link is made here, when its mail is sent; if
the mail is not taken, the link is worth nothing, and the next attempt makes another.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from bi_app import words
from bi_app.auth import new_address, tokens
from bi_app.auth.tokens import Bearer
from bi_app.words import N_, _
from tasks import mail
from warehouse.database import connect
from warehouse.errors import CarrelError
from warehouse.settings import settings

log = logging.getLogger(__name__)
LOOK_SECONDS, PAUSE_SECONDS = 15.0, 5.0
TIDY_SECONDS = 3600.0
PATIENCE = dt.timedelta(days=1)
CHANGES = {
    "password": N_("The password of your account was changed."),  # pragma: allowlist secret
    "second factor on": N_("A second factor was set up for your account."),
    "second factor off": N_("The second factor of your account was removed."),
    "address stopped": N_("A change of the address of your account was stopped, as you asked."),
    "recovery": N_("A recovery code of your account was used to sign in."),
}
NEXT = """
select letter_id, kind, email, name, stated_key, note, language, asked_at from app.letters
where next_try_at <= clock_timestamp() order by letter_id limit 1 for update skip locked
"""
FAILED = """
update app.letters set attempts = attempts + 1, last_error = %s,
    next_try_at = clock_timestamp() + least(60, 2 ^ attempts) * interval '1 minute'
where letter_id = %s
"""
DROP = "delete from app.letters where letter_id = %s"
ACCOUNT = """
select account_id, email, name, approved_at, disabled_at, has_password, language,
    exists (select from app.identities i where i.account_id = a.account_id) as elsewhere
from app.accounts a where lower(email) = lower(%s)
"""
WAIT = """
insert into app.accounts (email, name, role, stated_key, approved_at)
values (%s, %s, 'member', %s, null) on conflict ((lower(email))) do nothing
"""
TIDY = (
    "delete from app.tokens where expires_at < now()",
    "delete from app.devices where seen_at < now() - interval '180 days'",
    "delete from app.accounts where approved_at is null"
    " and created_at < now() - interval '30 days'",
    "delete from app.email_changes where done_at is null and objected_at is null"
    " and asked_at < now() - make_interval(days => %(days)s)",
    "delete from app.api_keys where coalesce(ended_at, expires_at)"
    " < now() - make_interval(days => %(days)s)",
    "delete from app.sign_ins where at < now() - make_interval(days => %(days)s)",
    "delete from app.sessions where coalesce(ended_at, expires_at)"
    " < now() - make_interval(days => %(days)s)",
)


def send_due() -> int:
    """Send what waits; returns how many letters were done with, sent or dropped."""
    done = 0
    while (outcome := _send_next()) is not None:
        done += outcome
    return done


def _send_next() -> bool | None:
    """Whether the next letter is done with; None when no letter is due."""
    with connect(row_factory=namedtuple_row) as connection:
        letter = connection.execute(NEXT).fetchone()
        if letter is None:
            return None
        try:
            account = connection.execute(ACCOUNT, [letter.email]).fetchone()
            own = account.language if account else None
            with words.speaking(words.choose(own or letter.language)):
                written = _written(connection, letter, account)
                if written:
                    # What was typed may be another mailbox that lower() takes for the account's.
                    _send(letter, account.email if account else letter.email, *written)
        except CarrelError as error:
            return _keep(connection, letter, error)
        connection.execute(DROP, [letter.letter_id])
        return True


def _keep(connection: psycopg.Connection[Any], letter: Any, error: CarrelError) -> bool:
    """Try again later, for a day."""
    late: bool = dt.datetime.now(dt.UTC) - letter.asked_at > PATIENCE
    log.warning("letter %s %s: %s", letter.letter_id, "given up" if late else "waits", error)
    if late:
        connection.execute(DROP, [letter.letter_id])
    else:
        connection.execute(FAILED, [str(error)[:500], letter.letter_id])
    return late


def _send(letter: Any, to: str, subject: str, lines: list[str]) -> None:
    body = "\n".join([_("Hello {to},", to=letter.name or to), "", *lines, ""])
    number = f"<carrel-letter-{letter.letter_id}-{int(time.time())}@{mail.domain()}>"
    made = dt.datetime.now(dt.UTC)
    mail.send(mail.message(subject, body, number, made, to=to))


def _written(
    connection: psycopg.Connection[Any], letter: Any, account: Any
) -> tuple[str, list[str]] | None:
    """Subject and lines; None when nobody is to be written to."""
    if account and account.disabled_at:
        return None
    if letter.kind == "changed":
        return _notice(letter.note)
    if letter.kind == "reset":
        return _reset(account)
    if letter.kind == "confirm_email":
        return _confirm(letter, account)
    if letter.kind == "object_email":
        return _object(letter)
    return _join(connection, letter, account)


def _notice(note: str) -> tuple[str, list[str]]:
    return _("Your Carrel account"), [
        _(CHANGES[note]),
        _("If it was not you, choose a new password at once and tell your administrator:"),
        "",
        f"{settings().app_address}/forgot",
    ]


def _reset(account: Any) -> tuple[str, list[str]] | None:
    if account is None or account.approved_at is None:
        return None
    if not account.has_password and account.elsewhere:
        where = settings().oidc_name
        return _("Your Carrel password"), [
            _("You sign in through {where}, so Carrel keeps no password of yours.", where=where),
            _("If it was not you who asked, you need do nothing."),
        ]
    bearer = Bearer("reset", account.account_id, account.email, account.name)
    return _("Choose a new Carrel password"), [
        _("Somebody, we hope you, asked for a new password. Choose it here:"),
        "",
        tokens.link(tokens.make(bearer)),
        "",
        _("The link is good once, for {reset_min} minutes.", reset_min=settings().reset_min),
        _("If it was not you, you need do nothing: your password stays as it is."),
    ]


def _confirm(letter: Any, account: Any) -> tuple[str, list[str]] | None:
    """To the new address of an account; to who has an account there already, that it stays so."""
    if account:
        return _("Your Carrel account"), [
            _("Somebody asked for this address for another account. It belongs to yours already,"),
            _("so nothing was changed. You need do nothing."),
        ]
    link = new_address.confirm_link(int(letter.note))
    if link is None:
        return None
    return _("Confirm your new address"), [
        _(
            "Somebody, we hope you, wants to use this address for a Carrel account. Confirm it"
            " here:"
        ),
        "",
        link,
        "",
        _("The link is good once, for {reset_min} minutes.", reset_min=settings().reset_min),
        _("If it was not you, you need do nothing."),
    ]


def _object(letter: Any) -> tuple[str, list[str]] | None:
    link = new_address.object_link(int(letter.note))
    if link is None:
        return None
    return _("A new address for your Carrel account"), [
        _("Somebody who knows your password asked to use another address for your account."),
        _("If it was you, you need do nothing. If not, stop it here:"),
        "",
        link,
        "",
        _(
            "The link is good once, for {days} days, also after the change.",
            days=new_address.OBJECT_DAYS,
        ),
    ]


def _join(
    connection: psycopg.Connection[Any], letter: Any, account: Any
) -> tuple[str, list[str]] | None:
    if account is None:
        return _register(connection, letter)
    if account.approved_at is None:
        return None  # it waits for an admin
    if account.has_password or account.elsewhere:
        return _("Your Carrel account"), [
            _(
                "Somebody, we hope you, asked for an account with this address. You have one"
                " already:"
            ),
            "",
            f"{settings().app_address}/sign-in",
        ]
    return _welcome(Bearer("join", account.account_id, account.email, account.name))


def _register(connection: psycopg.Connection[Any], letter: Any) -> tuple[str, list[str]] | None:
    """A visitor who has no account: prove the address, or wait for an admin."""
    if settings().registration == "approval":
        connection.execute(WAIT, [letter.email, letter.name or letter.email, letter.stated_key])
        return None
    if settings().registration != "mail":
        return None
    return _welcome(Bearer("join", None, letter.email, letter.name, letter.stated_key))


def _welcome(bearer: Bearer) -> tuple[str, list[str]]:
    return _("Your Carrel account"), [
        _("An account is ready for you. Choose your password here:"),
        "",
        tokens.link(tokens.make(bearer)),
        "",
        _("The link is good once, for {invite_hours} hours.", invite_hours=settings().invite_hours),
        _("If you did not ask for this, you need do nothing."),
    ]


def tidy() -> None:
    """Forget what is over: tokens, devices, old sign-ins, registrations that nobody approved."""
    with connect() as connection:
        for statement in TIDY:
            connection.execute(statement.encode(), {"days": settings().sign_in_days})


def watch() -> None:
    """Send letters until the process ends; a database that is away is asked again."""
    tidied = -TIDY_SECONDS
    while True:
        try:
            with connect(autocommit=True) as connection:
                connection.execute("listen carrel_letters")
                while True:
                    send_due()
                    if time.monotonic() - tidied > TIDY_SECONDS:
                        tidy()
                        tidied = time.monotonic()
                    for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                        pass
        except psycopg.Error as error:
            log.warning("the database did not answer: %s", type(error).__name__)
            time.sleep(PAUSE_SECONDS)
