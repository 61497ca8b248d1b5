"""Every measure of the pages, by the pages' own models: the same numbers for the same viewer."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from psycopg.errors import InsufficientPrivilege
from starlette.concurrency import run_in_threadpool

from bi_app.api import figures as plain_figures
from bi_app.api import tables
from bi_app.api.figures import FIGURES, card_table
from bi_app.api.rest import answers, shapes
from bi_app.api.rest.problems import Problem, address
from bi_app.api.rest.who import Exports, Reads
from bi_app.auth.sql import NotAllowed
from bi_app.models import (
    activity,
    my_data,
    my_history,
    my_loans,
    overview,
    pipelines,
    quality,
    sign_ins,
    streams,
    unusual,
)
from bi_app.models import measures as defined
from bi_app.models.circulation import circulation, measured, public, tables_of
from bi_app.models.export import WRITERS, file_name, shown
from bi_app.models.freshness import Freshness, freshness
from bi_app.models.measures import MEASURES
from bi_app.models.overview import View
from bi_app.models.report import Known, Report
from bi_app.models.selection import Select, Selection, select
from bi_app.models.store import stamp
from bi_app.models.table import Column, Table
from bi_app.models.titles import titles
from warehouse import audit
from warehouse.access import Viewer

router = APIRouter(tags=["measures"])
Period = Literal["7d", "30d", "90d", "12m", "year", "all"]
Counted = Literal["checkouts", "renewals", "total", "returns", "in_house_uses"]
FRESH_SECONDS = 3.0
KEPT, KEPT_BYTES = 512, 32 * 2**20
OVERVIEW = {
    FIGURES: f"The figures on top of the page. {defined.CHANGE}",
    "daily": defined.DAILY,
    "busy": defined.BUSY,
    "branches": defined.BRANCHES,
    "titles": defined.TITLES,
}
PLAIN = {
    "my_loans.loans": my_loans.DEFINITIONS["on_loan"],
    "my_loans.holds": my_loans.DEFINITIONS["holds"],
    "my_loans.fines": my_loans.DEFINITIONS["owed"],
    "my_loans.past": my_loans.DEFINITIONS["past"],
    "quality.score": "The health score of all datasets at the end of each day.",
    "quality.unusual": unusual.ABOUT,
    "my_data.parts": my_data.DATA,
    "my_history.loans": my_history.PAST,
    "my_history.months": my_history.MONTHS,
    "my_history.subjects": my_history.SUBJECTS,
    "my_history.holds": my_history.HOLDS,
    "quality.datasets": quality.OUTCOMES,
    "quality.failing": quality.FAILING,
    "quality.rules": "Records in quarantine by dataset and rule.",
    "pipelines.pipelines": pipelines.RUNS,
    "pipelines.failures": pipelines.FAILURES,
    "pipelines.streams": streams.ABOUT,
    "sign_ins.sessions": sign_ins.SESSIONS,
    "sign_ins.attempts": sign_ins.FAILED,
    "sign_ins.account": sign_ins.FAILED,
    "sign_ins.address": sign_ins.FAILED,
    "activity.active": activity.ACTIVE,
    "activity.pages": activity.PAGES,
    "activity.activity": "The newest entries of the audit log.",
    **{f"{page}.{FIGURES}": "The figures on top of the page." for page in plain_figures.CARDS},
}


@dataclass(frozen=True)
class Asked:
    """What a measure was asked for; `more` are a page's own choices, as `key:value`."""

    period: str | None = None
    start: dt.date | None = None
    end: dt.date | None = None
    branches: tuple[str, ...] = ()
    measure: str | None = None
    more: tuple[str, ...] = ()


Making = Callable[[Viewer, Asked], tuple[Table, Selection]]


@dataclass(frozen=True)
class Measure:
    """A measure as the API names it: `<page>.<table>`.

    `made` makes its table for a viewer and what was asked for; None where nothing is chosen, and
    the page's table is taken as it is. `longer` makes that of a file, where it holds more rows.
    `reads` names the gold tables behind it.
    """

    page: str
    part: str
    definition: str = ""
    made: Making | None = None
    longer: Making | None = None
    periods: bool = True
    reads: Callable[[Viewer], Sequence[str]] = tables_of
    choices: Callable[[Viewer], Sequence[Select]] = lambda _: ()

    @property
    def name(self) -> str:
        """Its name in addresses."""
        return f"{self.page}.{self.part}"

    @property
    def parameters(self) -> list[str]:
        """What may be chosen besides the page's own choices."""
        spans = ["period", "start", "end"] if self.periods else []
        counted = ["measure"] if self.page != "overview" and self.periods else []
        return [*spans, "branch", *counted] if self.made else []

    @property
    def own(self) -> bool:
        """Whether it is about the caller, and so kept nowhere."""
        return self.page in ("my_loans", "my_history")


