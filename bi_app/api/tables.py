"""The tables that can be saved, by page: the same figures that the page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bi_app.models import (
    activity,
    alerts,
    annual_return,
    baskets,
    branch_report,
    cards,
    collection,
    customers,
    dataset,
    explore,
    figures,
    fines,
    holds,
    lending_report,
    members,
    my_data,
    people,
    pipelines,
    quality,
    returned,
    sales,
    schedule,
    sign_ins,
    staffing,
    streams,
    summary,
    unusual,
)
from bi_app.models.circulation import circulation
from bi_app.models.my_history import my_history
from bi_app.models.my_loans import my_loans
from bi_app.models.overview import View
from bi_app.models.report import Report
from bi_app.models.selection import from_arguments, select, texts_of
from bi_app.models.table import Kind, Table
from bi_app.models.titles import titles
from warehouse.access import Viewer

Arguments = Mapping[str, Any]


def overview(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of the overview for the choice in the arguments.

    Raises:
        KeyError: there is no such table, or nothing to save.
    """
    known = circulation(viewer)
    if known.empty:
        raise KeyError(name)
    chosen = select(from_arguments(arguments), known.bounds)
    return View(known, titles(viewer, known), chosen).table(name)


def mine(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of a member's own loans.

    Raises:
        KeyError: there is no such table, or no history was agreed to.
    """
    found = my_loans(viewer)
    if name == "past" and not found.history_since:
        raise KeyError(name)
    return found.table(name)


def past(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of a member's own history.

    Raises:
        KeyError: there is no such table, or no history was agreed to.
    """
    return my_history(viewer).within(_text(arguments, "span")).table(name)


def own(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """What is held about the viewer: the parts of it, or the records of one (at most 20,000).

    Raises:
        KeyError: there is no such table, or no such part.
    """
    if name == "parts":
        return written(my_data.overview(my_data.counted(viewer)))
    if name != "records":
        raise KeyError(name)
    return written(my_data.part_table(viewer, _text(arguments, "part")))


def explored(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """Rows of a table of the catalogue, or its summary: at most 10,000 rows or groups.

    Raises:
        KeyError: there is no such table, or it is not summarised.
    """
    asked, known = cards.asked_in(texts_of(arguments)), explore.catalogue(viewer)
    entry = known.get(str(asked.get("table")))
    if entry is None or name not in ("rows", "summary"):
        raise KeyError(name)
    if name == "summary":
        if summary.about_people(entry):
            raise KeyError(name)
        return figures.work(viewer, summary.begun(viewer, entry, asked), figures.SAVED).table
    filters = summary.read_filters(entry, asked.get("filter"), [])
    question = replace(explore.ask(asked, known, filters), page=0)
    return explore.page_of_rows(viewer, question, explore.SAVED_ROWS)


def judged(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of the quality page.

    Raises:
        KeyError: there is no such table.
    """
    now = quality.standing(viewer)
    tables = {
        "failing": lambda: quality.failing(viewer),
        "datasets": lambda: quality.datasets_table(now),
        "rules": lambda: quality.held_records(viewer, now),
        "unusual": lambda: unusual.unusual(viewer),
    }
    return written(tables[name]())


def run(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of the pipelines page.

    Raises:
        KeyError: there is no such table.
    """
    tables = {
        "pipelines": lambda: pipelines.pipelines(
            viewer, quality.standing(viewer), schedule.next_runs(), set()
        ),
        "failures": lambda: pipelines.failures(viewer),
        "streams": lambda: streams.streams(viewer),
    }
    return written(tables[name]())


def one_dataset(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """A table of a dataset's page.

    Raises:
        KeyError: there is no such dataset, or no such table.
    """
    asked = arguments["name"][0].decode("utf-8", "replace")
    entry = dataset.described(viewer, asked)
    if entry is None:
        raise KeyError(asked)
    tables = {
        "checks": lambda: quality.checks(viewer, asked),
        "rules": lambda: dataset.rules(viewer, asked),
        "unusual": lambda: unusual.unusual(viewer, asked),
        "loads": lambda: dataset.loads(viewer, asked),
        "columns": lambda: dataset.columns(entry),
    }
    return written(tables[name]())


def alerted(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """The alerts, resolved ones too.

    Raises:
        KeyError: there is no such table.
    """
    if name != "alerts":
        raise KeyError(name)
    return written(alerts.inbox_table(alerts.inbox(viewer, everything=True)))


def accounts(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """The accounts, of one state if it is asked for.

    Raises:
        KeyError: there is no such table.
    """
    if name != "people":
        raise KeyError(name)
    return written(people.people_table(people.found(viewer, _text(arguments, "state"))))


def signed_in(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """The live sessions, or failed sign-ins by account or address.

    Raises:
        KeyError: there is no such table.
    """
    days = _text(arguments, "days")
    span = int(days) if days in sign_ins.SPANS else 7
    tables = {
        "sessions": lambda: sign_ins.sessions_table(sign_ins.live(viewer), ""),
        "account": lambda: sign_ins.tried(viewer, "account", span),
        "address": lambda: sign_ins.tried(viewer, "address", span),
    }
    found = written(tables[name]())
    return replace(found, columns=[c for c in found.columns if c.key != "end"])


def acts(viewer: Viewer, name: str, arguments: Arguments) -> Table:
    """The entries of the audit log that fit (at most 50,000), active people, or pages.

    Raises:
        KeyError: there is no such table.
    """
    keys = ("days", "who", "act", "door", "outcome")
    chosen = activity.choice({key: _text(arguments, key) for key in keys})
    tables = {
        "activity": lambda: activity.entries_table(viewer, chosen, activity.SAVED),
        "active": lambda: activity.days_table(activity.days(viewer)),
        "pages": lambda: activity.pages_table(viewer, chosen.days),
    }
    return written(tables[name]())


def _text(arguments: Arguments, key: str) -> str:
    return bytes(arguments.get(key, [b""])[0]).decode("utf-8", "replace")


def written(table: Table) -> Table:
    """A table for a file: without what is drawn, and links as their words."""
    columns = [c for c in table.columns if c.kind != "spark" and c.key != "run"]
    data = {c.key: [_written(v, c.kind) for v in table.data[c.key]] for c in columns}
    kinds: dict[str, Kind] = {
        "link": "text",
        "action": "text",
        "moment": "datetime",
        "score": "number",
        "seconds": "number",
    }
    plain = [replace(c, kind=kinds.get(c.kind, c.kind)) for c in columns]
    return replace(table, columns=plain, data=data)


def _written(value: Any, kind: str) -> Any:
    if kind == "action":
        return value["label"] if value else ""
    if kind == "link":
        return str(value).partition("|")[2]
    return value["score"] if kind == "score" and value else value


REPORTS: tuple[Report[Any], ...] = (
    lending_report.REPORT,
    staffing.REPORT,
    collection.REPORT,
    holds.REPORT,
    fines.REPORT,
    branch_report.REPORT,
    members.REPORT,
    annual_return.REPORT,
    sales.REPORT,
    returned.REPORT,
    customers.REPORT,
    baskets.REPORT,
)
TABLES: dict[str, Callable[[Viewer, str, Arguments], Table]] = {
    "overview": overview,
    "my_loans": mine,
    "my_history": past,
    "my_data": own,
    "explore": explored,
    "quality": judged,
    "pipelines": run,
    "dataset": one_dataset,
    "alerts": alerted,
    "people": accounts,
    "sign_ins": signed_in,
    "activity": acts,
    **{report.name: report.table for report in REPORTS},
}
