"""Pages as documents: built, chosen from, and read back, without a browser."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import replace
from typing import Any

import pytest
from bokeh.document import Document

from bi_app.auth.accounts import Account
from bi_app.auth.roles import PAGES
from bi_app.auth.sessions import SignedIn
from bi_app.charts.values import DAY_MS
from bi_app.models.selection import day_number
from bi_app.pages import explore, my_loans, overview, shell
from tests.bi_app.fix_app import MEMBER, OWN
from warehouse.access import Role, Viewer


def signed_in(role: Role, branches: tuple[str, ...] = OWN) -> SignedIn:
    branches = branches if role == "librarian" else ()
    viewer = Viewer(f"{role}@x.example", role, branches, MEMBER if role == "member" else None)
    return SignedIn("s", Account(1, viewer.user, "A <b>Person</b>", viewer))


@pytest.fixture
def page(here: str) -> overview.Overview:
    return overview.Overview(signed_in("admin"), {})


def test_a_choice_moves_every_figure(page: overview.Overview) -> None:
    page.controls.query = {"period": "30d", "branches": ["BEL"], "measure": "returns"}
    chosen = page.shown
    assert chosen is not None
    assert page.controls.query == chosen.as_dict()
    assert page.daily.x_range.start == day_number(chosen.start) * DAY_MS
    values = page.daily.source.data["value"][-chosen.days - 1 : -1]
    card = next(c for c in page.controls.cards if c["name"] == "returns")
    assert card["value"] == f"{values.sum():,}"
    assert page.busy.source.data["sum"].sum() == values.sum()
    assert page.branches is not None
    frame = page.branches.source.data
    assert frame["value"][frame["code"].index("BEL")] == values.sum()
    assert [a for c, a in zip(frame["code"], frame["alpha"], strict=True) if c == "BEL"] == [0.9]
    assert page.controls.notes["titles"] == "By checkouts in Oct 2026"


def test_the_same_choice_does_nothing(page: overview.Overview) -> None:
    cards = page.controls.cards
    page.controls.query = {**page.controls.query, "period": "12m"}
    assert page.controls.cards is cards


def test_a_click_on_a_branch_chooses_it_and_again_lets_go(page: overview.Overview) -> None:
    assert page.branches is not None
    code = page.branches.source.data["code"][1]
    page.branches.source.selected.indices = [1]
    assert page.controls.query["branches"] == [code]
    place = page.branches.source.data["code"].index(code)
    page.branches.source.selected.indices = [place]
    assert page.controls.query["branches"] == []


@pytest.mark.parametrize("asked", [{"period": 5}, {"branches": 7}, {"start": []}, {"measure": {}}])
def test_nonsense_from_a_browser_breaks_nothing(page: overview.Overview, asked: Any) -> None:
    page.controls.query = asked
    assert page.controls.message == {} or page.controls.message["kind"] == "error"
    assert page.controls.answered


def test_an_error_while_answering_is_told_without_details(
    page: overview.Overview, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret place")

    monkeypatch.setattr(page.busy, "show", fail)
    page.controls.query = {"period": "7d"}
    told = page.controls.message
    assert told["kind"] == "error"
    assert "secret" not in told["text"]
    number = told["text"].rstrip(".").split()[-1]
    assert number in caplog.text


def test_an_empty_library_says_what_to_do(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = SignedIn("s", Account(1, "l@x.example", "L", Viewer("l@x.example", "librarian")))
    built = overview.Overview(nobody, {}).page()
    assert built.empty == overview.NOTHING
    assert built.cells == ()


def test_a_day_without_events_is_told(page: overview.Overview) -> None:
    counts = page.known.counts.copy()
    counts[:, -3] = 0
    counts[:, -2, :, 3] = 0
    page.known = replace(page.known, counts=counts)
    days = [(page.known.bounds.last - dt.timedelta(days=n)).isoformat() for n in (2, 1)]
    chosen = {"period": "custom", "measure": "in_house_uses"}
    page.controls.query = {**chosen, "start": days[0], "end": days[0]}
    text = "Nothing happened in this period at these branches."
    assert page.controls.message == {"kind": "empty", "text": text}
    page.controls.query = {**chosen, "start": days[1], "end": days[1]}
    assert page.controls.message["text"] == "No uses in this period at these branches."
    page.controls.query = {**chosen, "start": days[0], "end": days[1], "measure": "checkouts"}
    assert page.controls.message == {}


def test_a_page_that_fails_to_build_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: SignedIn) -> shell.Page:
        raise RuntimeError("no")

    built = shell.guarded(fail, signed_in("admin"))
    assert built.empty is not None
    assert "page error" in caplog.text


def test_a_member_sees_public_figures_without_branches(here: str) -> None:
    page = overview.Overview(signed_in("member"), {})
    assert page.branches is None
    assert page.controls.options["branches"] == []
    assert {c.name for c in page.page().cells} == {"daily", "busy", "titles"}


@pytest.mark.parametrize("role", ["admin", "librarian", "member"])
def test_every_page_of_a_role_becomes_html(here: str, role: Role) -> None:
    builders = {"/overview": overview.build, "/explore": explore.build, "/my_loans": my_loans.build}
    for path, build in builders.items():
        if role not in PAGES[path].roles:
            continue
        document, built = Document(), build(signed_in(role))
        shell.place(document, built, signed_in(role), path)
        html = render(document)
        assert "A &lt;b&gt;Person" in html
        assert "<b>Person" not in html
        assert built.title == PAGES[path].title in html
        assert all(c.definition in html or "'" in c.definition for c in built.cells)


def render(document: Document) -> str:
    """The template as Panel fills it, without its scripts."""
    from bokeh.core.templates import MACROS
    from bokeh.embed.util import RenderItem
    from bokeh.util.serialization import make_id

    item = RenderItem(token=make_id(), roots=document.roots)
    return str(
        document.template.render(
            {
                **document.template_variables,
                "macros": MACROS,
                "docs": [item],
                "roots": item.roots,
                "title": document.title,
            }
        )
    )


def test_a_member_without_a_card_is_told(here: str) -> None:
    nobody = SignedIn("s", Account(1, "m@x.example", "M", Viewer("m@x.example", "member")))
    assert my_loans.build(nobody).empty == my_loans.UNLINKED


def test_explore_lists_what_the_catalogue_holds(here: str) -> None:
    page = explore.Explore(signed_in("admin"), {"table": "gold.library_titles"})
    assert page.controls.query["table"] == "gold.library_titles"
    assert len(page.controls.tables["rows"]["data"]["title"]) == 25
    assert page.controls.tables["rows"]["pages"] == 12
    listed = {t[0] for t in page.controls.options["tables"]}
    assert {"gold.library_titles", "silver.library_loan_events"} <= listed


def test_a_late_answer_does_not_replace_a_newer_choice() -> None:
    asked: list[int] = []
    shown: list[int] = []

    def work(query: dict[str, int]) -> int:
        asked.append(query["n"])
        time.sleep(0.2 if query["n"] == 1 else 0)
        return query["n"]

    def show(result: int) -> None:
        shown.append(result)
        controls.query = {"n": result, "worked_out": 1}

    async def choose() -> None:
        shell.reacting(controls, signed_in("admin"), show, work)
        controls.query = {"n": 1}
        await asyncio.sleep(0.05)
        controls.query = {"n": 2}
        await asyncio.sleep(0.4)

    controls = shell.Controls()
    asyncio.run(choose())
    assert (asked, shown, controls.answered) == ([1, 2], [2], 1)


def test_no_figure_or_tool_is_shared_between_sessions(here: str) -> None:
    first, second = (overview.Overview(signed_in("admin"), {}).page() for _ in range(2))
    models = [
        {m.id for cell in built.cells for model in cell.models for m in model.references()}
        for built in (first, second)
    ]
    assert not models[0] & models[1]
