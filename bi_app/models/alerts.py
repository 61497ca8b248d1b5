"""The inbox of alerts: what is wrong, since when, and who is on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Error

from bi_app import words
from bi_app.models.quality import SEVERITIES, Row, badge, figure, table
from bi_app.models.table import Column, Table
from bi_app.queries import Noted, rows, write
from bi_app.words import N_, _, ngettext
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError

STATES = {
    N_("open"): "bad", N_("acknowledged"): "warn", N_("assigned"): "warn", N_("resolved"): "good",
}  # fmt: skip
REASONS = (N_("fixed"), N_("accepted"), N_("false alarm"), N_("duplicate"))
ACTS = {
    "acknowledge": N_("Acknowledge"), "assign": N_("Assign"), "resolve": N_("Resolve"),
    "reopen": N_("Re-open"), "snooze": N_("Snooze"), "wake": N_("Wake"),
}  # fmt: skip
SPANS = {N_("1 hour"): 1, N_("8 hours"): 8, N_("1 day"): 24, N_("1 week"): 168}
ALERTS = N_(
    "One alert a cause. It is open until somebody acknowledges it or it is assigned, and resolved"
    " by a person with a reason, or by itself when what was wrong has passed twice. A cause that"
    " comes back re-opens its alert."
)
COLUMNS = (
    Column("severity", "Severity", "badge"),
    Column("title", "What is wrong", "action"),
    Column("state", "State", "badge"),
    Column("on_it", "On it"),
    Column("age", "Age", "seconds"),
    Column("times", "Seen", "integer"),
    Column("held", "Holds back", "integer"),
    Column("last_at", "Last seen", "moment"),
)
PART_COLUMNS = (
    Column("severity", "Severity", "badge"),
    Column("what", "What"),
    Column("name", "Name"),
    Column("detail", "Detail"),
    Column("since", "Since", "moment"),
    Column("until", "Over", "moment"),
)
EVENT_COLUMNS = (
    Column("at", "When", "moment"),
    Column("who", "Who"),
    Column("action", "Did"),
    Column("note", "Note"),
)


def inbox(viewer: Viewer, *, everything: bool) -> Sequence[Row]:
    """The alerts that stand, or all."""
    return rows(viewer, "alerts", {"all": everything})


def inbox_table(found: Sequence[Row], chosen: object = None) -> Table:
    """The alerts as a table; a click on one opens it."""
    records = [
        {
            **r,
            "severity": badge(r["severity"], SEVERITIES),
            "title": {
                "act": "open", "subject": r["alert_id"], "label": r["title"],
                "on": r["alert_id"] == chosen,
            },
            "state": _state(r),
            "on_it": r["assignee"] or r["acknowledged_by"] or _("nobody"),
        }
        for r in found
    ]  # fmt: skip
    return table("alerts", "Alerts", COLUMNS, records, [ALERTS])


def _state(row: Row) -> str:
    if row["snoozed"]:
        return f"|{_('snoozed')}"
    state = row["state"]
    if state == "resolved":
        return f"{STATES[state]}|{_('resolved: {reason}', reason=_(row['reason']))}"
    return badge(state, STATES)


def parts_table(viewer: Viewer, alert: int) -> Table:
    """What an alert is made of."""
    found = rows(viewer, "alert_parts", {"alert": alert})
    records = [
        {
            **r,
            "severity": badge(r["severity"], SEVERITIES) if r["severity"] else f"|{_('held back')}",
            "what": _(r["what"]),
            "detail": r["detail"] or r["dataset"] or "",
        }
        for r in found
    ]
    return table("parts", "What it is made of", PART_COLUMNS, records)


def events_table(viewer: Viewer, alert: int) -> Table:
    """An alert's record."""
    found = rows(viewer, "alert_events", {"alert": alert})
    records = [{**r, "action": _(r["action"]), "note": r["note"] or ""} for r in found]
    return table("events", "Record", EVENT_COLUMNS, records)


