"""Charts as vectors, from the columns of a report's own tables: columns, bars and heat maps.

What is withheld is hatched; what is not there is left out. All lengths are in millimetres.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bi_app import words
from bi_app.models.report import said
from bi_app.models.table import Table
from bi_app.words import N_, _

if TYPE_CHECKING:
    from bi_app.models.paper.sheet import Sheet

Colour = tuple[int, int, int]
COLOURS: Mapping[str, Colour] = {  # those of bi_app/charts/theme.py
    "checkouts": (0x2A, 0x96, 0x76),
    "renewals": (0xBF, 0x8F, 0x2E),
    "total": (0x4D, 0x8F, 0x9E),
    "returns": (0x5A, 0x86, 0xC4),
    "in_house_uses": (0xA2, 0x73, 0xB5),
}
INK, SOFT, LINE, WASH = (28, 40, 38), (91, 104, 100), (224, 220, 210), (243, 241, 236)
WARN = (138, 90, 0)
TALL, ROW, CELL, AXIS = 44.0, 5.0, 4.6, 11.0
NAMES = 46.0
MOST_BARS, MOST_ROWS, TICKS = 24, 40, 4
WITHHELD = N_("withheld")


@dataclass(frozen=True)
class Drawing:
    """How a table is drawn, by the keys of its columns.

    `columns` stand along time with `more` as a line and `also` as a dashed one; `bars` lie, one a
    row, with `more` as a mark and `line` as one for all; `heat` has a cell for each `row` and
    `label`. A `value` of "" is the chosen measure; `per` divides it; `series` names the colour,
    else the measure's.
    """

    kind: Literal["columns", "bars", "heat"]
    label: str
    value: str = "value"
    more: str = ""
    row: str = ""
    per: str = ""
    series: str = ""
    line: float | None = None
    also: str = ""


@dataclass(frozen=True)
class Series:
    """What is drawn: labels, values (None where there is none), whether withheld, and colour."""

    labels: Sequence[Any]
    values: Sequence[float | None]
    withheld: Sequence[bool]
    more: Sequence[float | None]
    also: Sequence[float | None]
    colour: Colour


def draw(sheet: Sheet, table: Table, drawing: Drawing, measure: str) -> None:
    """Draw a table below what the sheet holds; nothing where it has no row."""
    if not len(table):
        return
    found = series(table, drawing, measure)
    if drawing.kind == "columns":
        columns(sheet, found)
    elif drawing.kind == "bars":
        bars(sheet, found, drawing.line)
    else:
        heat(sheet, found, table.data[drawing.row])


def series(table: Table, drawing: Drawing, measure: str) -> Series:
    """The columns to draw."""
    values = _numbers(table.data[drawing.value or measure])
    if drawing.per:
        parts = _numbers(table.data[drawing.per])
        values = [None if v is None or not p else v / p for v, p in zip(values, parts, strict=True)]
    told = table.data.get("told") or [""] * len(values)
    hidden = [v is None and _(WITHHELD) in str(t) for v, t in zip(values, told, strict=True)]
    more, also = (
        _numbers(table.data[key]) if key else [None] * len(values)
        for key in (drawing.more, drawing.also)
    )
    colour = COLOURS[drawing.series or measure]
    return Series(table.data[drawing.label], values, hidden, more, also, colour)


def _numbers(values: Sequence[Any]) -> list[float | None]:
    return [None if v is None or math.isnan(float(v)) else float(v) for v in values]


def nice(top: float) -> float:
    """The least of 1, 2, 2.5, 4, 5, 8 or 10 times a power of ten that reaches the top."""
    if top <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(top))
    steps = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
    return next(s * power for s in steps if s * power >= top * 0.999)


def short(value: float) -> str:
    """A figure of an axis: 1,200 as 1.2k in English, in full elsewhere."""
    if words.language() != words.SOURCE and abs(value) >= 1e3:
        return words.whole(value)
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{words.localized(f'{value / size:.3g}')}{letter}"
    return words.localized(f"{value:.3g}")


def _label(value: Any) -> str:
    return said(value) if isinstance(value, dt.date) else str(value)


def columns(sheet: Sheet, found: Series) -> None:
    """Columns along time, a line over them, an axis with four ticks."""
    sheet.reach(TALL + 8)
    left, top, width = sheet.l_margin + AXIS, sheet.get_y() + 2, sheet.epw - AXIS
    most = nice(
        max((v for v in (*found.values, *found.more, *found.also) if v is not None), default=0)
    )
    _ticks(sheet, (left, top, width), most)
    step = width / len(found.values)
    wide = max(step * 0.78, min(step, 0.12))
    for place, value in enumerate(found.values):
        x = left + step * place + (step - wide) / 2
        if value:
            high = TALL * max(value, 0) / most
            sheet.fill(found.colour, 0.75)
            sheet.rect(x, top + TALL - high, wide, high, style="F")
        elif found.withheld[place]:
            hatch(sheet, x, top, wide, TALL)
    sheet.clear()
    sheet.set_dash_pattern(1.2, 0.8)
    _line(sheet, found.also, (left, top), step, most)
    sheet.set_dash_pattern()
    _line(sheet, found.more, (left, top), step, most)
    _below(sheet, found.labels, left, top + TALL + 1, step)
    sheet.set_y(top + TALL + 7)


def _ticks(sheet: Sheet, box: tuple[float, float, float], most: float) -> None:
    left, top, width = box
    sheet.set_draw_color(*LINE)
    sheet.set_line_width(0.15)
    sheet.write_in(SOFT, 7)
    for tick in range(TICKS + 1):
        y = top + TALL * (1 - tick / TICKS)
        sheet.line(left, y, left + width, y)
        sheet.set_xy(sheet.l_margin, y - 2)
        sheet.cell(AXIS - 2, 4, short(most * tick / TICKS), align="R")


def _line(
    sheet: Sheet,
    values: Sequence[float | None],
    origin: tuple[float, float],
    step: float,
    most: float,
) -> None:
    """The line, broken where a value is missing."""
    left, top = origin
    sheet.set_draw_color(*INK)
    sheet.set_line_width(0.35)
    before: tuple[float, float] | None = None
    for place, value in enumerate(values):
        if value is None:
            before = None
            continue
        here = left + step * (place + 0.5), top + TALL * (1 - value / most)
        if before is not None:
            sheet.line(*before, *here)
        before = here


def _below(sheet: Sheet, labels: Sequence[Any], left: float, y: float, step: float) -> None:
    """As many labels below the columns as have room."""
    texts = [sheet.clean(_label(v)) for v in labels]
    sheet.write_in(SOFT, 7)
    room = max(map(sheet.get_string_width, texts)) + 3
    every = max(1, math.ceil(room / step))
    for place in range(0, len(texts), every):
        middle = left + step * (place + 0.5)
        start = min(middle - room / 2, sheet.l_margin + sheet.epw - room)
        sheet.set_xy(start, y)
        sheet.cell(room, 4, texts[place], align="C")


def bars(sheet: Sheet, found: Series, line: float | None) -> None:
    """Lying bars with their names and figures; a mark each, or a dashed line for all."""
    shown = min(len(found.values), MOST_BARS)
    highest = [v for v in (*found.values[:shown], *found.more[:shown], line) if v is not None]
    most = max(highest, default=0) or 1.0
    left, width = sheet.l_margin + NAMES, sheet.epw - NAMES - 18
    for place in range(shown):
        sheet.reach(ROW)
        y, value = sheet.get_y(), found.values[place]
        sheet.write_in(INK, 8)
        sheet.set_x(sheet.l_margin)
        sheet.cell(NAMES - 2, ROW, sheet.fitting(_label(found.labels[place]), NAMES - 3))
        if found.withheld[place]:
            hatch(sheet, left, y + 0.9, 14, ROW - 1.8)
        long = width * max(value or 0, 0) / most
        sheet.fill(found.colour, 0.8)
        sheet.rect(left, y + 0.9, long, ROW - 1.8, style="F")
        sheet.clear()
        end = _mark(sheet, found.more[place], line, (left, y), width / most)
        sheet.write_in(SOFT, 7)
        sheet.set_xy(left + max(long, end) + 1, y)
        sheet.cell(18, ROW, _(WITHHELD) if found.withheld[place] else _figure(value))
        sheet.set_y(y + ROW)
    if len(found.values) > shown:
        more = _("And {count} more in the table.", count=len(found.values) - shown)
        sheet.say(more, 7, SOFT)
    sheet.ln(1.5)


def _mark(
    sheet: Sheet, value: float | None, line: float | None, at: tuple[float, float], scale: float
) -> float:
    """Draw the mark of a bar, and the piece of the line for all; returns where the mark ends."""
    left, y = at
    sheet.set_draw_color(*INK)
    if line is not None:
        sheet.set_line_width(0.2)
        sheet.line(left + line * scale, y + 0.4, left + line * scale, y + ROW - 1.4)
    if value is None:
        return 0
    sheet.set_line_width(0.5)
    sheet.line(left + value * scale, y + 0.6, left + value * scale, y + ROW - 0.6)
    return value * scale


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    whole = abs(value - round(value)) < 1e-9 or abs(value) >= 100
    return words.decimal(value, 0 if whole else 2)


def heat(sheet: Sheet, found: Series, rows: Sequence[Any]) -> None:
    """A cell for each row and column, the fuller the more; with its scale below."""
    names = list(dict.fromkeys(rows))
    across = sorted(set(found.labels)) if _ordered(found.labels) else [*dict.fromkeys(found.labels)]
    most = max((v for v in found.values if v is not None), default=0) or 1.0
    places = {(r, c): i for i, (r, c) in enumerate(zip(rows, found.labels, strict=True))}
    left = sheet.l_margin + 30
    wide = min((sheet.epw - 30) / max(len(across), 1), 14.0)
    shown = names[-MOST_ROWS:]
    sheet.reach(CELL * min(len(shown), 12) + 10)
    for name in shown:
        sheet.reach(CELL)
        y = sheet.get_y()
        sheet.write_in(INK, 7.5)
        sheet.set_x(sheet.l_margin)
        sheet.cell(29, CELL, sheet.fitting(_label(name), 28))
        for place, column in enumerate(across):
            index = places.get((name, column))
            if index is not None:
                _cell(sheet, found, index, (left + wide * place, y, wide), most)
        sheet.set_y(y + CELL)
    _across(sheet, across, left, wide)
    _scale(sheet, found, most)


def _ordered(labels: Sequence[Any]) -> bool:
    return all(isinstance(v, int) for v in labels)


def _cell(
    sheet: Sheet, found: Series, index: int, box: tuple[float, float, float], most: float
) -> None:
    x, y, wide = box
    value = found.values[index]
    if found.withheld[index]:
        return hatch(sheet, x + 0.15, y + 0.15, wide - 0.3, CELL - 0.3)
    sheet.fill(found.colour, 0.05 + 0.85 * max(value, 0) / most if value else 0.04)
    sheet.rect(x + 0.15, y + 0.15, wide - 0.3, CELL - 0.3, style="F")
    return sheet.clear()


def _across(sheet: Sheet, across: Sequence[Any], left: float, wide: float) -> None:
    """The columns' names, the first part of a span of hours."""
    texts = [str(c).partition("–")[0].removesuffix(":00") for c in across]
    y = sheet.get_y()
    sheet.write_in(SOFT, 7)
    room = max((sheet.get_string_width(t) for t in texts), default=1) + 1.5
    every = max(1, math.ceil(room / wide))
    for place in range(0, len(texts), every):
        sheet.set_xy(left + wide * place - 4, y)
        sheet.cell(wide + 8, 4, texts[place], align="C")
    sheet.set_y(y + 4.5)


