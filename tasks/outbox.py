"""The outbox: what people are to be told becomes messages in the database, which are then sent.

A message is made whole (number, subject, text) and committed before the first attempt, and its
row is locked while it is sent. A kill at any moment leaves it unsent, or sent and not yet noted:
then it goes again with the same Message-ID, by which receivers know it.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Row, text

from tasks import mail, webhook
from warehouse.alerts import SEVERITIES
from warehouse.database import engine
from warehouse.errors import CarrelError, ConfigurationError, said
from warehouse.settings import settings

log = logging.getLogger(__name__)

PATIENCE = dt.timedelta(days=3)  # after which a message is given up, and a notice is no news
FIRST_PAUSE, LONGEST_PAUSE = dt.timedelta(minutes=1), dt.timedelta(hours=1)
MOST_ALERTS, MOST_PARTS = 50, 20  # in one message; the page shows the rest


@dataclass(frozen=True)
class Delivered:
    """How many messages went out, and why others did not yet."""

    sent: int = 0
    failed: tuple[str, ...] = ()

    def require_success(self) -> Delivered:
        """Itself.

        Raises:
            CarrelError: a message could not be sent; it is tried again later.
        """
        if self.failed:
            raise CarrelError(
                f"{len(self.failed)} messages could not be sent: {'; '.join(set(self.failed))}",
                remedy="They are tried again with growing pauses.",
            )
        return self


def deliver(now: dt.datetime | None = None) -> Delivered:
    """Make messages of the notices that are due, and send every message that waits."""
    wanted = channels()
    pack(wanted, now or dt.datetime.now(dt.UTC))
    sent, failed = 0, []
    while (error := _send_next(wanted)) is not None:
        if error:
            failed.append(error)
        sent += not error
    return Delivered(sent, tuple(failed))


def channels() -> list[str]:
    """The ways to tell people that the settings name."""
    named = {"mail": mail.recipients(), "webhook": settings().alert_webhook}
    return [channel for channel, target in named.items() if target]


# Making -----------------------------------------------------------------------------------------

_WAITING = text("""
select n.notice_id, n.occasion, n.severity, n.at, a.alert_id, a.title, a.dataset, a.kind, a.state,
    a.severity as severity_now, a.category, a.opened_at, a.times, a.episode
from quality.notices n join quality.alerts a using (alert_id)
where n.at > :now - cast(:patience as interval) and n.episode = a.episode
  and quality.severity_rank(n.severity) >= quality.severity_rank(:least)
  and (a.snoozed_until is null or a.snoozed_until <= :now)
  and not exists (
    select from quality.notice_deliveries d
    where d.notice_id = n.notice_id and d.channel = :channel
  )
order by quality.severity_rank(n.severity) desc, n.notice_id
""")
_PARTS = text("""
select alert_id, what, name, severity, detail from quality.alert_parts
where alert_id = any(:ids) and until is null
order by alert_id, what in ('gold', 'dataset'), quality.severity_rank(severity) desc, what, name
""")
_MAKE = text(
    "insert into quality.deliveries (delivery_id, channel, message_id, severity, subject, body)"
    " values (:delivery_id, :channel, :message_id, :severity, :subject, :body)"
)
_LINK = text(
    "insert into quality.notice_deliveries (channel, notice_id, delivery_id)"
    " values (:channel, :notice_id, :delivery_id)"
)


def pack(wanted: Iterable[str], now: dt.datetime) -> None:
    """Make one message a channel of the notices that are due; each is in one message only."""
    for channel in wanted:
        with engine().begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(hashtext('carrel outbox'))"))
            least = mail.least() if channel == "mail" else settings().alert_least
            values = {"now": now, "patience": PATIENCE, "least": least, "channel": channel}
            waiting = connection.execute(_WAITING, values).all()
            due = [*waiting] if channel == "webhook" else due_by_mail(waiting, now)
            if due:
                _make(connection, channel, due)


def due_by_mail(waiting: Iterable[Row[Any]], now: dt.datetime) -> list[Row[Any]]:
    """Those that are mailed now: none in quiet hours but the critical, and all when one is due."""
    waiting = list(waiting)
    critical = [n for n in waiting if n.severity == "critical"]
    if is_quiet(now):
        return critical if settings().alert_quiet_critical else []
    gathering = dt.timedelta(minutes=settings().alert_digest_min)
    ripe = critical or any(n.at <= now - gathering for n in waiting)
    return waiting if ripe else []


def is_quiet(now: dt.datetime) -> bool:
    """Whether it is one of the hours without mail, by the clock of their time zone.

    Raises:
        ConfigurationError: there is no such time zone.
    """
    if not settings().alert_quiet:
        return False
    name = settings().alert_timezone or settings().timezone
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigurationError(
            f"{name!r} is no time zone.", remedy="Set CARREL_ALERT_TIMEZONE, as Europe/London."
        ) from None
    begin, end = map(dt.time.fromisoformat, settings().alert_quiet.split("-"))
    clock = now.astimezone(zone).time()
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def _make(connection: Connection, channel: str, due: list[Row[Any]]) -> None:
    delivery = str(uuid4())
    alerts = _alerts(connection, due)
    worst = max((n.severity for n in due), key=SEVERITIES.index)
    subject = _subject(alerts, worst)
    body = _text(alerts) if channel == "mail" else _document(alerts, delivery)
    values = {
        "delivery_id": delivery,
        "channel": channel,
        "message_id": f"<carrel-{delivery}@{mail.domain()}>",
        "severity": worst,
        "subject": subject,
        "body": body,
    }
    connection.execute(_MAKE, values)
    links = [{"channel": channel, "notice_id": n.notice_id, "delivery_id": delivery} for n in due]
    connection.execute(_LINK, links)


def _alerts(connection: Connection, due: list[Row[Any]]) -> list[dict[str, Any]]:
    """Each alert once, the worst first, with its parts: names and counts, and nothing personal."""
    once: dict[int, dict[str, Any]] = {}
    for n in due:
        one = {
            "alert": n.alert_id,
            "occasion": n.occasion,
            "severity": n.severity,
            "state": n.state,
            "title": n.title,
            "dataset": n.dataset,
            "kind": n.kind,
            "category": n.category,
            "opened_at": n.opened_at.isoformat(timespec="seconds"),
            "times": n.times,
            "link": f"{settings().app_address}/alerts?alert={n.alert_id}",
            "parts": [],
        }
        once.setdefault(n.alert_id, one)
    for part in connection.execute(_PARTS, {"ids": list(once)}):
        names = ("what", "name", "severity", "detail")
        once[part.alert_id]["parts"].append({k: getattr(part, k) for k in names})
    return list(once.values())


def _subject(alerts: list[dict[str, Any]], worst: str) -> str:
    if len(alerts) == 1:
        return _line(f"[Carrel] {worst}: {alerts[0]['title']}")
    return f"[Carrel] {worst}: {len(alerts)} alerts"


def _line(text: str) -> str:
    """One line, however many there were: a header cannot be broken out of."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _text(alerts: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for one in alerts[:MOST_ALERTS]:
        lines += [f"{one['severity'].upper()} {_line(one['title'])}", f"  {_history(one)}"]
        lines += [f"  - {_part(part)}" for part in one["parts"][:MOST_PARTS]]
        if more := len(one["parts"]) - MOST_PARTS:
            lines += [f"  - and {more} more"] if more > 0 else []
        lines += [f"  {one['link']}", ""]
    if len(alerts) > MOST_ALERTS:
        lines += [f"And {len(alerts) - MOST_ALERTS} more: {settings().app_address}/alerts", ""]
    return "\n".join([*lines, "Silence one with `carrel alerts snooze NUMBER 8h`, or on its page."])


