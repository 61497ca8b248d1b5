"""The frame around every page: menu, title with freshness, cells, and the edge for errors.

A page is a list of cells. What moves between browser and server is the `Controls` component;
the rest of the frame is plain HTML (assets/page.html), which costs the server nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import panel as pn
import param
from bokeh.model import Model
from panel.custom import JSComponent

from bi_app import words
from bi_app.auth import watch
from bi_app.auth.forms import form_token, template
from bi_app.auth.roles import PAGES, ROLE_NAMES, grouped, page_of
from bi_app.auth.sessions import SignedIn
from bi_app.models.freshness import Freshness
from bi_app.models.paper.pages import PAGES as PAGES_PRINTED
from bi_app.models.subscriptions import DAYS, FILES
from bi_app.models.table import Column, Table
from bi_app.words import _
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.settings import settings

log = logging.getLogger(__name__)
LOOK_MS = 5_000
SELDOM = ("datatabulator", "bokeh-gl")


class Controls(JSComponent):  # type: ignore[misc]
    """What the browser and the server tell each other; drawn by assets/carrel.js."""

    query = param.Dict({}, doc="What the person chose: period, start, end, branches, measure")
    options = param.Dict({}, doc="What there is to choose from; fixed for the session")
    cards = param.List([], doc="Figures on top: name, title, value, change, spark, definition")
    tables = param.Dict({}, doc="Tables that are no chart's: columns, data, and where they stand")
    notes = param.Dict({}, doc="Texts that change with the choice, by the name of their place")
    message = param.Dict({}, doc="A message on top of the page: kind and text")
    detail = param.Dict({}, doc="What is neither figure nor table: lineage, acts that are offered")
    act = param.Dict({}, doc="What the person does: act, subject, and what the act needs")
    views = param.Dict({}, doc="Saved views of the page, and how the last act on one went")
    answered = param.Integer(0, doc="Counts the answers, so that the browser knows when to draw")

    shown: Any = None  # the choice that was answered last: showing it is no new choice

    _debounce = 1  # ms; Panel waits 50, for sliders
    _esm = "export const render = ({model}) => window.carrel.start(model)"


@dataclass(frozen=True)
class Cell:
    """A part of a page: a chart with its table, a table alone, or (`drawn`) a part of `detail`.

    `models` are Bokeh models to draw, `source` the name of the ColumnDataSource behind the
    table, `span` how many of the 12 columns it takes, `download` the name of the table to save,
    `rows` how many rows of a table are shown at once.
    """

    name: str
    title: str
    definition: str = ""
    models: Sequence[Model] = ()
    source: str = ""
    columns: Sequence[Column] = ()
    span: int = 12
    download: str = ""
    kind: str = "chart"
    search: bool = True
    rows: int = 10


@dataclass
class Page:
    """A page as built for one viewer."""

    title: str
    freshness: Freshness | None = None
    source: str = "overview"
    controls: Controls | None = None
    cells: Sequence[Cell] = ()
    sources: Sequence[Model] = ()
    empty: tuple[str, str] | None = None
    filters: bool = True
    cards: bool = True
    needs: Sequence[str] = ()
    views: bool = False


def serving(module: str, build: Callable[[SignedIn], Page]) -> None:
    """Serve a page file when `panel serve` runs it; do nothing when it is imported."""
    if module.startswith("bokeh_app_"):
        serve(build)


def serve(build: Callable[[SignedIn], Page]) -> None:
    """Build the page for who asks and put it into the document; show a message if that fails."""
    document = pn.state.curdoc
    signed_in: SignedIn | None = getattr(document.session_context.request, "carrel", None)
    path = page_of(document.session_context.request.path)
    words.speak(signed_in.language if signed_in else words.choose(""))
    if signed_in is None or signed_in.account.viewer.role not in PAGES[path].roles:
        page = Page("Not yours to open", empty=("Not yours to open", "Please go back."))
    else:
        page = guarded(build, signed_in)
    place(document, page, signed_in, path)


def guarded(build: Callable[[SignedIn], Page], signed_in: SignedIn) -> Page:
    """The page, or one that says what went wrong, with a number to find it in the log."""
    try:
        return build(signed_in)
    except Exception as error:
        return Page("Something went wrong", empty=("This page cannot be shown now", said(error)))


def said(error: Exception) -> str:
    """What a person is told of an error: our own words, or a number that the log holds too."""
    number = secrets.token_hex(4)
    log.exception("page error %s", number)
    text = error.message if isinstance(error, CarrelError) else _("The error has been noted.")
    return _(
        "{text} Please try again; if it stays, tell your administrator the number {number}.",
        text=text,
        number=number,
    )


def place(document: Any, page: Page, signed_in: SignedIn | None, path: str) -> None:
    """Put a page into its document; frozen, so that Bokeh looks its models through only once."""
    with document.models.freeze():
        for cell in page.cells:
            for model in cell.models:
                document.add_root(model)
        for source in page.sources:
            document.add_root(source)
        if page.controls is not None:
            page.controls.server_doc(document, page.title, location=False)
    document.config.update(notify_connection_status=False, reconnect_session=False)
    document.title = f"{_(page.title)} · Carrel"
    document.template = template("page.html")
    document.template_variables.update(variables(page, signed_in, path))


def lean(tags: str | None, *, needs: Sequence[str]) -> str:
    """Script and style tags without libraries that Panel adds to every page but ours seldom need.

    A page with a Tabulator or WebGL says so in `needs`.
    """
    unneeded = [name for name in SELDOM if name not in needs]
    lines = (tags or "").splitlines()
    return "\n".join(x for x in lines if not any(name in x for name in unneeded))


def variables(page: Page, signed_in: SignedIn | None, path: str) -> dict[str, Any]:
    """What the template needs."""
    account = signed_in.account if signed_in else None
    return {
        "page": page,
        "path": path,
        "menu": grouped(account.viewer.role) if account else [],
        "account": account,
        "form_token": form_token(signed_in.session_id) if signed_in else "",
        "placed": {m.name for c in page.cells for m in c.models},
        "columns": {c.name: [headed(k) for k in c.columns] for c in page.cells},
        "words_of": words.script_words(),
        "role": ROLE_NAMES[account.viewer.role] if account else "",
        "zone": settings().timezone,
        **mailed(),
        "lean": partial(lean, needs=page.needs),
    }


def mailed() -> dict[str, Any]:
    """What the template needs for reports as files and by mail."""
    return {
        "printed": PAGES_PRINTED,
        "mail_days": DAYS,
        "mail_kinds": FILES,
        "mails": settings().mails,
    }


def in_thread(controls: Controls, signed_in: SignedIn) -> Callable[..., Awaitable[None]]:
    """Something that works in a thread, in the page's language, and then shows what was found.

    It is called with `work`, `show`, and `still`: whether that is to be shown when it is there.
    A failure of either becomes a message on the page.
    """
    spoken = words.language()

    async def run(
        work: Callable[[], Any],
        show: Callable[[Any], None],
        still: Callable[[], bool] = lambda: True,
    ) -> None:
        with words.speaking(spoken):
            found: Any = await asyncio.gather(asyncio.to_thread(work), return_exceptions=True)
        if not still():
            return
        with words.speaking(spoken), answering(controls, signed_in):
            if isinstance(found[0], BaseException):
                raise found[0]
            show(found[0])

    return run


def attempted(do: Callable[[], str]) -> dict[str, str]:
    """Do what is asked for; returns what the person is told, a ConfigurationError as it is."""
    try:
        return {"kind": "done", "text": do()}
    except ConfigurationError as refused:
        return {"kind": "error", "text": refused.message}


def reacting(
    controls: Controls,
    signed_in: SignedIn,
    show: Callable[[Any], None],
    work: Callable[[dict[str, Any]], Any] | None = None,
) -> None:
    """Show each new choice; a failure becomes a message on the page.

    `work`, where there is some that takes long, is done in a thread; `show` gets its result, unless
    another choice came meanwhile. What `show` makes of the choice is not a choice again.
    """
    latest, under_way, spoken = 0, False, words.language()
    run = in_thread(controls, signed_in)

    def show_choice(found: Any) -> None:
        show(found)
        controls.shown = controls.query

    def answer(event: Any) -> None:
        nonlocal under_way
        if under_way:
            return
        under_way = True
        try:
            with words.speaking(spoken), answering(controls, signed_in):
                show(event.new)
        finally:
            under_way = False

    async def answer_later(work: Callable[[dict[str, Any]], Any], event: Any) -> None:
        nonlocal latest
        if event.new == controls.shown:
            return
        latest = mine = latest + 1
        await run(partial(work, event.new), show_choice, lambda: mine == latest)

    controls.param.watch(partial(answer_later, work) if work else answer, "query")


def every(look: Callable[[], Awaitable[None]], period_ms: int = LOOK_MS) -> None:
    """Look every few seconds, as long as the page is open, whether a load has landed."""
    document, spoken = pn.state.curdoc, words.language()

    async def looked() -> None:
        with words.speaking(spoken):
            await look()

    if document and document.session_context:
        pn.state.add_periodic_callback(looked, period_ms)


def following(
    controls: Controls,
    mark: Callable[[], Any],
    work: Callable[[dict[str, Any]], Any],
    show: Callable[[Any], None],
) -> None:
    """Show the present choice anew whenever `mark` changes, as long as the page is open.

    Nobody did anything then, so it does not count as use of the session.
    """
    seen = mark()

    def news() -> tuple[Any, Any] | None:
        now = mark()
        return None if now == seen else (now, work(dict(controls.query)))

    async def look() -> None:
        nonlocal seen
        asked = controls.query
        found = await asyncio.to_thread(news)
        if found is None or controls.query is not asked:
            return
        seen, answer = found
        show(answer)
        controls.shown = controls.query
        controls.answered += 1

    every(look)


def acting(
    controls: Controls,
    signed_in: SignedIn,
    do: Callable[[dict[str, Any]], str],
    answer: Callable[[dict[str, Any]], Any],
    show: Callable[[Any], None],
) -> None:
    """Do what the person asks for, in a thread, say how it went, and show the page anew.

    `do` returns what the person is told; what it refuses (ConfigurationError) is told as it is.
    """
    run = in_thread(controls, signed_in)

    def work(asked: dict[str, Any]) -> tuple[dict[str, str], Any]:
        return attempted(partial(do, asked)), answer(dict(controls.query))

    def tell(found: tuple[dict[str, str], Any]) -> None:
        told, shown = found
        show(shown)
        controls.shown = controls.query
        controls.message = told

    async def answer_later(event: Any) -> None:
        await run(partial(work, event.new), tell)

    controls.param.watch(answer_later, "act")


@contextmanager
def answering(controls: Controls, signed_in: SignedIn) -> Iterator[None]:
    """The edge of an answer: the session was used, errors are told, the browser may draw."""
    watch.used(signed_in)
    try:
        yield
    except Exception as error:
        controls.message = {"kind": "error", "text": said(error)}
    controls.answered += 1


def sendable(table: Table) -> dict[str, Any]:
    """A table as plain values, for the browser."""
    data = {c.key: [_plain(v) for v in table.data[c.key]] for c in table.columns}
    return {"columns": [headed(c) for c in table.columns], "data": data}


def headed(column: Column) -> dict[str, Any]:
    """A column as plain values, its heading in the language of the page."""
    return {**asdict(column), "title": _(column.title)}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
