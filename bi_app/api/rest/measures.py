"""Every measure of the pages, by the pages' own models: the same numbers for the same viewer."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api import tables
from bi_app.api.rest import answers, shapes
from bi_app.api.rest.problems import Problem
from bi_app.api.rest.who import Exports, Reads
from bi_app.models import measures as defined
from bi_app.models import my_loans, overview, pipelines, quality
from bi_app.models.circulation import circulation, measured, public, tables_of
from bi_app.models.export import WRITERS, file_name, shown
from bi_app.models.freshness import Freshness, freshness
from bi_app.models.measures import MEASURES
from bi_app.models.overview import View
from bi_app.models.selection import Selection, select
from bi_app.models.store import published
from bi_app.models.table import Column, Table
from bi_app.models.titles import titles
from warehouse.access import Viewer

router = APIRouter(tags=["measures"])
Period = Literal["7d", "30d", "90d", "12m", "year", "all"]
FRESH_SECONDS = 5.0
KEPT, KEPT_BYTES = 512, 32 * 2**20
FIGURE_COLUMNS = (
    Column("name", "Name"),
    Column("title", "Title"),
    Column("unit", "Unit"),
    Column("value", "Value", "number"),
    Column("text", "As the page shows it"),
    Column("change", "Change in percent", "percent"),
    Column("definition", "Definition"),
)


@dataclass(frozen=True)
class Asked:
    """What a measure was asked for."""

    period: str | None = None
    start: dt.date | None = None
    end: dt.date | None = None
    branches: tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Whether anything was chosen."""
        return self != Asked()


@dataclass(frozen=True)
class Measure:
    """A measure as the API names it: a table of a page.

    `chosen`: it is taken over a period and branches. `own`: it is about the caller, kept nowhere.
    """

    name: str
    page: str
    title: str
    definition: str
    columns: Sequence[Column] = ()
    chosen: bool = False
    own: bool = False


def _circulation(name: str, title: str, definition: str, columns: Sequence[Column]) -> Measure:
    return Measure(f"circulation.{name}", "overview", title, definition, columns, chosen=True)


def _of_each(*first: Column) -> tuple[Column, ...]:
    return (*first, *(Column(m.name, m.title, "integer") for m in MEASURES.values()))


@cache
def known() -> dict[str, Measure]:
    """All measures, by name."""
    mine, words = my_loans, my_loans.DEFINITIONS
    found = [
        _circulation(
            "figures", "Circulation in figures",
            " ".join(f"{m.title}: {m.definition}" for m in MEASURES.values())
            + f" {defined.PER_DAY} {defined.CHANGE}", FIGURE_COLUMNS,
        ),
        _circulation(
            "daily", "Circulation by day", defined.DAILY, _of_each(Column("day", "Day", "date"))
        ),
        _circulation(
            "busy", "By weekday and hour", defined.BUSY,
            _of_each(Column("weekday", "Weekday"), Column("hour", "Hour from", "integer"),
                     Column("days", "Such days", "integer")),
        ),
        _circulation(
            "branches", "Circulation by branch", defined.BRANCHES,
            _of_each(Column("code", "Code"), Column("name", "Branch")),
        ),
        _circulation("titles", "Top titles", defined.TITLES, overview.TITLE_COLUMNS),
        Measure("my_loans.loans", "my_loans", "On loan", words["on_loan"], mine.LOAN_COLUMNS,
                own=True),
        Measure("my_loans.holds", "my_loans", "Holds", words["holds"], mine.HOLD_COLUMNS, own=True),
        Measure("my_loans.fines", "my_loans", "Charges", words["owed"], own=True),
        Measure("my_loans.past", "my_loans", "History", words["past"], mine.PAST_COLUMNS, own=True),
        Measure("quality.datasets", "quality", "Datasets", quality.OUTCOMES),
        Measure("quality.failing", "quality", "Failing checks", quality.FAILING),
        Measure("quality.rules", "quality", "Records held back",
                "Records in quarantine by dataset and rule."),
        Measure("pipelines.pipelines", "pipelines", "Pipelines", pipelines.RUNS),
        Measure("pipelines.failures", "pipelines", "Failures by kind", pipelines.FAILURES),
    ]  # fmt: skip
    return {m.name: m for m in found}