@cache
def known() -> dict[str, Measure]:
    """All measures, by name: the overview's, each report's, and those without a choice."""
    found = [
        Measure("overview", part, words, partial(_of_overview, part=part))
        for part, words in OVERVIEW.items()
    ]  # fmt: skip
    for report in tables.REPORTS:
        found += [_of_report(report, part) for part in (FIGURES, *report.measures)]
    for name, words in PLAIN.items():
        page, _, part = name.partition(".")
        found.append(Measure(page, part, words))
    return {m.name: m for m in found}


# Asking ----------------------------------------------------------------------------------------


def asked(  # noqa: PLR0913, PLR0917 - as the address has it
    period: Annotated[Period | None, Query(description="Default 12m; not beside start")] = None,
    start: Annotated[shapes.Day | None, Query(description="First day")] = None,
    end: Annotated[shapes.Day | None, Query(description="Last day; default: the newest")] = None,
    branch: Annotated[list[shapes.Code] | None, Query(max_length=200)] = None,
    measure: Annotated[
        Counted | None, Query(description="What is counted; not of overview")
    ] = None,
    choose: Annotated[
        list[Annotated[str, Query(pattern=r"^[a-z_]{1,40}:[^\x00]{0,80}$")]] | None,
        Query(max_length=20, description="`key:value`: a page's own choices, as the list has them"),
    ] = None,
) -> Asked:
    """What is chosen.

    Raises:
        Problem: 422, the period is said twice, or ends before it starts.
    """
    fault = (
        "period and start exclude each other" if period and start
        else "end needs start" if end and not start
        else "end is before start" if start and end and end < start
        else ""
    )  # fmt: skip
    if fault:
        raise Problem(422, "This is no period.", errors=[{"where": "query.period", "what": fault}])
    branches, more = (tuple(sorted(set(v or ()))) for v in (branch, choose))
    return Asked(period, start, end, branches, measure, more)


