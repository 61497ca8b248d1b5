"""Pipelines: how each ran, how long it takes, when it runs next; an admin runs it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.charts.trend import Point, Trend
from bi_app.models import pipelines, quality, schedule, streams
from bi_app.models.selection import firsts_of
from bi_app.models.table import Column
from bi_app.pages.shell import (
    Cell,
    Controls,
    Page,
    acting,
    following,
    reacting,
    sendable,
    serving,
)
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("Pipelines")
NOTHING = (
    N_("There is no pipeline yet"),
    N_("Each dataset is one: carrel add FILE makes the first."),
)
RUN_COLUMNS = (
    Column("day", "Started", "moment"),
    Column("value", "Seconds", "number"),
    Column("state", "Went"),
)


class Answer(NamedTuple):
    """What the browser is told, and the runs that the chart draws."""

    told: dict[str, Any]
    runs: list[Point]


class Pipelines:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer, self.address = signed_in.account.viewer, signed_in.address
        self.chart = Trend("runs", colour="total")
        answer: Answer = signed_in.prepared or answer_of(self.viewer, asked)
        self.controls = Controls(**answer.told)
        self.draw(answer.runs)
        work = partial(answer_of, self.viewer)
        reacting(self.controls, signed_in, self.show, work)
        acting(self.controls, signed_in, self.do, work, self.show)
        following(self.controls, partial(pipelines.happened, self.viewer), work, self.show)

    def do(self, asked: dict[str, Any]) -> str:
        """Ask for a run."""
        known = {row["dataset"] for row in quality.standing(self.viewer).datasets}
        return pipelines.ask_to_run(self.viewer, asked.get("subject"), known, self.address)

    def show(self, answer: Answer) -> None:
        """Send an answer."""
        document = self.chart.figure.document
        if document is not None:
            document.add_next_tick_callback(partial(self.draw, answer.runs))
        self.controls.param.update(message={}, **answer.told)

    def draw(self, runs: list[Point]) -> None:
        """Draw the runs of the chosen pipeline."""
        self.chart.show(runs, _("seconds"), format="0,0.0")

    def page(self) -> Page:
        """The cells of the page."""
        if not self.controls.options["selects"][0]["values"]:
            return Page(TITLE, empty=NOTHING)
        found = [
            Cell("pipelines", "Newest runs", pipelines.RUNS, kind="table", download="pipelines",
                 rows=15),
            Cell("runs", "How long it takes", pipelines.RUNS, [self.chart.figure], "runs",
                 RUN_COLUMNS, span=6),
            Cell("failures", "Failures by kind", pipelines.FAILURES, kind="table", search=False,
                 span=6, download="failures"),
        ]  # fmt: skip
        if self.controls.tables["streams"]["data"]["stream"]:
            found.insert(1, Cell("streams", "Streams", streams.ABOUT, kind="table", search=False,
                                 download="streams"))  # fmt: skip
        if self.viewer.role == "admin":
            found.append(Cell("asked", "Asked for", kind="table", search=False))
        return Page(TITLE, source="pipelines", controls=self.controls, cells=found)


def prepare(viewer: Viewer, arguments: Mapping[str, Sequence[bytes]] | None = None) -> Answer:
    """Ask the database and Prefect for everything on the page as it opens at an address."""
    return answer_of(viewer, firsts_of(arguments or {}))


def answer_of(viewer: Viewer, asked: dict[str, Any]) -> Answer:
    """Everything on the page, for the pipeline that is asked for."""
    now, planned = quality.standing(viewer), schedule.next_runs()
    wanted = pipelines.asked(viewer)
    waiting = {r["subject"] for r in wanted if r["state"] == "open"}
    names = {r["dataset"]: r["title"] for r in now.datasets}
    chosen = str(asked.get("name"))
    if chosen not in names:
        longest = max(now.datasets, key=lambda r: r["seconds"] or 0, default=None)
        chosen = longest["dataset"] if longest else ""
    history = pipelines.history(viewer, chosen) if chosen else []
    runs: list[Point] = [(r["at"], r["value"], r["bad"]) for r in history]
    tables = {
        "pipelines": sendable(pipelines.pipelines(viewer, now, planned, waiting)),
        "failures": {**sendable(pipelines.failures(viewer)), "none": _("No failure in 30 days.")},
        "streams": {**sendable(streams.streams(viewer)), "none": streams.none()},
        "asked": {**sendable(pipelines.asked_table(wanted)), "none": _("Nothing in seven days.")},
    }
    told = {
        "query": {"name": chosen},
        "options": options(names),
        "cards": pipelines.cards(now, planned),
        "tables": tables,
        "notes": notes(planned is None, names.get(chosen, ""), len(runs)),
    }
    return Answer(told, runs)


def options(names: dict[str, str]) -> dict[str, Any]:
    """What there is to choose from."""
    values = [[name, f"{title} ({name})"] for name, title in names.items()]
    return {
        "flat": True,
        "selects": [{"key": "name", "label": _("Durations of"), "values": values}],
    }


def _unknown() -> str:
    """Why it is not known when anything runs next."""
    return _(schedule.ASKING) if schedule.asking() else _(schedule.AWAY)


def notes(away: bool, title: str, runs: int) -> dict[str, str]:
    """Texts below the titles."""
    return {
        "pipelines": _unknown() if away else _("What needs a look is on top"),
        "runs": _(
            "{title}: seconds of {count} runs in a year; failed ones are marked",
            title=title,
            count=runs,
        ),
        "failures": _("The last 30 days"),
        "streams": _("Events that are taken in as they happen"),
        "asked": _("Runs that were asked for on this page, in seven days"),
    }


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return Pipelines(signed_in, asked).page()


serving(__name__, build)
