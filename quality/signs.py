"""Signs of trouble, read from what runs leave behind: verdicts, steps, anomalies, silence.

A sign names its cause, so that one cause is one alert: what a dataset's contract and its anomalies
say of one load (`data:`), a load that failed (`load:`), a server or disk that fails every dataset
(`infrastructure`), a group that nobody looked after (`late:`). Signs hold names and counts: never a
row's value, a message of a library, or the name of a file.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

from sqlalchemy import Connection, Row, text

from warehouse import gold
from warehouse.alerts import SEVERITIES, Severity
from warehouse.errors import ConfigurationError
from warehouse.spec import Dataset, datasets

Kind = Literal["contract", "anomaly", "step", "late"]
KINDS: tuple[Kind, ...] = ("late", "anomaly", "step", "contract")  # the last gives the title
# What these measure is a count or a share; an aggregate may be a person's own value.
COUNTING = {"schema", "row_count", "missing", "invalid", "duplicate", "freshness", "failed_rows"}
CONSEQUENCES = ("gold", "dataset")
ASIDE = {"observe"}  # steps without which figures are published all the same
FORGOTTEN = dt.timedelta(days=2)  # what is older makes no alert any more
SETTLED = dt.timedelta(minutes=2)  # a step of another run may still be tried again before that


@dataclass(frozen=True)
class Part:
    """One thing that is wrong (`check`, `step`, `anomaly`, `late`), or is held back by it."""

    what: str
    name: str
    severity: Severity | None = None
    detail: str | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class Sign:
    """One cause, as seen at a time: what is wrong, and what it holds back."""

    cause: str
    kind: Kind
    dataset: str | None
    title: str
    at: dt.datetime
    run_id: str | None
    parts: tuple[Part, ...]
    category: str | None = None

    @property
    def severity(self) -> Severity:
        """The worst of its parts."""
        return max((p.severity for p in self.parts if p.severity), key=SEVERITIES.index)

    def __or__(self, other: Sign) -> Sign:
        """Both, where they tell of the same cause."""
        parts = {(p.what, p.name): p for p in (*self.parts, *other.parts)}
        first = max(self, other, key=lambda s: KINDS.index(s.kind))
        return replace(first, parts=tuple(parts.values()), at=max(self.at, other.at))


@dataclass(frozen=True)
class Passed:
    """A contract was asked (`data`), or a load or a step without a dataset was done (`load`)."""

    what: Literal["data", "load"]
    dataset: str | None
    step: str | None
    at: dt.datetime
    run_id: str | None


_CONSIDER = text(
    "insert into quality.alert_sources (source, id)"
    " select :source, id from unnest(cast(:ids as text[])) as id"
)
_VERDICTS = text("""
select verdict_id, dataset, outcome, run_id, judged_at as at from quality.verdicts v
where judged_at > now() - cast(:forgotten as interval) and not exists (
    select from quality.alert_sources where source = 'verdict' and id = v.verdict_id::text
) order by verdict_id
""")
_CHECKS = text("""
select verdict_id, name, check_type, column_name, outcome, measured, threshold, severity
from quality.results where verdict_id = any(:ids) and outcome <> 'passed'
""")
_STEPS = text("""
select step_id, run_id, dataset, step, state, category, ended_at as at from ops.steps s
where ended_at > now() - cast(:forgotten as interval)
  and (state in ('failed', 'held') or (state = 'done' and (dataset is null or step = 'verify')))
  and (run_id = :run_id or ended_at < now() - cast(:settled as interval))
  and not exists (
    select from quality.alert_sources where source = 'step' and id = s.step_id::text
) order by step_id
""")
_DONE_AFTER = text("""
select f.step_id from ops.steps f where f.step_id = any(:ids) and exists (
    select from ops.steps d where d.run_id = f.run_id and d.step = f.step and d.state = 'done'
      and d.dataset is not distinct from f.dataset and d.step_id > f.step_id
)
""")
_ANOMALIES = text("""
select anomaly_id || ' ' || coalesce(run_id, '') as key, dataset, metric, kind, day, run_id,
    severity, found_at as at