def _scale(sheet: Sheet, found: Series, most: float) -> None:
    """From the least to the most, and what hatching means where there is some."""
    x, y = sheet.l_margin + 30, sheet.get_y()
    for step in range(5):
        sheet.fill(found.colour, 0.05 + 0.85 * step / 4)
        sheet.rect(x + 12 + step * 6, y + 0.6, 6, 2.4, style="F")
    sheet.clear()
    sheet.write_in(SOFT, 7)
    sheet.set_xy(x, y)
    sheet.cell(11, 3.6, "0", align="R")
    sheet.set_xy(x + 43, y)
    sheet.cell(16, 3.6, _figure(most))
    if any(found.withheld):
        hatch(sheet, x + 66, y + 0.6, 6, 2.4)
        sheet.set_xy(x + 73, y)
        sheet.cell(20, 3.6, _(WITHHELD))
    sheet.set_y(y + 6)


def hatch(sheet: Sheet, x: float, y: float, wide: float, high: float) -> None:
    """Slanting lines in a box: a number that is withheld."""
    sheet.set_draw_color(*SOFT)
    sheet.set_line_width(0.12)
    with sheet.rect_clip(x, y, wide, high):
        for step in range(math.ceil((wide + high) / 1.1) + 1):
            sheet.line(x + step * 1.1 - high, y + high, x + step * 1.1, y)
    sheet.rect(x, y, wide, high)