def staff(viewer: Viewer) -> list[str]:
    """People who were on alerts before, to assign to."""
    return [r["person"] for r in rows(viewer, "staff")]


def offered(row: Row) -> dict[str, Any]:
    """What may be done about an alert now, with what each act needs."""
    state, acts = row["state"], []
    if state == "open":
        acts.append({"act": "acknowledge", "label": _("Acknowledge"), "note": True})
    if state != "resolved":
        acts += [
            {"act": "assign", "label": _("Assign"), "person": True, "note": True},
            {
                "act": "resolve",
                "label": _("Resolve"),
                "note": True,
                "reasons": [[r, _(r)] for r in REASONS],
            },
        ]
        acts.append(
            {"act": "wake", "label": _("Wake")}
            if row["snoozed"]
            else {
                "act": "snooze",
                "label": _("Snooze"),
                "note": True,
                "spans": [[s, _(s)] for s in SPANS],
            }
        )
    else:
        acts.append({"act": "reopen", "label": _("Re-open"), "note": True})
    return {"alert": row["alert_id"], "acts": acts}


def act(viewer: Viewer, asked: Mapping[str, Any], address: str = "") -> str:
    """Do what a browser asked about an alert; returns what the person is told.

    Raises:
        ConfigurationError: the act is not legal, lacks a part, or is not the viewer's to do.
    """
    name, subject = str(asked.get("act")), asked.get("subject")
    if viewer.role != "admin":
        raise ConfigurationError(_("Alerts are acted on by admins."))
    if name not in ACTS or not isinstance(subject, int | float):
        raise ConfigurationError(_("There is no such act."))
    hours = SPANS.get(str(asked.get("span")))
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours) if hours else None
    values = {
        "alert": int(subject), "act": name, "because": _text(asked, "note"),
        "person": _text(asked, "person"), "why": _text(asked, "reason"), "until": until,
    }  # fmt: skip
    noted = Noted("alert", f"alert {int(subject)}", address, {"what": name})
    try:
        write(viewer, "alert_act", values, noted)
    except Error as error:
        if (error.sqlstate or "") in ("CA001", "23514"):
            raise ConfigurationError(str(error).partition("\n")[0]) from error
        raise
    return _("Alert {number}: {act} is done and on record.", number=str(int(subject)), act=_(name))


def _text(asked: Mapping[str, Any], key: str) -> str | None:
    return str(asked.get(key) or "").strip()[:2000] or None


def age(value: float) -> str:
    """How old an alert is: minutes, hours, then days."""
    if value < 3600:
        return _("{value} min", value=words.whole(value // 60))
    if value < 172_800:
        return _("{value} h", value=words.whole(value / 3600))
    return ngettext("{count} day", "{count} days", round(value / 86_400))


def cards(found: Sequence[Row]) -> list[dict[str, Any]]:
    """The figures on top."""
    standing = [r for r in found if r["state"] != "resolved" and not r["snoozed"]]
    grave = [r for r in standing if r["severity"] == "critical"]
    untouched = [r for r in standing if r["state"] == "open"]
    oldest = max((r["age"] for r in standing), default=None)
    return [
        figure("standing", "Alerts that stand", words.whole(len(standing)),
               _("{count} critical", count=len(grave)),
               ALERTS, look="bad" if grave else ""),
        figure("untouched", "Nobody is on it", words.whole(len(untouched)),
               _("open, not acknowledged"),
               ALERTS, look="warn" if untouched else ""),
        figure("oldest", "Oldest", "–" if oldest is None else age(oldest), _("since it was opened"),
               "Age of the alert that has stood longest."),
        figure("holds", "Holds back", words.whole(sum(r["held"] for r in standing)),
               _("tables and datasets"),
               "Gold tables and datasets that are not brought up to date while alerts stand."),
    ]  # fmt: skip
