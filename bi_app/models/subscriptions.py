"""Reports by mail, as people ask for them: which page, which filters, when, and as what file.

What falls due is sent elsewhere (`deployments.report_mail`), with the rights of that moment.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from bi_app import words
from bi_app.auth.roles import PAGES as RULES
from bi_app.auth.roles import may_open
from bi_app.models.paper.pages import PAGES
from bi_app.queries import Noted, rows, write
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

DAYS = (
    N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"),
    N_("Sunday"),
)  # fmt: skip
EVERY = ("day", "week", "month")
FILES = {"pdf": "PDF", "xlsx": "Excel"}
MOST, LONGEST = 20, 2000
KEY = re.compile(r"[a-z_]{1,40}")
STATES = {
    "waiting": N_("is being sent"),
    "sending": N_("is being sent"),
    "sent": N_("was sent"),
    "uncertain": N_("may not have arrived"),
    "not sent": N_("was not sent"),
}


@dataclass(frozen=True)
class Times:
    """When a report is mailed: each day, each week on an ISO weekday, each month on a day of it.

    A month that is shorter than `on_day` has it on its last day. Hours are those of the library.
    """

    every: str
    on_day: int | None
    at_hour: int

    @property
    def words(self) -> str:
        """As people say it: "Mondays at 07:00"."""
        at, day = f"{self.at_hour:02}:00", self.on_day or 1
        if self.every == "day":
            return _("every day at {time}", time=at)
        if self.every == "week":
            return _("{weekday}s at {time}", weekday=_(DAYS[day - 1]), time=at)
        if day > 28:
            return _("day {day} (or the last) of each month at {time}", day=day, time=at)
        return _("day {day} of each month at {time}", day=day, time=at)

    def next(self, after: dt.datetime) -> dt.datetime:
        """The first time after a moment at which it falls due."""
        day = after.astimezone(zone()).date()
        while True:
            if self._is_on(day):
                due = self._at(day)
                if due > after:
                    return due
            day += dt.timedelta(days=1)

    def last(self, until: dt.datetime) -> dt.datetime:
        """The last time up to a moment at which it fell due."""
        day = until.astimezone(zone()).date()
        while True:
            if self._is_on(day):
                due = self._at(day)
                if due <= until:
                    return due
            day -= dt.timedelta(days=1)

    def _is_on(self, day: dt.date) -> bool:
        if self.every == "week":
            return day.isoweekday() == self.on_day
        if self.every == "month":
            return day.day == min(self.on_day or 1, monthrange(day.year, day.month)[1])
        return True

    def _at(self, day: dt.date) -> dt.datetime:
        """That hour of a day; where the clocks leave it out, an hour later."""
        return dt.datetime.combine(day, dt.time(self.at_hour), zone()).astimezone(dt.UTC)


def zone() -> ZoneInfo:
    """The time zone of the library."""
    return ZoneInfo(settings().timezone)


@dataclass(frozen=True)
class Subscription:
    """A report that is mailed; `whose` is an e-mail, told to admins only."""

    number: int
    page: str
    choice: Mapping[str, Sequence[str]]
    times: Times
    files: Sequence[str]
    next_due_at: dt.datetime
    paused_why: str | None
    own: bool
    whose: str
    sending: int | None
    state: str | None
    due_at: dt.datetime | None
    note: str | None

    @property
    def title(self) -> str:
        """The page's title."""
        rule = RULES.get(f"/{self.page}")
        return _(rule.title) if rule else self.page

    @property
    def last(self) -> str:
        """What became of the last mail, in words; nothing where there was none."""
        if self.due_at is None or self.state is None:
            return ""
        day = self.due_at.astimezone(zone())
        told = _("The mail of {day} {state}", day=words.day(day), state=_(STATES[self.state]))
        return f"{told}: {self.note}" if self.note and self.state != "sent" else f"{told}."


def listed(viewer: Viewer) -> list[Subscription]:
    """The own subscriptions; for an admin, those of all after them."""
    whose: dict[int, str] = {}
    if viewer.role == "admin":
        found = rows(viewer, "subscriptions_of_all")
        whose = {r["subscription_id"]: r["email"] for r in found}
    return [
        Subscription(
            r["subscription_id"], r["page"], r["choice"],
            Times(r["every"], r["on_day"], r["at_hour"]), r["files"], r["next_due_at"],
            r["paused_why"], r["own"], whose.get(r["subscription_id"], ""), r["sending_id"],
            r["state"], r["due_at"], r["note"],
        )
        for r in rows(viewer, "subscriptions")
    ]  # fmt: skip


