"""The alerts as people see them, and what people do about them.

Every function takes who asks: a signed-in viewer, whom the database lets see and do what their
role may, or the name of a person at the shell, where the owner's login asks. Which act is legal
when is decided in the database (`quality.move_alert` and the triggers of `quality.alerts`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from warehouse.access import Viewer, acting_as
from warehouse.database import engine
from warehouse.errors import ConfigurationError

Act = Literal["acknowledge", "assign", "resolve", "reopen", "snooze", "wake"]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
REASONS = ("fixed", "accepted", "false alarm", "duplicate")
ILLEGAL = "CA001"  # the code that our functions in the database refuse with


@dataclass(frozen=True)
class Alert:
    """One cause that is, or was, wrong. `times` counts since it was opened last."""

    alert_id: int
    kind: str  # contract, anomaly, step, late
    dataset: str | None
    title: str
    severity: Severity
    category: str | None
    state: str  # open, acknowledged, assigned, resolved
    episode: int
    times: int
    opened_at: dt.datetime
    last_at: dt.datetime
    run_id: str | None
    acknowledged_by: str | None
    assignee: str | None
    resolved_at: dt.datetime | None
    reason: str | None
    snoozed_until: dt.datetime | None
    age: dt.timedelta
    checks: int  # parts that stand: what is wrong
    held: int  # parts that stand: what it holds back

    @property
    def snoozed(self) -> bool:
        """Whether it is silent for now."""
        return self.snoozed_until is not None and self.snoozed_until > dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Part:
    """One thing that is wrong, or (`gold`, `dataset`) that is held back by it."""

    what: str  # check, step, anomaly, late, gold, dataset
    name: str
    severity: Severity | None
    detail: str | None
    dataset: str | None
    since: dt.datetime
    last_at: dt.datetime
    passes: int
    until: dt.datetime | None


@dataclass(frozen=True)
class Event:
    """One line of an alert's record."""

    at: dt.datetime
    who: str
    action: str
    from_state: str | None
    to_state: str
    note: str | None


_INBOX = text("""
with counted as materialized (
    select alert_id, count(*) filter (where what not in ('gold', 'dataset')) as checks,
        count(*) filter (where what in ('gold', 'dataset')) as held
    from quality.alert_parts where until is null group by alert_id
)
select a.alert_id, kind, dataset, title, severity, category, state, episode, times, opened_at,
    last_at, run_id, acknowledged_by, assignee, resolved_at, reason, snoozed_until,
    coalesce(resolved_at, clock_timestamp()) - opened_at as age,
    coalesce(checks, 0) as checks, coalesce(held, 0) as held
from quality.alerts a left join counted using (alert_id)
where (cast(:alert_id as bigint) is null or a.alert_id = :alert_id)
    and (:resolved or state <> 'resolved')
    and (cast(:dataset as text) is null or dataset = :dataset)
order by state = 'resolved', snoozed_until > clock_timestamp() is true,
    array_position(array['critical', 'warning', 'info'], severity), opened_at, a.alert_id
limit :most
""")
_PARTS = text(
    "select what, name, severity, detail, dataset, since, last_at, passes, until"
    " from quality.alert_parts where alert_id = :alert_id"
    " order by until is not null, what in ('gold', 'dataset'), severity, what, name"
)
_EVENTS = text(
    "select at, who, action, from_state, to_state, note from quality.alert_events"
    " where alert_id = :alert_id order by event_id"
)
_ACT = {
    True: text("select quality.act_on_alert(:which, :act, :because, :person, :why, :until)"),
    False: text("select quality.move_alert(:which, :act, :who, :because, :person, :why, :until)"),
}


def inbox(
    asker: Viewer | str, *, resolved: bool = False, dataset: str | None = None, most: int = 1000
) -> list[Alert]:
    """The alerts that are not resolved (or all), the snoozed after the others, the worst first."""
    values = {"alert_id": None, "resolved": resolved, "dataset": dataset, "most": most}
    with _asked_by(asker) as connection:
        return [Alert(**row._mapping) for row in connection.execute(_INBOX, values)]


def shown(asker: Viewer | str, alert_id: int) -> tuple[Alert, list[Part], list[Event]]:
    """One alert, its parts and its record.

    Raises:
        ConfigurationError: there is none that the asker may see.
    """
    values: dict[str, Any] = {"alert_id": alert_id}
    with _asked_by(asker) as connection:
        all_of_it = values | {"resolved": True, "dataset": None, "most": 1}
        row = connection.execute(_INBOX, all_of_it).one_or_none()
        if row is None:
            raise ConfigurationError(
                f"There is no alert {alert_id}.", remedy="See `carrel alerts list --all`."
            )
        parts = [Part(**r._mapping) for r in connection.execute(_PARTS, values)]
        events = [Event(**r._mapping) for r in connection.execute(_EVENTS, values)]
    return Alert(**row._mapping), parts, events


def act(  # noqa: PLR0913 - each act has parts of its own
    asker: Viewer | str,
    alert_id: int,
    action: Act,
    *,
    note: str | None = None,
    person: str | None = None,
    reason: str | None = None,
    until: dt.datetime | None = None,
) -> None:
    """Do something about an alert, and put it on record.

    Args:
        asker: who does it.
        alert_id: which alert.
        action: what is done.
        note: why, in the person's words; the comment of a resolution.
        person: e-mail of the admin or librarian to whom it is assigned.
        reason: one of `REASONS`, of a resolution.
        until: with a time zone; when a snoozed alert wakes.

    Raises:
        ConfigurationError: the act is not legal now, or there is no such alert.
        sqlalchemy.exc.ProgrammingError: the viewer's role may not act on alerts.
    """
    values = {
        "which": alert_id, "act": action, "because": note, "person": person, "why": reason,
        "until": until,
    }  # fmt: skip
    viewed = isinstance(asker, Viewer)
    try:
        with _asked_by(asker, writes=True) as connection:
            connection.execute(_ACT[viewed], values | ({} if viewed else {"who": asker}))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in (ILLEGAL, "23514"):
            raise ConfigurationError(_said(error)) from None
        raise


def _said(error: DBAPIError) -> str:
    if getattr(error.orig, "sqlstate", None) == "23514":
        return "A note has at most 2,000 characters."
    return str(error.orig).partition("\n")[0]


@contextmanager
def _asked_by(asker: Viewer | str, *, writes: bool = False) -> Iterator[Connection]:
    """A transaction as the viewer, or as the owner for a person at the shell."""
    if isinstance(asker, Viewer):
        with acting_as(asker, writes=writes) as connection:
            yield connection
        return
    with engine().begin() as connection:
        yield connection