from quality.anomalies a
where found_at > now() - cast(:forgotten as interval) and not exists (
    select from quality.alert_sources s
    where s.source = 'anomaly' and s.id = anomaly_id || ' ' || coalesce(a.run_id, '')
) order by found_at
""")


def gathered(connection: Connection, run_id: str | None) -> list[Sign | Passed]:
    """What happened since the last look, oldest first; looked at once.

    Args:
        connection: a transaction; what it takes note of is forgotten if it is rolled back.
        run_id: the run that has just ended, whose steps are not tried again.
    """
    spans = {"forgotten": FORGOTTEN, "settled": SETTLED, "run_id": run_id}
    verdicts = connection.execute(_VERDICTS, spans).all()
    steps = connection.execute(_STEPS, spans).all()
    failed = _failed(connection, steps)
    broken = _broken(verdicts, failed)
    found: list[Sign | Passed] = [
        *_of_verdicts(connection, verdicts, steps, broken),
        *_of_anomalies(connection, spans),
        *_of_steps(failed, steps, broken),
        *(Passed("load", s.dataset, s.step, s.at, s.run_id) for s in steps if s.state == "done"),
    ]
    _consider(connection, "verdict", (v.verdict_id for v in verdicts))
    _consider(connection, "step", (s.step_id for s in steps))
    return _merged(found)


def _consider(connection: Connection, source: str, ids: Iterable[object]) -> None:
    connection.execute(_CONSIDER, {"source": source, "ids": [str(i) for i in ids]})


def _merged(found: list[Sign | Passed]) -> list[Sign | Passed]:
    """Signs of the same cause and run as one, in the order of time."""
    signs: dict[tuple[str, str | None], list[Sign]] = defaultdict(list)
    for one in found:
        if isinstance(one, Sign):
            signs[one.cause, one.run_id or str(one.at)].append(one)
    merged: list[Sign | Passed] = [reduce(Sign.__or__, same) for same in signs.values()]
    merged += [one for one in found if isinstance(one, Passed)]
    return sorted(merged, key=lambda one: (one.at, isinstance(one, Passed)))


# Verdicts ---------------------------------------------------------------------------------------


def _of_verdicts(
    connection: Connection, verdicts: Sequence[Row[Any]], steps: Sequence[Row[Any]], broken: Broken
) -> Iterator[Sign | Passed]:
    checks: dict[int, list[Part]] = defaultdict(list)
    for row in connection.execute(_CHECKS, {"ids": [v.verdict_id for v in verdicts]}):
        checks[row.verdict_id].append(_check(row))
    for verdict in verdicts:
        yield Passed("data", verdict.dataset, None, verdict.at, verdict.run_id)
        parts = checks[verdict.verdict_id]
        if verdict.outcome == "passed" and not parts:
            continue
        if verdict.outcome == "error" and not parts:
            parts = [Part("check", "the contract could not be measured", "critical")]
        held: Iterable[Part] = ()
        if verdict.outcome != "passed":
            waiting = _waiting(verdict.dataset, verdict.run_id, steps, broken)
            held = _held_back({verdict.dataset, *waiting}, waiting)
        yield Sign(
            cause=f"data:{verdict.dataset}",
            kind="contract",
            dataset=verdict.dataset,
            title=f"{verdict.dataset}: {_counted(len(parts), 'check')} not held",
            at=verdict.at,
            run_id=verdict.run_id,
            parts=tuple(replace(p, dataset=verdict.dataset) for p in (*parts, *held)),
            category="validation" if verdict.outcome != "error" else "infrastructure",
        )


def _check(row: Row[Any]) -> Part:
    severity: Severity = row.severity
    if row.outcome == "warned" and severity == "critical":
        severity = "warning"
    counts = row.check_type in COUNTING and row.measured is not None
    said = [
        row.outcome if row.outcome not in ("failed", "warned") else None,
        f"measured {row.measured:g}" if counts else None,
        row.threshold or None,
    ]
    return Part("check", row.name, severity, ", ".join(filter(None, said)) or None)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# Anomalies --------------------------------------------------------------------------------------


def _of_anomalies(connection: Connection, spans: Mapping[str, object]) -> Iterator[Sign]:
    """Unusual figures; they belong to the data's alert."""
    rows = connection.execute(_ANOMALIES, spans).all()
    _consider(connection, "anomaly", (r.key for r in rows))
    for row in rows:
        absent = row.kind == "missing"
        detail = f"nothing came on {row.day:%A} {row.day}" if absent else "unusual"
        yield Sign(
            cause=f"data:{row.dataset}",
            kind="anomaly",
            dataset=row.dataset,
            title=f"{row.dataset}: {'a load did not come' if absent else 'unusual figures'}",
            at=row.at,
            run_id=row.run_id,
            parts=(Part("anomaly", row.metric, row.severity, detail, row.dataset),),
        )


# Steps ------------------------------------------------------------------------------------------

Broken = dict[str | None, set[str]]  # run -> datasets that failed, or whose contract did not hold


