"""A report laid out on sheets."""

from __future__ import annotations

from bi_app import words
from bi_app.models.paper import drawing
from bi_app.models.paper.content import Paper, Section
from bi_app.models.paper.drawing import INK, SOFT
from bi_app.models.paper.sheet import GREEN, Sheet
from bi_app.models.report import summary
from bi_app.words import _


def printed(paper: Paper, size: str) -> bytes:
    """The PDF of a report on paper of a size, "A4" or "Letter"."""
    made = _("made {moment}", moment=words.moment(paper.made_at))
    sheet = Sheet(size, f"{paper.title} · Carrel", f"Carrel · {paper.title} · {made}")
    _head(sheet, paper)
    sheet.cards(paper.cards)
    _definitions(sheet, paper)
    for section in paper.sections:
        _section(sheet, section, paper)
    _end(sheet, paper)
    sheet.number_pages()
    return bytes(sheet.output())


def _head(sheet: Sheet, paper: Paper) -> None:
    sheet.say("CARREL", 8, GREEN, "B")
    sheet.ln(1)
    sheet.say(paper.title, 22, INK, "B")
    sheet.ln(1.5)
    sheet.say(_("For: {audience}", audience=paper.audience), 9, SOFT)
    sheet.say(" · ".join(paper.filters), 9, SOFT)
    sheet.say(paper.standing, 9, drawing.WARN if paper.freshness.aged else SOFT)
    if paper.freshness.aged or paper.freshness.published_anyway:
        sheet.say(paper.freshness.explanation, 8, SOFT)
    sheet.ln(4)


def _definitions(sheet: Sheet, paper: Paper) -> None:
    """What each figure means; the same words once."""
    said_before: dict[str, list[str]] = {}
    for one in paper.cards:
        said_before.setdefault(str(one["definition"]), []).append(str(one["title"]))
    if said_before:
        sheet.say(_("What the figures mean"), 9.5, INK, "B")
        sheet.ln(0.5)
    for definition, titles in said_before.items():
        sheet.say(f"{', '.join(titles)}: {definition}", 7.5, SOFT)
        sheet.ln(0.6)


def _section(sheet: Sheet, section: Section, paper: Paper) -> None:
    table, chart = section
    sheet.heading(_(table.title))
    if chart is not None and len(table):
        key = chart.value or paper.measure
        label = f"{chart.row} {chart.label}".strip()
        drawing.draw(sheet, table, chart, paper.measure)
        sheet.ln(1)
        sheet.say(summary(table, label, key), 8.5, INK)
        sheet.ln(0.8)
    for note in table.notes:
        if note not in paper.filters:
            sheet.say(_(note), 7.5, SOFT)
    sheet.ln(1.5)
    sheet.lay(table, newest=chart is not None and chart.kind == "columns")


def _end(sheet: Sheet, paper: Paper) -> None:
    if sheet.lost:
        sheet.ln(3)
        sheet.say(
            _(
                "{count} letters of scripts that the fonts lack are shown as question marks; the"
                " Excel file has them.",
                count=sheet.lost,
            ),
            7.5,
            SOFT,
        )