def times(asked: Mapping[str, str]) -> Times:
    """When, from untrusted texts: `every`, `weekday` or `day`, and `hour`.

    Raises:
        ConfigurationError: naming what makes no sense.
    """
    every = asked.get("every", "")
    if every not in EVERY:
        raise ConfigurationError(_("Choose how often: daily, weekly or monthly."))
    on = None
    if every == "week":
        on = _whole(asked.get("weekday"), 1, 7, _("Choose a day of the week."))
    elif every == "month":
        on = _whole(asked.get("day"), 1, 31, _("Choose a day of the month, 1 to 31."))
    return Times(every, on, _whole(asked.get("hour"), 0, 23, _("Choose an hour, 0 to 23.")))


def _whole(text: str | None, least: int, most: int, wrong: str) -> int:
    if text is None or not re.fullmatch(r"[0-9]{1,2}", text) or not least <= int(text) <= most:
        raise ConfigurationError(wrong)
    return int(text)


def files(asked: Sequence[str]) -> list[str]:
    """The kinds of file, each once.

    Raises:
        ConfigurationError: none, or one that there is not.
    """
    found = [kind for kind in FILES if kind in asked]
    if not found or not set(asked) <= set(FILES):
        raise ConfigurationError(_("Choose PDF, Excel or both."))
    return found


def choice(query: str) -> dict[str, list[str]]:
    """The filters out of a page's address; what is no filter of a page is ignored when it is made.

    Raises:
        ConfigurationError: it is far longer than any page's.
    """
    if len(query) > LONGEST:
        raise ConfigurationError(_("These filters are too long to be kept."))
    found = parse_qs(query.removeprefix("?"), max_num_fields=200)
    return {k: [t.replace("\0", "") for t in v] for k, v in found.items() if KEY.fullmatch(k)}


def subscribe(  # noqa: PLR0913, PLR0917 - what is asked for has as many parts
    viewer: Viewer, page: str, query: str, when: Times, kinds: Sequence[str], address: str
) -> dt.datetime:
    """Have a page mailed to the viewer; returns when it falls due first.

    Raises:
        ConfigurationError: it is no page of the viewer's, there are too many already, or no mail
            server is set.
    """
    if page not in PAGES or not may_open(f"/{page}", viewer.role):
        raise ConfigurationError(_("This page is not one of yours that can be mailed."))
    if not settings().mails:
        raise ConfigurationError(_("Mail is not set up here yet; please ask your administrator."))
    due = when.next(dt.datetime.now(dt.UTC))
    values = {
        "page": page, "choice": json.dumps(choice(query)), "files": list(kinds),
        "next_due_at": due, "most": MOST, **vars(when),
    }  # fmt: skip
    noted = Noted("subscription", f"/{page}", address, {"what": "begun", "every": when.every})
    if not write(viewer, "subscribe", values, noted):
        raise ConfigurationError(
            _("You have {count} reports by mail already.", count=MOST),
            remedy=_("End one of them first."),
        )
    return due


def change(
    viewer: Viewer, number: int, when: Times, kinds: Sequence[str], address: str
) -> dt.datetime:
    """Have an own report mailed at other times, from now on; one that was paused goes on.

    Raises:
        ConfigurationError: there is no such subscription of the viewer's, or its page is not open
            to the viewer any more.
    """
    known = next((s for s in listed(viewer) if s.own and s.number == number), None)
    if known is None:
        raise ConfigurationError(_("This report is not mailed any more."))
    if not may_open(f"/{known.page}", viewer.role):
        raise ConfigurationError(_("This page is not open to you any more."))
    due = when.next(dt.datetime.now(dt.UTC))
    values = {"number": number, "files": list(kinds), "next_due_at": due, **vars(when)}
    noted = Noted("subscription", f"subscription {number}", address, {"what": "changed"})
    write(viewer, "subscription_change", values, noted)
    return due


def end(viewer: Viewer, number: int, address: str) -> bool:
    """End a subscription, one's own or for an admin any; returns whether there was one."""
    if not any(s.number == number for s in listed(viewer)):
        return False
    noted = Noted("subscription", f"subscription {number}", address, {"what": "ended"})
    return bool(write(viewer, "subscription_end", {"number": number}, noted))


def send_again(viewer: Viewer, sending: int, address: str) -> bool:
    """Have an own mail sent again that may not have arrived; returns whether there was one."""
    noted = Noted("subscription", f"sending {sending}", address, {"what": "sent again"})
    found = write(viewer, "sending_again", {"sending": sending}, noted)
    return bool(found[0]["found"])
