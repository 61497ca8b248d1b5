"""Mail the reports that people asked for, each with the rights that its person has at that moment.

At most once: a mail is noted as being handed over before the mail server sees it. A process that
is killed from there to the note that it went leaves it as uncertain: it is not sent again by
itself, its person is told so in My account and in the next mail, and may have it sent again. A mail
that the server did not take is tried again for a day. What fell due while the machine was off is
sent once.
"""

from __future__ import annotations

import datetime as dt
import logging
from email.message import EmailMessage
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from bi_app import words
from bi_app.auth import unsubscribing
from bi_app.auth.roles import may_open
from bi_app.models.paper.content import Paper, address, figures, paper
from bi_app.models.paper.pages import PAGES
from bi_app.models.report import said as day_words
from bi_app.models.subscriptions import FILES, Times, zone
from bi_app.words import _
from tasks import mail
from tasks.outbox import Delivered
from warehouse import audit
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import CarrelError, said
from warehouse.settings import settings

Connection = psycopg.Connection[Any]
log = logging.getLogger(__name__)
BY = audit.By("carrel", "schedule", "system")
SENT_ONE, DROPPED = "sent", "dropped"  # what became of a mail; anything else is why it waits
PATIENCE = dt.timedelta(days=1)
LONGEST_PAUSE = dt.timedelta(hours=1)
MOST_BYTES = (
    8_000_000  # of what is attached; many servers take 10 MB, and mail makes it a third more
)
MEDIA = {
    "pdf": ("application", "pdf"),
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
LOCK = "select pg_try_advisory_lock(hashtext('carrel reports by mail'))"
INTERRUPTED = """
update app.sendings set state = 'uncertain', ended_at = clock_timestamp(),
    note = 'sending it was cut short'
where state = 'sending' returning sending_id
"""
DUE = """
select subscription_id, every, on_day, at_hour, next_due_at from app.subscriptions
where paused_at is null and next_due_at <= %s order by next_due_at
"""
MOVE_ON = """
update app.subscriptions set next_due_at = %s
where subscription_id = %s and next_due_at = %s and paused_at is null returning subscription_id
"""
FALLEN = """
insert into app.sendings (subscription_id, due_at) values (%s, %s) on conflict do nothing
"""
NEXT = """
select g.sending_id, g.subscription_id, g.due_at, g.attempts, g.made_at, s.page, s.choice, s.files,
    s.every, s.on_day, s.at_hour, s.paused_why, a.email, a.role, a.branches, a.member_key,
    a.language,
    a.disabled_at is null and a.approved_at is not null as enabled,
    array(
        select u.due_at from app.sendings u where u.subscription_id = s.subscription_id
          and u.state = 'uncertain' and not u.told order by u.due_at
    ) as uncertain
from app.sendings g join app.subscriptions s using (subscription_id)
join app.accounts a using (account_id)
where g.state = 'waiting' and g.next_try_at <= clock_timestamp()
order by g.due_at, g.sending_id limit 1
"""
TAKE = """
update app.sendings set state = 'sending', attempts = attempts + 1, note = null
where sending_id = %s and state = 'waiting' returning sending_id
"""
SENT = """
update app.sendings set state = 'sent', ended_at = clock_timestamp() where sending_id = %s
"""
TOLD = """
update app.sendings set told = true
where subscription_id = %s and state = 'uncertain' and due_at = any(%s)
"""
LATER = """
update app.sendings set state = 'waiting', note = %s, attempts = greatest(attempts, 1),
    next_try_at = clock_timestamp() + %s where sending_id = %s
"""
GIVEN_UP = """
update app.sendings set state = 'not sent', ended_at = clock_timestamp(), note = %s
where sending_id = %s
"""
PAUSE = """
update app.subscriptions set paused_at = clock_timestamp(), paused_why = %s
where subscription_id = %s
"""
FORGET = "delete from app.sendings where made_at < now() - interval '1 year'"


def send_due(now: dt.datetime | None = None) -> Delivered:
    """Send every report that is due; nothing where no mail server is set, or another is sending."""
    if not settings().mails:
        return Delivered()
    sent, failed = 0, []
    with connect(autocommit=True, row_factory=namedtuple_row) as connection:
        if not connection.execute(LOCK).fetchone()[0]:  # type: ignore[index]
            return Delivered()
        for one in connection.execute(INTERRUPTED).fetchall():
            log.warning("sending %s was cut short: nobody knows whether it went", one.sending_id)
        fall_due(connection, now or dt.datetime.now(dt.UTC))
        while (outcome := _send_next(connection)) is not None:
            if outcome not in (SENT_ONE, DROPPED):
                failed.append(outcome)
            sent += outcome == SENT_ONE
        connection.execute(FORGET)
    return Delivered(sent, tuple(failed))


def fall_due(connection: Connection, now: dt.datetime) -> None:
    """Note one mail for each subscription that is due, however often it was while nobody looked."""
    for one in connection.execute(DUE, [now]).fetchall():
        times = Times(one.every, one.on_day, one.at_hour)
        due = max(times.last(now), one.next_due_at)
        with connection.transaction():
            moved = connection.execute(
                MOVE_ON, [times.next(now), one.subscription_id, one.next_due_at]
            )
            if moved.fetchone():
                connection.execute(FALLEN, [one.subscription_id, due])


def _send_next(connection: Connection) -> str | None:
    """Send the mail that waits longest: SENT_ONE, DROPPED, or why it waits; None without one."""
    one = connection.execute(NEXT).fetchone()
    if one is None:
        return None
    if why := refusal(one):
        _pause(connection, one, why)
        return DROPPED
    try:
        with words.speaking(words.choose(one.language)):
            return _hand_over(connection, one)
    except CarrelError as error:
        return _later(connection, one, said(error))
    except psycopg.Error:
        raise
    except Exception as error:  # else this one would be tried for ever, and those behind it never
        log.exception("report by mail %s", one.sending_id)
        return _later(connection, one, f"it could not be made ({type(error).__name__})")


def refusal(one: Any) -> str | None:
    """Why a report is not for its person now; None where it is."""
    if one.paused_why:
        return str(one.paused_why)
    if not one.enabled:
        return "the account is disabled"
    if one.page not in PAGES:
        return "there is no such page any more"
    if not may_open(f"/{one.page}", one.role):
        return "this page is not open to your role any more"
    return None


def _pause(connection: Connection, one: Any, why: str) -> None:
    """Send nothing any more until its person wants it again, and put that on record."""
    facts = {"what": "paused", "why": why, "page": one.page}
    audit.note(BY, "subscription", f"subscription {one.subscription_id}", "refused", **facts)
    with connection.transaction():
        connection.execute(PAUSE, [why, one.subscription_id])
        connection.execute(GIVEN_UP, [why, one.sending_id])


def _hand_over(connection: Connection, one: Any) -> str:
    """Make the report, put the export on record, and hand the mail to the server."""
    viewer = Viewer(one.email, one.role, tuple(one.branches), one.member_key)
    arguments = {k: [t.encode() for t in texts] for k, texts in one.choice.items()}
    try:
        found = paper(viewer, one.page, arguments)
    except KeyError:  # nothing was loaded yet, or nothing of the viewer's
        connection.execute(GIVEN_UP, ["there were no figures", one.sending_id])
        return DROPPED
    files = made(viewer, one, found, arguments)
    letter = written(one, found, files)
    by, facts = audit.viewer(viewer, "mail"), {"subscription": one.subscription_id}
    audit.note(by, "export", f"/{one.page}", kind=list(files), rows=found.rows, **facts)
    if not connection.execute(TAKE, [one.sending_id]).fetchone():
        return DROPPED  # ended meanwhile
    mail.send(letter)
    connection.execute(SENT, [one.sending_id])
    connection.execute(TOLD, [one.subscription_id, one.uncertain])
    log.info("report by mail %s was sent: %s", one.sending_id, one.page)
    return SENT_ONE


def _later(connection: Connection, one: Any, why: str) -> str:
    """Try again with growing pauses, for a day."""
    if dt.datetime.now(dt.UTC) - one.made_at > PATIENCE:
        connection.execute(GIVEN_UP, [why, one.sending_id])
    else:
        pause = min(dt.timedelta(minutes=2**one.attempts), LONGEST_PAUSE)
        connection.execute(LATER, [why, pause, one.sending_id])
    log.warning("report by mail %s: %s", one.sending_id, why)
    return why


def made(viewer: Viewer, one: Any, found: Paper, arguments: Any) -> dict[str, bytes]:
    """The files by kind; a workbook that would make the mail too large is left out."""
    files: dict[str, bytes] = {}
    if "pdf" in one.files:
        files["pdf"] = found.pdf()
    if "xlsx" in one.files:
        with words.speaking(words.SOURCE):  # as every workbook: programs read them, too
            book = paper(viewer, one.page, arguments, whole=True).xlsx()
        if len(book) + len(files.get("pdf", b"")) <= MOST_BYTES:
            files["xlsx"] = book
    return files


def written(one: Any, found: Paper, files: dict[str, bytes]) -> EmailMessage:
    """The mail: the figures in short, the files, and the ways to change or end it."""
    day = day_words(one.due_at.astimezone(zone()).date())
    number = f"<carrel-report-{one.subscription_id}-{one.due_at:%Y%m%d%H%M}@{mail.domain()}>"
    subject = _("{page}: report of {day}", page=found.title, day=day)
    letter = mail.message(subject, text(one, found, files), number, one.made_at, to=one.email)
    # A line may be so long (RFC 5322); else the address would be written as an encoded word.
    letter.policy = letter.policy.clone(max_line_length=998)
    letter["List-Unsubscribe"] = f"<{unsubscribing.link(one.subscription_id)}>"
    letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    for kind, body in files.items():
        main, sub = MEDIA[kind]
        name = f"{found.files_name}.{kind}"
        letter.add_attachment(body, maintype=main, subtype=sub, filename=name)
    return letter


def text(one: Any, found: Paper, files: dict[str, bytes]) -> str:
    """What the mail says."""
    lines = [found.title, *found.filters, ""]
    lines += [f"{t}: {value}{f' ({more})' if more else ''}" for t, value, more in figures(found)]
    lines += ["", found.standing]
    if found.freshness.aged or found.freshness.published_anyway:
        lines += [found.freshness.explanation]
    attached = _(" and ").join(FILES[k] for k in files)
    lines += ["", _("The whole report is attached as {files}.", files=attached) if files else ""]
    if left := [FILES[k] for k in one.files if k not in files]:
        lines += [
            _("The {file} file is too large for a mail: download it from the page.", file=left[0])
        ]
    for due in one.uncertain:
        lines += [
            _(
                "The mail of {day} may not have reached you: sending it was cut short. You can have"
                " it sent again in My account.",
                day=day_words(due.astimezone(zone()).date()),
            )
        ]
    times = Times(one.every, one.on_day, one.at_hour).words
    mails, end = f"{settings().app_address}/account/mails", unsubscribing.link(one.subscription_id)
    return "\n".join([
        *lines, "", _("The page: {address}", address=address(one.page, one.choice)),
        _("You have it mailed {times}; change that in My account: {address}", times=times,
          address=mails),
        _("End it: {address}", address=end), "",
    ])  # fmt: skip