Choice = Annotated[Asked, Depends(asked)]
Named = Annotated[str, Path(pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$")]


@router.get("/measures", response_model=shapes.Measures)
async def measures(request: Request, caller: Reads) -> Response:
    """The measures that are yours to ask for, with definitions and choices."""

    def listed() -> dict[str, Any]:
        return {"items": [e for m in known().values() if (e := _entry(m, caller.viewer))]}

    viewer = caller.viewer
    kept = await run_in_threadpool(_remembered, viewer, "", Asked(), tables_of(viewer), listed)
    return answers.keepable(request, caller, kept.body, kept.stamp)


def _entry(one: Measure, viewer: Viewer) -> dict[str, Any] | None:
    """A measure as the list has it; None where it is not the viewer's, or nothing is there yet."""
    if one.own and viewer.role != "member":
        return None
    table, choices = Table(one.part, one.part.capitalize(), (), {}), list[Select]()
    try:
        if not one.own:
            table, choices = _table(one, viewer, Asked())[0], list(one.choices(viewer))
    except (InsufficientPrivilege, NotAllowed):
        return None
    except Problem:
        pass  # there is such a measure, and nothing to see yet
    return {
        "name": one.name, "title": table.title, "page": one.page,
        "definition": one.definition or (table.notes[-1] if table.notes else ""),
        "parameters": one.parameters,
        "choices": {s.key: [value for value, _ in s.values] for s in choices},
        "columns": _columns(table.columns),
    }  # fmt: skip


@router.get("/measures/{name}", response_model=shapes.MeasureOut)
async def measure(request: Request, caller: Reads, name: Named, chosen: Choice) -> Response:
    """A measure as the caller may see it. A copy may be kept, but for what is about the caller."""
    one, viewer = _known(name, chosen), caller.viewer
    if one.made is None:
        return answers.sent(await run_in_threadpool(_plain, one, viewer))
    reads = one.reads(viewer)
    kept = _kept_answer(viewer, one.name, chosen, reads)
    if kept is None:

        def make() -> dict[str, Any]:
            table, selection = _table(one, viewer, chosen)
            return _out(one, table, selection, _looked_up(viewer, reads).fresh)

        kept = await run_in_threadpool(_remembered, viewer, one.name, chosen, reads, make)
    return answers.keepable(request, caller, kept.body, kept.stamp)


@router.get(
    "/measures/{name}/file.{kind}",
    responses={200: {"content": {media: {} for media, _ in WRITERS.values()}}},
    response_class=Response,
)
async def measure_file(
    request: Request, caller: Exports, name: Named, kind: Literal["csv", "xlsx"], chosen: Choice
) -> Response:
    """A measure as a file: the same that the page saves."""
    one = _known(name, chosen)
    media, write = WRITERS[kind]

    def make() -> Response:
        table = (one.longer or partial(_table, one))(caller.viewer, chosen)[0]
        by = audit.viewer(caller.viewer, "api", address(request))
        audit.note(by, "export", f"/{one.page}", table=one.part, kind=kind, rows=len(table))
        file_ = file_name(table, kind, today=dt.date.today())
        headers = {"Content-Disposition": f'attachment; filename="{file_}"'}
        return Response(write(table), 200, headers, media)

    return await run_in_threadpool(make)


def _known(name: str, chosen: Asked) -> Measure:
    """The measure of a name.

    Raises:
        Problem: 404 when there is none, 422 when it takes no period.
    """
    one = known().get(name)
    if one is None:
        raise Problem(404, "There is no such measure; see /measures.")
    if chosen != Asked() and one.made is None:
        raise Problem(422, "This measure takes neither a period nor branches.")
    return one


# What is kept ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stand:
    """When tables were published and how fresh they are, as of `looked` (a monotonic time)."""

    looked: float
    published: float
    fresh: Freshness

    @property
    def mark(self) -> object:
        """What an answer is right for; `stale` comes with time alone."""
        return self.published, self.fresh, self.fresh.stale


@dataclass(frozen=True)
class Kept:
    """A written answer, and the publication and freshness that it was written for."""

    stamp: object
    body: bytes


Key = tuple[Any, ...]
_answers: OrderedDict[Key, Kept] = OrderedDict()
_stands: OrderedDict[Key, Stand] = OrderedDict()
_lock = threading.Lock()


def _kept_answer(viewer: Viewer, name: str, chosen: Asked, reads: Sequence[str]) -> Kept | None:
    """A kept answer that is still right; asks the database nothing.

    Whoever shares it sees the same: members see public figures, so they share one copy.
    """
    stand = _stands.get((public(viewer).scope, *reads))
    if stand is None or time.monotonic() - stand.looked > FRESH_SECONDS:
        return None
    key = (public(viewer).scope, name, chosen)
    with _lock:
        kept = _answers.get(key)
        if kept is None or kept.stamp != stand.mark:
            return None
        _answers.move_to_end(key)
        return kept


def _remembered(
    viewer: Viewer,
    name: str,
    chosen: Asked,
    reads: Sequence[str],
    make: Callable[[], dict[str, Any]],
) -> Kept:
    """A kept answer, or a new one, kept for the viewer's scope.

    The publication is looked up before the figures are: what is kept is at least as new.
    """
    mark = _looked_up(viewer, reads).mark
    if kept := _kept_answer(viewer, name, chosen, reads):
        return kept
    made, key = Kept(mark, answers.written(make())), (public(viewer).scope, name, chosen)
    with _lock:
        _answers.pop(key, None)
        _answers[key] = made
        held = sum(len(kept.body) for kept in _answers.values())
        while len(_answers) > KEPT or held > KEPT_BYTES:
            held -= len(_answers.popitem(last=False)[1].body)
    return made


def _looked_up(viewer: Viewer, reads: Sequence[str]) -> Stand:
    """Publication and freshness, asked of the database unless that was done just now."""
    key = (public(viewer).scope, *reads)
    stand = _stands.get(key)
    if stand is None or time.monotonic() - stand.looked > FRESH_SECONDS:
        looked, published = time.monotonic(), stamp(viewer, tuple(reads))
        stand = _stands[key] = Stand(looked, published, freshness(viewer, reads))
        while len(_stands) > KEPT:
            _stands.popitem(last=False)
    return stand


# The figures -----------------------------------------------------------------------------------


def _plain(one: Measure, viewer: Viewer) -> dict[str, Any]:
    return _out(one, _table(one, viewer, Asked())[0], None, None)


def _table(one: Measure, viewer: Viewer, chosen: Asked) -> tuple[Table, Selection | None]:
    """The table of a measure, by the model of its page.

    Raises:
        Problem: 404, nothing has been published, there is no such branch for the viewer, or no
            history was agreed to.
    """
    if one.made:
        return one.made(viewer, chosen)
    if one.own and viewer.role != "member":
        raise Problem(404, "Only a library card has loans of its own.")
    try:
        found = plain_figures.table(viewer, one.name)
        if found is not None:
            return tables.written(found), None
        return tables.TABLES[one.page](viewer, one.part, {}), None
    except KeyError:
        raise Problem(404, "There is nothing to see here.") from None


def _of_overview(viewer: Viewer, chosen: Asked, part: str) -> tuple[Table, Selection]:
    view = seen(viewer, chosen)
    return (figures(view) if part == FIGURES else view.table(part)), view.chosen


def seen(viewer: Viewer, chosen: Asked) -> View:
    """The overview page's model for a choice.

    Raises:
        Problem: 404, nothing has been published, or there is no such branch for the viewer.
    """
    if chosen.measure or chosen.more:
        raise Problem(422, "The overview's tables hold every measure: nothing else is chosen.")
    counts = circulation(viewer)
    if counts.empty:
        raise Problem(404, "Nothing has been published yet.")
    wanted = _wanted(chosen, counts.codes, counts.bounds.last)
    return View(counts, titles(viewer, counts), select(wanted, counts.bounds))


def _wanted(chosen: Asked, codes: Sequence[str], last: dt.date) -> dict[str, Any]:
    """What was asked for, as `select` takes it.

    Raises:
        Problem: 404, there is no such branch for the viewer.
    """
    if lost := [b for b in chosen.branches if b not in codes]:
        raise Problem(404, f"You see no branch {lost[0]}.", known=list(codes))
    wanted: dict[str, Any] = {
        "branches": chosen.branches, "period": chosen.period, "measure": chosen.measure,
    }  # fmt: skip
    if chosen.start:
        wanted |= {"start": chosen.start, "end": chosen.end or last}
    return {k: v for k, v in wanted.items() if v}


def _of_report(report: Report[Any], part: str) -> Measure:
    """A measure of a report, or its figures."""

    def making(work: Callable[[Any, Selection], Table]) -> Making:
        def made(viewer: Viewer, chosen: Asked) -> tuple[Table, Selection]:
            there = _there(report, viewer)
            wanted = _wanted(chosen, there.bounds.codes, there.bounds.last)
            selection = report.choose(there, wanted | _more(chosen, report.selects(there)))
            return tables.written(work(there, selection)), selection

        return made

    def cards(there: Any, selection: Selection) -> Table:
        return card_table(report.cards(there, selection), {})

    def choices(viewer: Viewer) -> Sequence[Select]:
        return report.selects(_there(report, viewer))

    longer = report.longer.get(part)
    return Measure(
        report.name,
        part,
        OVERVIEW[FIGURES] if part == FIGURES else "",
        making(cards if part == FIGURES else report.measures[part]),
        making(longer) if longer else None,
        report.periods,
        lambda _: report.reads,
        choices,
    )


def _there(report: Report[Any], viewer: Viewer) -> Known:
    found: Known | None = report.load(viewer)
    if found is None:
        raise Problem(404, "Nothing has been published yet.")
    return found


def _more(chosen: Asked, selects: Sequence[Select]) -> dict[str, str]:
    """A page's own choices.

    Raises:
        Problem: 422, naming those that there are.
    """
    offered = {s.key: [value for value, _ in s.values] for s in selects}
    picked = dict(text.split(":", 1) for text in chosen.more)
    for key, value in picked.items():
        if value not in offered.get(key, ()):
            raise Problem(422, f"There is no choice {key}:{value}.", choices=offered)
    return picked


def figures(view: View) -> Table:
    """The overview's cards, with the numbers that their texts are made of."""
    values: dict[str, Any] = {m: int(measured(view.now, m).sum()) for m in MEASURES}
    values["per_day"] = overview.per_open_day(view.now)
    return card_table(view.cards(), values)


def _out(
    one: Measure, table: Table, chosen: Selection | None, fresh: Freshness | None
) -> dict[str, Any]:
    keys = [c.key for c in table.columns]
    return {
        "name": one.name,
        "title": table.title,
        "notes": list(table.notes) or [one.definition],
        "chosen": chosen and {
            "start": chosen.start, "end": chosen.end, "branches": list(chosen.branches),
            "measure": chosen.measure, "more": dict(chosen.more),
        },
        "freshness": fresh and {
            "complete_to": fresh.complete_to, "quality": fresh.quality, "stale": fresh.stale,
            "held_back": list(fresh.held_back), "statement": fresh.statement,
        },
        "columns": _columns(table.columns),
        "rows": [dict(zip(keys, record, strict=True)) for record in shown(table)],
    }  # fmt: skip


def _columns(columns: Sequence[Column]) -> list[Mapping[str, str]]:
    kinds = {"badge": "text"}
    return [{"key": c.key, "title": c.title, "kind": kinds.get(c.kind, c.kind)} for c in columns]
