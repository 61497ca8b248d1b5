"""One dataset: what it means, may it be trusted, where it comes from, how its loads went."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import panel as pn

from bi_app.auth.sessions import SignedIn
from bi_app.charts.trend import Point, Trend
from bi_app.models import dataset, lineage, profile, quality, repair, unusual
from bi_app.models.quality import Row
from bi_app.models.selection import firsts_of
from bi_app.models.table import Column
from bi_app.pages.explore import licence
from bi_app.pages.shell import Cell, Controls, Page, acting, reacting, sendable, serving
from bi_app.words import N_, _
from warehouse.access import Viewer

TITLE = N_("Dataset")
NOTHING = (N_("There is no dataset yet"), N_("carrel add FILE makes the first."))
TREND_COLUMNS = (
    Column("said", "When"),
    Column("value", "Value", "number"),
    Column("state", "Check"),
)
SCORE = N_("Score")


class Answer(NamedTuple):
    """What the browser is told, and the line that the chart draws."""

    told: dict[str, Any]
    points: list[Point]
    bound: float | None
    score: bool


class OneDataset:
    """The page of one session."""

    def __init__(self, signed_in: SignedIn, asked: dict[str, Any]) -> None:
        self.viewer, self.address = signed_in.account.viewer, signed_in.address
        self.chart = Trend("trend")
        answer = answer_of(self.viewer, asked)
        self.title = answer.told["notes"].get("title", TITLE)
        self.controls = Controls(**answer.told)
        self.draw(answer)
        work = partial(answer_of, self.viewer)
        reacting(self.controls, signed_in, self.show, work)
        acting(self.controls, signed_in, self.do, work, self.show)

    def do(self, asked: dict[str, Any]) -> str:
        """Do what the person asks for about the dataset that is shown."""
        return repair.act(self.viewer, str(self.controls.query["name"]), asked, self.address)

    def show(self, answer: Answer) -> None:
        """Send an answer."""
        document = self.chart.figure.document
        if document is not None:
            document.add_next_tick_callback(partial(self.draw, answer))
        self.controls.param.update(message={}, **answer.told)

    def draw(self, answer: Answer) -> None:
        """Draw the score, or the chosen check with its bound."""
        unit, top = (_("of 100"), 100.0) if answer.score else (_("measured"), None)
        self.chart.show(answer.points, unit, top=top, bound=answer.bound)

    def page(self) -> Page:
        """The cells of the page."""
        if not self.controls.query:
            return Page(TITLE, empty=NOTHING)
        found = [
            Cell("trend", "Over time", "", [self.chart.figure], "trend", TREND_COLUMNS),
            Cell("checks", "Checks", quality.FAILING, kind="table", rows=12, download="checks"),
            Cell("rules", "Records held back", kind="table", search=False, download="rules"),
            Cell("repair", "Mend and send again", repair.ABOUT, kind="drawn"),
            Cell("override", "Publish anyway", repair.PUBLISHING, kind="drawn"),
            Cell("unusual", "Unusual", unusual.ABOUT, kind="table", search=False,
                 download="unusual"),
            Cell("loads", "Loads", dataset.LOADS, kind="table", search=False, download="loads"),
            Cell("lineage", "Where it comes from, and what reads it", kind="drawn"),
            Cell("columns", "Columns", kind="table", rows=25, download="columns"),
            Cell("profile", "Profile", profile.ABOUT, kind="table", rows=25),
        ]  # fmt: skip
        if self.viewer.role == "admin":
            sample = Cell("samples", "Samples from quarantine", dataset.SAMPLES, kind="table",
                          search=False)  # fmt: skip
            found.insert(3, sample)
        return Page(self.title, source="dataset", controls=self.controls, cells=found)


def answer_of(viewer: Viewer, asked: dict[str, Any]) -> Answer:
    """Everything on the page of the dataset that is asked for; of the first where it is none."""
    names = dataset.names(viewer)
    if not names:
        return Answer({}, [], None, True)
    name = str(asked.get("name"))
    name = name if name in names else next(iter(names))
    now, entry = quality.standing(viewer, name), dataset.described(viewer, name)
    assert entry is not None
    checks = quality.checks(viewer, name)
    known = [link.partition("|")[2] for link in checks.data["name"]]
    check = str(asked.get("check") or "")
    check = check if check in known else ""
    rules = dataset.rules(viewer, name)
    rule = str(asked.get("rule") or "")
    told = {
        "query": {"name": name, "check": check, "rule": rule},
        "options": options(names, known),
        "cards": dataset.cards(now, entry),
        "tables": {
            "checks": {**sendable(checks), "none": _("It has not been judged yet.")},
            "rules": {**sendable(rules), "none": _("No record is held back.")},
            "loads": {**sendable(dataset.loads(viewer, name)), "none": _("It was never loaded.")},
            "unusual": {
                **sendable(unusual.unusual(viewer, name)),
                "none": _("No load was unlike those before it."),
            },
            "columns": sendable(dataset.columns(entry)),
            **samples_of(viewer, name, rule),
            "profile": {**sendable(profile.newest(viewer, name)), "none": _("Not profiled yet.")},
        },
        "notes": notes(viewer, entry, check, rule),
        "detail": {
            "lineage": lineage.lineage(viewer, name),
            "repair": repair.repair(viewer, name, sum(rules.data["records"])),
            "override": repair.deciding(viewer, now, name),
        },
    }
    return Answer(told, *line(viewer, name, check))


def line(viewer: Viewer, name: str, check: str) -> tuple[list[Point], float | None, bool]:
    """The score of each day, or a check's values with its bound."""
    if not check:
        return [(day, value, False) for day, value in quality.trend(viewer, name)], None, True
    found = dataset.check_history(viewer, name, check)
    points: list[Point] = [(r["at"], r["value"], r["bad"]) for r in found]
    return points, dataset.bound(found), False


