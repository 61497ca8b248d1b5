"""Every measure of every page is in the API, with the numbers that the page shows.

The measures are the API's own list; the pages are built as they are for a browser. A page's table
that no measure stands for fails the test.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from bi_app.api.rest.measures import known
from bi_app.api.tables import REPORTS, TABLES
from bi_app.auth.accounts import Account
from bi_app.auth.sessions import SignedIn
from bi_app.models.export import to_csv
from bi_app.models.table import Column, Table
from bi_app.pages import activity, my_history, my_loans, pipelines, quality, sign_ins
from bi_app.pages import alerts as alerts_page
from bi_app.pages import people as people_page
from bi_app.pages.report import Layout, ReportPage
from tests.bi_app.test_api import VIEWERS, Caller
from tests.bi_app.test_reports import LAYOUTS
from warehouse.access import Role

PAGES = Path(quality.__file__).parent
REPORTED: dict[str, Layout] = {layout.report.name: layout for layout in LAYOUTS}
# Lists and rows have addresses of their own, with paging and filters.
ELSEWHERE = {
    "people.people": "/users",
    "alerts.alerts": "/alerts",
    "dataset.checks": "/quality/{name}/checks",
    "dataset.rules": "/quality/{name}",
    "dataset.unusual": "/measures/{name}",
    "dataset.loads": "/runs",
    "dataset.columns": "/datasets/{name}",
    "explore.rows": "/datasets/{name}/rows",
    "explore.summary": "/datasets/{name}/summary",
}
OWN = {"my_data.records"}  # a person's own records are a file of that page alone
MEASURES = sorted(known())


def signed_in(role: Role) -> SignedIn:
    viewer = VIEWERS[role]
    return SignedIn("s", Account(1, viewer.user, "A Person", viewer))


def roles_of(name: str) -> tuple[Role, ...]:
    """Who is asked for in the comparison."""
    page = name.partition(".")[0]
    if page in ("my_loans", "my_history"):
        return ("member",)
    if page in ("people", "sign_ins", "activity"):
        return ("admin",)
    return ("admin", "librarian")


def cases(*pages: str, others: bool = False) -> list[Any]:
    """Measures of some pages, or of all others, with the roles that are asked for."""
    return [
        pytest.param(name, role, id=f"{name}-{role}")
        for name in MEASURES
        for role in roles_of(name)
        if (name.partition(".")[0] in pages) != others
    ]


def plain(value: Any) -> Any:
    """A value of a page as JSON has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        return None if math.isnan(value) else float(value)
    return value


def worded(value: Any, kind: str) -> Any:
    """What a person reads in a cell of a page."""
    if kind in ("badge", "link"):
        return str(value).partition("|")[2]
    if kind == "action":
        return value["label"] if value else ""
    if kind == "score":
        return plain(value["score"]) if value else value
    return plain(value)


def rows_of(columns: Sequence[Mapping[str, Any]], data: Mapping[str, Sequence[Any]]) -> list[Any]:
    """The rows of a page's table, by column."""
    drawn = [c for c in columns if c["kind"] != "spark"]
    kinds = {c["key"]: c["kind"] for c in drawn}
    count = len(next(iter(data.values()), ()))
    return [{k: worded(data[k][n], kind) for k, kind in kinds.items()} for n in range(count)]


def as_columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [{"key": c.key, "kind": c.kind} for c in columns]


def of_table(table: Table) -> list[Any]:
    return rows_of(as_columns(table.columns), table.data)


def on_report(role: Role, page: str, part: str, asked: Mapping[str, Any]) -> list[Any] | None:
    """What a report's page shows; None where it has nothing to show."""
    shown = ReportPage(REPORTED[page], signed_in(role), {})
    if shown.known is None:
        return None
    answer = shown.answer(asked)
    return list(answer.cards) if part == "figures" else of_table(answer.tables[part])


def on_page(role: Role, page: str, part: str) -> list[Any]:
    """What a page that is no report shows."""
    viewer = VIEWERS[role]
    if page == "quality":
        built = quality.build(signed_in(role))
        told = {"cards": built.controls.cards, "tables": built.controls.tables}
    elif part in my_history.DRAWN and page == "my_history":
        return of_table(my_history.table_of(my_history.seen(viewer, {})[0], part))
    elif page in ("my_loans", "my_history"):
        built = {"my_loans": my_loans, "my_history": my_history}[page].build(signed_in(role))
        told = {"cards": built.controls.cards, "tables": built.controls.tables}
    elif page in ("alerts", "people"):
        told = {"alerts": alerts_page, "people": people_page}[page].answer_of(viewer, {})
    elif page == "sign_ins":
        told = sign_ins.answer_of(viewer, "", {}).told
    else:
        told = {"pipelines": pipelines, "activity": activity}[page].answer_of(viewer, {}).told
    if part == "figures":
        return list(told["cards"])
    table = told["tables"][part]
    return rows_of(table["columns"], table["data"])