def asked(
    period: Annotated[Period | None, Query(description="Default 12m; not beside start")] = None,
    start: Annotated[dt.date | None, Query(description="First day")] = None,
    end: Annotated[dt.date | None, Query(description="Last day; default: the newest")] = None,
    branch: Annotated[list[shapes.Code] | None, Query(max_length=200)] = None,
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
    return Asked(period, start, end, tuple(sorted(set(branch or ()))))


Choice = Annotated[Asked, Depends(asked)]
Named = Annotated[str, Path(pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$")]


@router.get("/measures", response_model=shapes.Measures)
async def measures(caller: Reads) -> Response:
    """All measures with their definitions; whether one is yours to read is said when you ask."""
    items = [
        {
            "name": m.name, "title": m.title, "definition": m.definition, "page": m.page,
            "parameters": ["period", "start", "end", "branch"] if m.chosen else [],
            "columns": _columns(m.columns),
        }
        for m in known().values()
    ]  # fmt: skip
    return answers.sent({"items": items})


@router.get("/measures/{name}", response_model=shapes.MeasureOut)
async def measure(request: Request, caller: Reads, name: Named, chosen: Choice) -> Response:
    """A measure as the caller may see it. A copy may be kept, but for the own loans."""
    one = _known(name, chosen)
    if not one.chosen:
        return answers.sent(await run_in_threadpool(_plain, one, caller.viewer))
    kept = _kept_answer(caller.viewer, one, chosen)
    if kept is None:
        kept = await run_in_threadpool(_made, caller.viewer, one, chosen)
    return answers.keepable(request, caller, kept.body, kept.stamp)


@router.get(
    "/measures/{name}/file.{kind}",
    responses={200: {"content": {media: {} for media, _ in WRITERS.values()}}},
    response_class=Response,
)
async def file(
    caller: Exports, name: Named, kind: Literal["csv", "xlsx"], chosen: Choice
) -> Response:
    """A measure as a file: the same that the page saves."""
    one = _known(name, chosen)
    media, write = WRITERS[kind]

    def make() -> Response:
        table = _table(one, caller.viewer, chosen)[0]
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
    if chosen.given and not one.chosen:
        raise Problem(422, "This measure takes neither a period nor branches.")
    return one


# What is kept ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A written answer, and the publication and freshness that it was written for."""

    stamp: object
    body: bytes


Key = tuple[Any, ...]
_answers: OrderedDict[Key, Kept] = OrderedDict()
_fresh: OrderedDict[Key, tuple[float, Freshness]] = OrderedDict()
_lock = threading.Lock()


def _kept_answer(viewer: Viewer, one: Measure, chosen: Asked) -> Kept | None:
    """A kept answer that is still right; asks the database nothing."""
    stamp, key = _stamp_now(viewer), _key(viewer, one, chosen)
    with _lock:
        kept = _answers.get(key)
        if stamp is None or kept is None or kept.stamp != stamp:
            return None
        _answers.move_to_end(key)
        return kept


def _key(viewer: Viewer, one: Measure, chosen: Asked) -> Key:
    """Whoever shares it sees the same: members see public figures, so they share one copy."""
    return (public(viewer).scope, one.name, chosen)


def _stamp_now(viewer: Viewer) -> object:
    """Publication and freshness, where both were looked up in the last seconds; else None."""
    at, fresh = _fresh.get(public(viewer).scope, (0.0, None))
    moment = published(viewer, tables_of(viewer), ask=False)
    if fresh is None or moment is None or time.monotonic() - at > FRESH_SECONDS:
        return None
    return moment, fresh, fresh.stale


def _made(viewer: Viewer, one: Measure, chosen: Asked) -> Kept:
    """A new answer, kept for the viewer's scope."""
    stamp, fresh = _looked_up(viewer)
    if kept := _kept_answer(viewer, one, chosen):
        return kept
    table, selection = _table(one, viewer, chosen)
    made = Kept(stamp, answers.written(_out(one, table, selection, fresh)))
    with _lock:
        _answers.pop(_key(viewer, one, chosen), None)
        _answers[_key(viewer, one, chosen)] = made
        held = sum(len(kept.body) for kept in _answers.values())
        while len(_answers) > KEPT or held > KEPT_BYTES:
            held -= len(_answers.popitem(last=False)[1].body)
    return made


def _looked_up(viewer: Viewer) -> tuple[object, Freshness]:
    """Publication and freshness, asked of the database unless that was done just now."""
    scope = public(viewer).scope
    at, fresh = _fresh.get(scope, (0.0, None))
    if fresh is None or time.monotonic() - at > FRESH_SECONDS:
        fresh = freshness(viewer, tables_of(viewer))
        _fresh[scope] = (time.monotonic(), fresh)
        while len(_fresh) > KEPT:
            _fresh.popitem(last=False)
    return (published(viewer, tables_of(viewer)), fresh, fresh.stale), fresh


# The figures -----------------------------------------------------------------------------------


def _plain(one: Measure, viewer: Viewer) -> dict[str, Any]:
    return _out(one, _table(one, viewer, Asked())[0], None, None)


def _table(one: Measure, viewer: Viewer, chosen: Asked) -> tuple[Table, Selection | None]:
    """The table of a measure, by the model of its page.

    Raises:
        Problem: 404, nothing has been published, there is no such branch for the viewer, or no
            history was agreed to.
    """
    _, _, part = one.name.partition(".")
    if not one.chosen:
        if one.own and viewer.role != "member":
            raise Problem(404, "Only a library card has loans of its own.")
        try:
            return tables.TABLES[one.page](viewer, part, {}), None
        except KeyError:
            raise Problem(404, "There is nothing to see here.") from None
    view = seen(viewer, chosen)
    made: Callable[[], Table] = (
        (lambda: figures(view)) if part == "figures" else lambda: view.table(part)
    )
    return made(), view.chosen


def seen(viewer: Viewer, chosen: Asked) -> View:
    """The overview page's model for a choice.

    Raises:
        Problem: 404, nothing has been published, or there is no such branch for the viewer.
    """
    counts = circulation(viewer)
    if counts.empty:
        raise Problem(404, "Nothing has been published yet.")
    if lost := [b for b in chosen.branches if b not in counts.codes]:
        raise Problem(404, f"You see no branch {lost[0]}.", known=list(counts.codes))
    wanted: dict[str, Any] = {"branches": chosen.branches, "period": chosen.period}
    if chosen.start:
        wanted |= {"start": chosen.start, "end": chosen.end or counts.bounds.last}
    picked = select({k: v for k, v in wanted.items() if v}, counts.bounds)
    return View(counts, titles(viewer, counts), picked)


def figures(view: View) -> Table:
    """The overview's cards, with the numbers that their texts are made of."""
    values: dict[str, Any] = {m: int(measured(view.now, m).sum()) for m in MEASURES}
    values["per_day"] = overview.per_open_day(view.now)
    units = {m.name: m.unit for m in MEASURES.values()} | {"per_day": "checkouts a day"}
    cards = view.cards()
    data = {
        "name": [c["name"] for c in cards],
        "title": [c["title"] for c in cards],
        "unit": [units.get(c["name"], "") for c in cards],
        "value": [values.get(c["name"]) for c in cards],
        "text": [c["value"] for c in cards],
        "change": [c["change"] for c in cards],
        "definition": [c["definition"] for c in cards],
    }
    return Table("figures", "Circulation in figures", FIGURE_COLUMNS, data, [defined.CHANGE])


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
