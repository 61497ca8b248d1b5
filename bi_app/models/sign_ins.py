"""Who is signed in, and who tried in vain: by account, by address, and in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from psycopg import sql

from bi_app import words
from bi_app.auth import people
from bi_app.auth.people import Session
from bi_app.models.quality import Row, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _, ngettext
from warehouse import audit
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

SPANS = {"1": N_("24 hours"), "7": N_("7 days"), "30": N_("30 days")}
IN_SPANS = {"1": N_("in 24 hours"), "7": N_("in 7 days"), "30": N_("in 30 days")}
TITLES = {"account": N_("Failed sign-ins by account"), "address": N_("Failed sign-ins by address")}
DAYS = 30
SESSIONS = N_(
    "A session is live until it is ended, idle for too long, or as old as it may become. Who is"
    " signed out sees it on every open page within seconds."
)
FAILED = N_(
    "Sign-ins with a wrong password or second factor, and those that were told to wait after too"
    " many of them. What was typed and is no account's address is kept and shown as a mark alone,"
    " the same for the same words: it may have been a password."
)
SESSION_COLUMNS = (
    Column("email", "Who"),
    Column("started_at", "Signed in", "moment"),
    Column("seen_at", "Last seen", "moment"),
    Column("expires_at", "Ends at the latest", "moment"),
    Column("address", "From"),
    Column("browser", "With"),
    Column("method", "Method"),
    Column("end", "", "action"),
)
TRIED_COLUMNS = (
    Column("tried", "Account"),
    Column("state", "", "badge"),
    Column("attempts", "Failed", "integer"),
    Column("second", "At the second factor", "integer"),
    Column("locked", "Told to wait", "integer"),
    Column("others", "Addresses", "integer"),
    Column("last_at", "Last", "moment"),
    Column("ok_at", "Succeeded", "moment"),
)
BY: dict[str, tuple[LiteralString, LiteralString]] = {
    "account": ("lower(email)", "address"),
    "address": ("address", "lower(email)"),
}
BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows",
           "Mac OS": "macOS", "Linux": "Linux"}  # fmt: skip
NAMES = {"Edg": "Edge", "OPR": "Opera"}


def live(viewer: Viewer) -> list[Session]:
    """The live sessions, the one used last first."""
    return people.list_sessions(viewer)


def sessions_table(sessions: Sequence[Session], own: str) -> Table:
    """The live sessions; each but one's own can be ended."""
    records = [
        {
            **vars(s),
            "address": s.address or "",
            "browser": browser(s.client),
            "method": _(s.method),
            "end": "" if s.session_id == own else {
                "act": "end", "subject": s.session_id, "label": _("End"), "waits": False,
                "about": _("session of {email}", email=s.email),
            },
        }
        for s in sessions
    ]  # fmt: skip
    return table("sessions", "Live sessions", SESSION_COLUMNS, records, [SESSIONS])


def browser(client: str | None) -> str:
    """Browser and system of a User-Agent, in two words; what cannot be told is shortened."""
    text = client or ""
    name = next((b for b in BROWSERS if f"{b}/" in text), "")
    system = next((words for key, words in SYSTEMS.items() if key in text), "")
    name = NAMES.get(name, name)
    if name and system:
        return _("{browser} on {system}", browser=name, system=system)
    return name or system or text[:40] or _("unknown")


def attempts(viewer: Viewer) -> list[tuple[dt.date, float | None, bool]]:
    """Failed sign-ins of each of the last 30 days."""
    asked = {"days": DAYS, "zone": settings().timezone}
    return [(r["day"], r["attempts"], False) for r in rows(viewer, "attempts", asked)]


def tried(viewer: Viewer, by: str, days: int) -> Table:
    """Failed sign-ins by `account` or by `address`, the most tried first."""
    one, other = (sql.SQL(part) for part in BY[by])
    found = rows(viewer, "attempts_by", {"days": days}, by=one, other=other)
    records = [{**r, "tried": r["tried"] or _("unknown"), "state": _state(r, by)} for r in found]
    columns = list(TRIED_COLUMNS)
    if by == "address":
        columns[0], columns[5] = Column("tried", "Address"), Column("others", "Accounts", "integer")
    return table(by, TITLES[by], columns, records, [FAILED])


def _state(row: Row, by: str) -> str:
    """Whether it ended in a success, which after many failures deserves a look."""
    if by == "account" and not row["known"]:
        return f"|{_('no account')}"
    if row["ok_at"] is None:
        return f"good|{_('kept out')}"
    if row["ok_at"] > row["last_at"] and row["attempts"] >= 10:
        return f"bad|{_('in after many')}"
    return f"|{_('also got in')}"


def cards(sessions: Sequence[Session], by_account: Table, by_address: Table, span: str) -> list[
    dict[str, Any]
]:  # fmt: skip
    """The figures on top."""
    failed = sum(by_account.data["attempts"])
    in_after = sum(s.startswith("bad") for s in by_account.data["state"])
    worst = max(by_address.data["others"], default=0)
    people = len({s.account_id for s in sessions})
    return [
        figure("live", "Live sessions", words.whole(len(sessions)),
               ngettext("of {count} person", "of {count} people", people), SESSIONS),
        figure("failed", "Failed sign-ins", words.whole(failed), span, FAILED),
        figure("got_in", "In after many failures", words.whole(in_after),
               _("accounts: ten or more, then a success"),
               "An account that was signed in to after ten or more failures: a guess may have hit.",
               look="bad" if in_after else "good"),
        figure("spread", "Accounts from one address", words.whole(worst), _("tried at most"),
               "The most different accounts that one address failed to sign in to: many of them"
               " are a sign of stolen passwords being tried.",
               look="warn" if worst >= 5 else ""),
    ]  # fmt: skip


def act(viewer: Viewer, asked: Mapping[str, Any], address: str = "") -> str:
    """End a session; returns what the person is told.

    Raises:
        ConfigurationError: there is no such act or session, or it is not the viewer's to do.
    """
    number = str(asked.get("subject"))
    known = {s.session_id: s.email for s in live(viewer)} if asked.get("act") == "end" else {}
    if number not in known:
        raise ConfigurationError(_("There is no such live session."))
    with audit.through("page", address):
        people.end_session(viewer, number)
    return _(
        "A session of {email} is ended; its open pages close within seconds.", email=known[number]
    )