def ask(client: httpx.Client, name: str, **asked: Any) -> Any:
    answer = client.get(f"/measures/{name}", params=asked)
    assert answer.status_code == 200, (name, answer.text)
    return answer.json()["rows"]


def same(told: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]) -> None:
    """What the API tells is what the page shows, in its order; `age`-like columns aside."""
    assert len(told) == len(shown)
    for one, other in zip(told, shown, strict=True):
        wanted = json.loads(
            json.dumps({k: plain(other[k]) for k in one if k in other}, default=str)
        )
        assert {k: one[k] for k in wanted} == wanted
        assert set(one) <= set(other), set(one) - set(other)


def same_cards(told: Sequence[Mapping[str, Any]], cards: Sequence[Mapping[str, Any]]) -> None:
    assert cards
    assert [(r["name"], r["title"], r["text"], r["note"], r["change"]) for r in told] == [
        (c["name"], c["title"], c["value"], c.get("note"), c.get("change")) for c in cards
    ]


CHOICES: tuple[dict[str, Any], ...] = ({}, {"period": "30d", "branch": "CEN", "measure": "returns"})


@pytest.mark.parametrize(("name", "role"), cases(*REPORTED))
def test_a_measure_of_a_report_is_what_the_page_shows(
    at_api: str, caller: Caller, name: str, role: Role
) -> None:
    page, _, part = name.partition(".")
    client, one = caller(role), known()[name]
    for choice in CHOICES:
        asked = {k: v for k, v in choice.items() if k in one.parameters}
        page_asked = {("branches" if k == "branch" else k): [v] if k == "branch" else v
                      for k, v in asked.items()}  # fmt: skip
        bounds = REPORTED[page].report.load(VIEWERS[role])
        if bounds is None or (asked.get("branch") and "CEN" not in bounds.bounds.codes):
            assert client.get(f"/measures/{name}", params=asked).status_code == 404
            continue
        shown = on_report(role, page, part, page_asked)
        assert shown is not None
        (same_cards if part == "figures" else same)(ask(client, name, **asked), shown)


@pytest.mark.parametrize(("name", "role"), cases("overview", *REPORTED, others=True))
def test_a_measure_of_another_page_is_what_the_page_shows(
    at_api: str, caller: Caller, name: str, role: Role
) -> None:
    page, _, part = name.partition(".")
    told = ask(caller(role), name)
    if name == "quality.score":
        assert [(r["day"], r["score"]) for r in told] == [
            (d.isoformat(), v) for d, v, _ in quality.prepare(VIEWERS[role]).trend
        ]
    elif name in ("sign_ins.attempts", "activity.active"):
        assert len(told) == 30
    elif name == "activity.activity":
        assert told[0]["who"]
    elif part == "figures" and page in ("sign_ins", "activity"):
        assert [r["name"] for r in told] == [c["name"] for c in on_page(role, page, part)]
    elif page in (
        "sign_ins",
        "activity",
        "my_data",
    ):  # asking is itself on record: shapes, not counts
        assert told is not None
    else:
        (same_cards if part == "figures" else same)(told, on_page(role, page, part))


def test_every_table_of_every_page_is_a_measure_or_has_an_address(caller: Caller) -> None:
    found = {
        f"{path.stem}.{word.value.value}"
        for path in PAGES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "download" and isinstance(word.value, ast.Constant)
    }
    for page, layout in REPORTED.items():
        found |= {f"{page}.{part.name}" for part in layout.parts} | {f"{page}.figures"}
    assert {page for page in TABLES if page not in {n.partition(".")[0] for n in found}} <= {
        "my_loans"
    }
    assert found - set(known()) - OWN == set(ELSEWHERE)
    document = caller("admin").get("/openapi.json").json()["paths"]
    for path in ELSEWHERE.values():
        assert any(p.endswith(path) or p.replace("dataset", "name") for p in document)


@pytest.mark.parametrize("report", REPORTS, ids=lambda r: r.name)
def test_a_file_of_the_api_is_the_file_of_the_page(
    at_api: str, caller: Caller, report: Any
) -> None:
    client = caller("librarian")
    for part in report.measures:
        answer = client.get(f"/measures/{report.name}.{part}/file.csv")
        if report.load(VIEWERS["librarian"]) is None:
            assert answer.status_code == 404
            continue
        saved = TABLES[report.name](VIEWERS["librarian"], part, {})
        assert answer.content == to_csv(saved), (report.name, part)