def _history(one: dict[str, Any]) -> str:
    seen = f", seen {one['times']} times" if one["times"] > 1 else ""
    return (
        f"alert {one['alert']}, {one['occasion']}, since {one['opened_at']}{seen}; {one['state']}"
    )


def _part(part: dict[str, Any]) -> str:
    if part["what"] in ("gold", "dataset"):
        return f"{part['what']} {_line(part['name'])} stays as it was"
    detail = f": {_line(part['detail'])}" if part["detail"] else ""
    return f"{part['what']} {_line(part['name'])}{detail} ({part['severity']})"


def _document(alerts: list[dict[str, Any]], delivery: str) -> str:
    cut = [one | {"parts": one["parts"][:MOST_PARTS]} for one in alerts]
    return json.dumps({"event": "quality.breach", "delivery": delivery, "alerts": cut})


# Sending ----------------------------------------------------------------------------------------

_NEXT = text("""
select delivery_id::text, channel, message_id, severity, subject, body, made_at, attempts
from quality.deliveries
where sent_at is null and gave_up_at is null and next_try_at <= clock_timestamp()
  and channel = any(:channels)
order by made_at limit 1 for update skip locked
""")
_SENT = text("""
update quality.deliveries set sent_at = clock_timestamp(), attempts = attempts + 1,
    last_error = null
where delivery_id = cast(:id as uuid)
""")
_FAILED = text("""
update quality.deliveries set attempts = attempts + 1, last_error = :error,
    next_try_at = clock_timestamp() + cast(:pause as interval),
    gave_up_at = case when made_at < clock_timestamp() - cast(:patience as interval)
        then clock_timestamp() end
where delivery_id = cast(:id as uuid)
""")


def _mail(one: Row[Any]) -> EmailMessage:
    """The mail, to whom its severity is told; to all where the settings now name nobody."""
    to = ", ".join(mail.recipients(one.severity)) or None
    return mail.message(one.subject, one.body, one.message_id, one.made_at, to=to)


_SENDERS: dict[str, Callable[[Row[Any]], None]] = {
    "mail": lambda m: mail.send(_mail(m)),
    "webhook": lambda m: webhook.post(m.body, m.delivery_id),
}


def _send_next(wanted: list[str]) -> str | None:
    """Send the oldest message that waits; "" when it went, why it did not, None without one.

    Its row stays locked meanwhile, so that nobody else sends it.
    """
    with engine().begin() as connection:
        one = connection.execute(_NEXT, {"channels": wanted}).one_or_none()
        if one is None:
            return None
        try:
            _SENDERS[one.channel](one)
        except CarrelError as error:
            pause = min(FIRST_PAUSE * 2 ** min(one.attempts, 10), LONGEST_PAUSE)
            values = {"id": one.delivery_id, "pause": pause, "patience": PATIENCE}
            connection.execute(_FAILED, values | {"error": said(error)})
            log.warning("a %s was not sent: %s", one.channel, said(error))
            return said(error)
        connection.execute(_SENT, {"id": one.delivery_id})
        log.info("a %s was sent: %s", one.channel, one.subject)
        return ""