def samples_of(viewer: Viewer, name: str, rule: str) -> dict[str, Any]:
    """Samples from quarantine, for an admin."""
    if viewer.role != "admin":
        return {}
    found = sendable(dataset.samples(viewer, name, rule or None))
    return {"samples": {**found, "none": _("No record of this rule is held back.")}}


def options(names: dict[str, str], checks: list[str]) -> dict[str, Any]:
    """What there is to choose from."""
    datasets = [[name, f"{title} ({name})"] for name, title in names.items()]
    lines = [["", _(SCORE)], *([check, check] for check in checks)]
    return {
        "flat": True,
        "selects": [
            {"key": "name", "label": _(TITLE), "values": datasets,
             "resets": {"check": "", "rule": ""}},
            {"key": "check", "label": _("Over time"), "values": lines},
        ],
    }  # fmt: skip


def notes(viewer: Viewer, entry: Row, check: str, rule: str) -> dict[str, str]:
    """Texts below the titles."""
    grain = f"{entry['grain'][:1].upper()}{entry['grain'][1:]}."
    keys = ", ".join(entry["key_columns"])
    about = [
        grain,
        entry["description"] or "",
        licence(entry["licence"]),
        _("Key: {keys}.", keys=keys),
    ]
    return {
        "title": entry["title"],
        "about": " ".join(filter(None, about)),
        "trend": _("{check}: each measured value; the dashed line is the threshold", check=check)
        if check
        else _("The score at the end of each day"),
        "checks": _("Failing ones first; a check's name shows its values over time"),
        "rules": _("A rule shows its samples")
        if viewer.role == "admin"
        else _("By rule and column"),
        "samples": _("Rule {rule}", rule=rule)
        if rule
        else _("Any rule; private values are never shown"),
        "repair": _("You change cells here; the records then go the way of every file"),
        "override": _("Until rows change or a further check fails; name and reason are on record"),
        "unusual": _("Loads that were unlike their own history, in thirty days"),
        "loads": _("The newest hundred"),
        "columns": _("Key: {keys}", keys=keys),
    }


def build(signed_in: SignedIn) -> Page:
    """The page for one person."""
    asked = firsts_of(pn.state.session_args)
    return OneDataset(signed_in, asked).page()


serving(__name__, build)
