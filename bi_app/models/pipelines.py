"""Pipelines: how the newest run of each dataset went, how long runs take, and what is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from bi_app import words
from bi_app.models import quality, schedule
from bi_app.models.quality import Row, Standing, badge, figure, link, table
from bi_app.models.table import Column, Table
from bi_app.queries import Noted, rows, write
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

RUNS = N_(
    "A pipeline brings one dataset from its files to silver, has it judged, and publishes the gold"
    " that reads it. Duration is from the start of its first step to the end of its last."
)
NEXT = N_("The next run that Prefect has scheduled for the dataset's group.")
FAILURES = N_(
    "Failed steps and contracts that did not hold, of the last 30 days, by the kind of fault:"
    " source (not there or unreadable), schema (not of the declared shape), validation (the"
    " contract), load (the database refused the rows), infrastructure (server, disk, setting)."
)
COLUMNS = (
    Column("title", "Pipeline", "link"),
    Column("outcome", "Outcome", "badge"),
    Column("started_at", "Last run", "moment"),
    Column("seconds", "Took", "seconds"),
    Column("trend", "Last runs", "spark"),
    Column("slowest", "Slowest step"),
    Column("rows_in", "Rows in", "integer"),
    Column("rows_loaded", "Loaded", "integer"),
    Column("rows_quarantined", "Held back", "integer"),
    Column("rows_unchanged", "Unchanged", "integer"),
    Column("next", "Next run", "moment"),
)
RUN_NOW = Column("run", "Run", "action")
FAILURE_COLUMNS = (
    Column("category", "Kind"),
    Column("times", "Times", "integer"),
    Column("trend", "By day", "spark"),
    Column("last_at", "Last", "moment"),
    Column("message", "Newest"),
)
ASKED_COLUMNS = (
    Column("asked_at", "Asked", "moment"),
    Column("asked_by", "Asked by"),
    Column("subject", "To run"),
    Column("state", "State", "badge"),
    Column("message", "What became of it"),
)
STATES = {"open": "warn", "done": "good", "failed": "bad"}
STATE_WORDS = {"open": N_("waiting"), "done": N_("started"), "failed": N_("not started")}


def pipelines(
    viewer: Viewer,
    now: Standing,
    planned: Mapping[str, dt.datetime] | None,
    waiting: set[str],
) -> Table:
    """Every pipeline, what went wrong on top; an admin gets a button to run it now."""
    trends = {r["dataset"]: r["trend"] for r in rows(viewer, "durations")}
    ordered = sorted(now.datasets, key=lambda r: (quality.WORST.get(now.outcome(r), 3), r["title"]))
    columns = (*COLUMNS, RUN_NOW) if viewer.role == "admin" else COLUMNS
    records = [
        {
            **r,
            "title": link(r["title"], "dataset", name=r["dataset"]),
            "outcome": badge(now.outcome(r)),
            "trend": (trends.get(r["dataset"]) or [])[::-1],
            "slowest": _slowest(r),
            "next": (planned or {}).get(r["dataset"]),
            "run": {
                "act": "run", "subject": r["dataset"], "label": _("Run now"), "about": r["title"],
                "waits": r["dataset"] in waiting,
            },
        }
        for r in ordered
    ]  # fmt: skip
    return table("pipelines", "Pipelines", columns, records, [RUNS, NEXT])


def _slowest(row: Row) -> str:
    if not row["slowest"]:
        return ""
    return f"{_(row['slowest'])} {seconds(row['slowest_seconds'])}"


def seconds(value: float) -> str:
    """A span as people say it: `2.7 s`, `3 min 12 s`, `2 h 5 min`."""
    if value < 60:
        return _("{value} s", value=words.decimal(value))
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        _("{hours} h {minutes} min", hours=hours, minutes=minutes)
        if hours
        else _("{minutes} min {rest} s", minutes=minutes, rest=rest)
    )


def failures(viewer: Viewer) -> Table:
    """Failures of the last 30 days by kind, with how many on each day."""
    found = rows(viewer, "failures", {"zone": settings().timezone})
    today = dt.datetime.now(dt.UTC).date()
    days = [(today - dt.timedelta(days=n)).isoformat() for n in range(29, -1, -1)]
    records = [
        {
            **r,
            "category": _(r["category"] or "not told"),
            "trend": [r["days"].get(day, 0) for day in days],
            "message": f"{r['dataset'] or 'gold'}: {(r['message'] or '')[:300]}",
        }
        for r in found
    ]
    return table("failures", "Failures by kind", FAILURE_COLUMNS, records, [FAILURES])


def asked(viewer: Viewer) -> Sequence[Row]:
    """What admins asked for in the last seven days, newest first; nothing for other roles."""
    return rows(viewer, "asked") if viewer.role == "admin" else []


def happened(viewer: Viewer) -> tuple[Any, ...]:
    """Changes whenever a step ends, a verdict is given, an alert changes, or a run is asked for."""
    (found,) = rows(viewer, "happened")
    return *found.values(), *((r["request_id"], r["state"]) for r in asked(viewer))


def asked_table(found: Sequence[Row]) -> Table:
    """What was asked for, as a table."""
    records = [
        {
            **r,
            "state": badge(STATE_WORDS[r["state"]], {STATE_WORDS[k]: v for k, v in STATES.items()}),
            "message": r["message"] or "",
        }
        for r in found
    ]
    return table("asked", "Asked for", ASKED_COLUMNS, records)


def ask_to_run(viewer: Viewer, subject: Any, known: set[str], address: str = "") -> str:
    """Ask for a run of a dataset; returns what the person is told.

    Raises:
        ConfigurationError: the viewer may not, or there is no such dataset.
    """
    if viewer.role != "admin":
        raise ConfigurationError(_("Runs are asked for by admins."))
    if subject not in known:
        raise ConfigurationError(_("There is no such pipeline."))
    if any(r["subject"] == subject and r["state"] == "open" for r in asked(viewer)):
        return _(
            "A run of {subject} has been asked for already and waits to be started.",
            subject=subject,
        )
    write(viewer, "ask", {"action": "run", "subject": subject}, Noted("run", subject, address))
    return _("A run of {subject} has been asked for; it starts in a moment.", subject=subject)


def history(viewer: Viewer, dataset: str) -> Sequence[Row]:
    """The runs of a dataset in the last year, oldest first."""
    return rows(viewer, "run_history", {"dataset": dataset})


def cards(now: Standing, planned: Mapping[str, dt.datetime] | None) -> list[dict[str, Any]]:
    """The figures on top."""
    day = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    ran = [r for r in now.datasets if r["started_at"] and r["started_at"] > day]
    failed, held = now.count("failed to run"), now.count("held back")
    slowest = max(now.datasets, key=lambda r: r["seconds"] or 0, default=None)
    took = slowest["seconds"] if slowest else None
    return [
        figure("ran", "Ran in 24 hours", words.whole(len(ran)),
               _("of {count} pipelines", count=len(now.datasets)),
               RUNS),
        figure("failed", "Failed to run", words.whole(failed),
               _("{count} more held back", count=held),
               quality.OUTCOMES, look="bad" if failed else ""),
        figure("rows_in", "Rows in", words.whole(_sum(now, "rows_in")),
               _("of the newest loads, {count} held back", count=_sum(now, "rows_quarantined")),
               "Records of the newest load of each dataset. Each of them is loaded, unchanged,"
               " ignored or held back: the sums must add up, or the run fails."),
        figure("slowest", "Slowest pipeline", seconds(took) if took else "–",
               slowest["title"] if slowest and took else _("no run yet"), RUNS),
        _next(planned),
    ]  # fmt: skip


def _sum(now: Standing, key: str) -> int:
    return sum(r[key] or 0 for r in now.datasets)


def _next(planned: Mapping[str, dt.datetime] | None) -> dict[str, Any]:
    if planned is None:
        if schedule.asking():
            return figure("next", "Next run", "–", _("Prefect is being asked"), NEXT)
        return figure("next", "Next run", "–", _("Prefect does not answer"), NEXT, look="warn")
    first = min(planned.values(), default=None)
    return figure(
        "next", "Next run", "–" if first is None else "", _("nothing is scheduled"), NEXT,
        moment=first.isoformat() if first else None,
    )  # fmt: skip
