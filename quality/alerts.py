"""Alerts: signs of trouble gathered into one alert a cause, and closed when it is over.

`raise_alerts` may be called at any time, by several processes, and again after a kill: what was
looked at is noted in the same transaction as what follows from it. Notices of what people are to be
told are written by the database with the change itself.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, text

from quality.signs import FORGOTTEN, Passed, Sign, gathered, late
from quality.verdict import Verdict
from warehouse.alerts import Severity
from warehouse.database import engine

PASSES = 2  # a check that passed so often in a row is over


@dataclass(frozen=True)
class Breach:
    """An alert that was opened, opened again, or got worse: what people are to be told."""

    alert_id: int
    episode: int
    occasion: str  # opened, re-opened, escalated
    severity: Severity
    kind: str
    dataset: str | None
    title: str
    checks: int
    held: int


def raise_alerts(
    verdict: Verdict | None = None, *, run_id: str | None = None, now: dt.datetime | None = None
) -> list[Breach]:
    """Look at everything that happened since the last look; open, count and close alerts.

    Args:
        verdict: one that was just saved; its run has ended.
        run_id: a run that has ended, so that its failed steps are not tried again.
        now: when datasets that are late are looked for as well; default: they are not.
    """
    ended = verdict.run_id if verdict else run_id
    with engine().begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(hashtext('carrel alerts'))"))
        last = connection.execute(_LAST_NOTICE).scalar_one()
        for one in gathered(connection, ended):
            if isinstance(one, Sign):
                _open(connection, one)
            else:
                _pass(connection, one)
        if now is not None:
            _late(connection, now)
        _close(connection)
        connection.execute(_FORGET, {"age": FORGOTTEN * 2})
        return [Breach(**r._mapping) for r in connection.execute(_BREACHES, {"last": last})]


_LAST_NOTICE = text("select coalesce(max(notice_id), 0) from quality.notices")
_FORGET = text(
    "delete from quality.alert_sources where considered_at < now() - cast(:age as interval)"
)
_BREACHES = text("""
select a.alert_id, n.episode, n.occasion, n.severity, a.kind, a.dataset, a.title,
    count(*) filter (where p.what not in ('gold', 'dataset')) as checks,
    count(*) filter (where p.what in ('gold', 'dataset')) as held
from quality.notices n join quality.alerts a using (alert_id)
left join quality.alert_parts p on p.alert_id = a.alert_id and p.until is null
where n.notice_id > :last
group by a.alert_id, n.notice_id order by n.notice_id
""")
_OPEN = text("""
insert into quality.alerts as a
    (cause, kind, dataset, title, severity, category, run_id, last_at)
values (:cause, :kind, :dataset, :title, :severity, :category, :run_id, :at)
on conflict (cause) do update set
    kind = excluded.kind,
    dataset = excluded.dataset,
    title = excluded.title,
    severity = case
        when a.state <> 'resolved'
            and quality.severity_rank(a.severity) > quality.severity_rank(excluded.severity)
        then a.severity else excluded.severity
    end,
    category = excluded.category,
    state = case a.state when 'resolved' then 'open' else a.state end,
    times = a.times + (a.run_id is distinct from excluded.run_id or a.run_id is null)::int,
    times_ever = a.times_ever
        + (a.run_id is distinct from excluded.run_id or a.run_id is null)::int,
    run_id = excluded.run_id,
    last_at = excluded.last_at,
    changed_by = 'carrel',
    note = null
returning alert_id
""")
_PARTS = text("""
insert into quality.alert_parts as p
    (alert_id, what, name, severity, detail, dataset, run_id, since, last_at)
values (:alert_id, :what, :name, :severity, :detail, :dataset, :run_id, :at, :at)
on conflict (alert_id, what, name) do update set
    severity = excluded.severity,
    detail = excluded.detail,
    dataset = excluded.dataset,
    run_id = excluded.run_id,
    since = case when p.until is null then p.since else excluded.since end,
    last_at = excluded.last_at,
    passes = 0,
    until = null
""")


def _open(connection: Connection, sign: Sign) -> None:
    """Open the alert of a sign's cause, or count it; its parts stand."""
    values = {
        "cause": sign.cause,
        "kind": sign.kind,
        "dataset": sign.dataset,
        "title": sign.title,
        "severity": sign.severity,
        "category": sign.category,
        "run_id": sign.run_id,
        "at": sign.at,
    }
    alert_id = connection.execute(_OPEN, values).scalar_one()
    parts = [vars(p) | {"alert_id": alert_id} for p in sign.parts]
    connection.execute(_PARTS, [p | {"run_id": sign.run_id, "at": sign.at} for p in parts])


_PASSED = text("""
update quality.alert_parts p set
    passes = passes + 1,
    until = case when passes + 1 >= :enough then clock_timestamp() end
where until is null and last_at < :at
  and (p.run_id is null or p.run_id is distinct from cast(:run_id as text))
  and case when cast(:what as text) = 'data'
        then p.what in ('check', 'anomaly') and p.dataset = :dataset
        else p.what = 'step' and p.dataset is not distinct from cast(:dataset as text)
            and (p.dataset is not null or p.name = :step)
      end
""")


def _pass(connection: Connection, passed: Passed) -> None:
    """Count what has passed; a part that passed twice in a row is over."""
    connection.execute(_PASSED, vars(passed) | {"enough": PASSES})


_STILL_LATE = text("""
select a.cause, p.name, p.detail
from quality.alerts a join quality.alert_parts p using (alert_id) where a.kind = 'late'
""")
_IN_TIME = text("""
update quality.alert_parts set until = clock_timestamp()
where what = 'late' and until is null and name <> all(:names)
""")


def _late(connection: Connection, now: dt.datetime) -> None:
    """Open alerts for what is late now; what was looked for again is over.

    What somebody resolved stays so until it is looked for again, and late again.
    """
    signs = late(connection, now)
    known = {(r.cause, r.name, r.detail) for r in connection.execute(_STILL_LATE)}
    for sign in signs:
        if any((sign.cause, p.name, p.detail) not in known for p in sign.parts):
            _open(connection, sign)
    names = [p.name for sign in signs for p in sign.parts]
    connection.execute(_IN_TIME, {"names": names})


_CLOSE = text("""
with standing as (
    select a.alert_id, max(quality.severity_rank(p.severity)) as rank
    from quality.alerts a left join quality.alert_parts p
        on p.alert_id = a.alert_id and p.until is null and p.what not in ('gold', 'dataset')
    where a.state <> 'resolved' and exists (
        select from quality.alert_parts q where q.alert_id = a.alert_id
          and (q.until is null or q.until >= a.opened_at)
    ) group by a.alert_id
), milder as (
    update quality.alerts a set
        severity = (array['info', 'warning', 'critical'])[s.rank], changed_by = 'carrel',
        note = null
    from standing s where s.alert_id = a.alert_id and s.rank < quality.severity_rank(a.severity)
), closed as (
    update quality.alerts a set
        state = 'resolved', reason = 'passed', resolved_by = 'carrel',
        resolved_at = clock_timestamp(), changed_by = 'carrel', note = null
    from standing s where s.alert_id = a.alert_id and s.rank is null
    returning a.alert_id
)
update quality.alert_parts p set until = clock_timestamp()
from closed c where p.alert_id = c.alert_id and p.until is null
""")


def _close(connection: Connection) -> None:
    """Resolve alerts of which no part stands, and lower the severity where the worst is over."""
    connection.execute(_CLOSE)