def _failed(connection: Connection, steps: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The steps that failed for good: those done at a later try are left out."""
    failed = [s for s in steps if s.state == "failed"]
    made_up = connection.execute(_DONE_AFTER, {"ids": [s.step_id for s in failed]})
    again = set(made_up.scalars())
    return [s for s in failed if s.step_id not in again]


def _broken(verdicts: Sequence[Row[Any]], failed: Sequence[Row[Any]]) -> Broken:
    broken: Broken = defaultdict(set)
    loading = (s for s in failed if s.step not in ASIDE)
    for one in (*(v for v in verdicts if v.outcome != "passed"), *loading):
        if one.dataset:
            broken[one.run_id].add(one.dataset)
    return broken


def _of_steps(
    failed: Sequence[Row[Any]], steps: Sequence[Row[Any]], broken: Broken
) -> Iterator[Sign]:
    for step in failed:
        aside = step.step in ASIDE
        waiting = _waiting(step.dataset, step.run_id, steps, broken) if step.dataset else []
        held = [] if aside else _held_back({step.dataset, *waiting} - {None}, waiting)
        part = Part(
            "step",
            " ".join(filter(None, (step.dataset, step.step))),
            "warning" if aside else "critical",
            step.category,
            step.dataset,
        )
        yield Sign(
            cause=_cause(step),
            kind="step",
            dataset=None if _cause(step) == "infrastructure" else step.dataset,
            title=_title(step),
            at=step.at,
            run_id=step.run_id,
            parts=(part, *held),
            category=step.category,
        )


def _cause(step: Row[Any]) -> str:
    if step.category == "infrastructure":
        return "infrastructure"
    return f"load:{step.dataset}" if step.dataset else str(step.step)


def _title(step: Row[Any]) -> str:
    if step.category == "infrastructure":
        return "Server, disk or settings: steps failed"
    fault = f" ({step.category})" if step.category else ""
    return f"{step.dataset or 'gold'}: {step.step} failed{fault}"


# What is held back ------------------------------------------------------------------------------


def _waiting(root: str, run_id: str | None, steps: Sequence[Row[Any]], broken: Broken) -> list[str]:
    """The datasets that the run held because of this one, directly or through others."""
    known = datasets()
    held = {s.dataset for s in steps if s.state == "held" and s.run_id == run_id}
    return sorted(d for d in held if d in known and root in _roots(known[d], broken[run_id], held))


def _roots(dataset: Dataset, broken: set[str], held: set[str]) -> set[str]:
    """The broken datasets for which this one waits."""
    known = datasets()
    found: set[str] = set()
    for name in dataset.after:
        if name in broken:
            found.add(name)
        elif name in held and name in known:
            found |= _roots(known[name], broken, held)
    return found


def _held_back(named: set[str | None], waiting: Iterable[str]) -> list[Part]:
    """The datasets that wait, and the gold tables that stay as they are."""
    try:
        reading = [n for n, table in gold.tables().items() if table.sources & named]
    except ConfigurationError:  # a gold file is wrong, which is a failed step of its own
        reading = []
    return [Part("dataset", n) for n in waiting] + [Part("gold", n) for n in reading]


# Silence ----------------------------------------------------------------------------------------

GAPS = 5  # so many intervals are learnt from before anything is expected
SHORTEST = dt.timedelta(hours=1)
GRACE = dt.timedelta(hours=1)  # after a time in which nobody looked
PAUSE = dt.timedelta(minutes=20)  # longer between two looks means that nobody looked

_LOOKS = text("""
select d.name as dataset, max(l.at) as last, count(l.gap) as gaps, max(l.gap) as longest
from unnest(cast(:names as text[])) as d (name)
cross join lateral (
    select at, at - lag(at) over (order by at) as gap from (
        select min(started_at) as at from (
            select run_id, load_id, started_at from ops.loads
            where dataset = d.name and state in ('done', 'unchanged')
            order by load_id desc limit 500
        ) newest group by coalesce(run_id, load_id::text) order by 1 desc limit 11
    ) looks
) l
group by d.name
""")
_WATCHED = text("""
insert into quality.alert_watches as w (one, since, seen_at) values (1, :now, :now)
on conflict (one) do update set
    since = case when w.seen_at < :now - cast(:pause as interval) then :now else w.since end,
    seen_at = greatest(w.seen_at, :now)
returning since
""")


def late(connection: Connection, now: dt.datetime) -> list[Sign]:
    """A sign for each group with datasets that were not looked for in time.

    Due is what the spec says (`due`), else half as long again as the longest of the last ten
    intervals, once there were five.
    """
    since = connection.execute(_WATCHED, {"now": now, "pause": PAUSE}).scalar_one()
    if now - since < GRACE:
        return []
    known = datasets()
    parts: dict[str, list[Part]] = defaultdict(list)
    for row in connection.execute(_LOOKS, {"names": list(known)}):
        if _is_late(known[row.dataset], row, now):
            part = Part("late", row.dataset, "warning", _last_look(row.last), row.dataset)
            parts[known[row.dataset].group].append(part)
    return [_late_group(group, found, now) for group, found in parts.items()]


def _is_late(dataset: Dataset, row: Row[Any], now: dt.datetime) -> bool:
    if dataset.due:
        return bool(now > row.last + _span(dataset.due))
    return bool(row.gaps >= GAPS and now > row.last + max(1.5 * row.longest, SHORTEST))


def _span(text: str) -> dt.timedelta:
    number, _, unit = text.partition(" ")
    days = {"day": 1, "week": 7, "month": 31, "year": 366}
    return dt.timedelta(days=int(number) * days[unit.rstrip("s")])


def _last_look(at: dt.datetime) -> str:
    return f"last looked for {at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _late_group(group: str, parts: list[Part], now: dt.datetime) -> Sign:
    return Sign(
        cause=f"late:{group}",
        kind="late",
        dataset=parts[0].dataset if len(parts) == 1 else None,
        title=f"{group}: {_counted(len(parts), 'dataset')} late",
        at=now,
        run_id=None,
        parts=tuple(parts),
    )
