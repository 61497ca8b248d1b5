"""The sheet: margins, letters and colours of a PDF, its headings, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence

from fpdf import FPDF, FontFace, ViewerPreferences
from fpdf.enums import TableBordersLayout

from bi_app import words
from bi_app.models.paper import fonts
from bi_app.models.paper.drawing import INK, LINE, SOFT, WASH, WITHHELD, Colour
from bi_app.models.paper.words import PLACES, below, written
from bi_app.models.report import Card
from bi_app.models.table import Column, Table
from bi_app.words import N_, _

MARGIN, FOOT = 16.0, 14.0
FAMILY, MORE = "roboto", "more"
GREEN = (23, 105, 90)
MOST_ROWS = 100  # of a table
FIRST_ROWS = N_("The first {most} of {count} rows; the Excel file of this page has the others.")
LAST_ROWS = N_("The last {most} of {count} rows; the Excel file of this page has the others.")
COMPARED = frozenset({"before", "change"})  # of another period: not what a row withholds


class Sheet(FPDF):
    """A PDF under way; `lost` counts the letters that no font has."""

    def __init__(self, paper: str, title: str, foot: str) -> None:
        super().__init__(format=paper)
        self.title_text, self.foot, self.lost = title, foot, 0
        self.known = fonts.letters()
        for style, path in fonts.files().items():
            self.add_font(FAMILY, style, path)
        if (own := fonts.own()) is not None:
            self.add_font(MORE, "", own)
            self.set_fallback_fonts([MORE], exact_match=False)
        self.alias_nb_pages("")  # else a title that holds the alias would be changed
        self.set_margins(MARGIN, MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(True, FOOT + 4)
        self.set_lang(words.locale_tag())
        self.set_title(self.clean(title))
        self.set_creator("Carrel")
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self.write_in(INK, 9)
        self.add_page()

    def clean(self, text: str) -> str:
        """A text as it can be drawn."""
        shown, lost = fonts.legible(text, self.known)
        self.lost += lost
        return shown

    def fitting(self, text: str, width: float) -> str:
        """A text cut to a width."""
        shown = self.clean(text)
        if self.get_string_width(shown) <= width:
            return shown
        while shown and self.get_string_width(f"{shown}…") > width:
            shown = shown[:-1]
        return f"{shown.rstrip()}…"

    def write_in(self, colour: Colour, size: float, style: str = "") -> None:
        """Choose colour, size in points, and style of the letters."""
        self.set_font(FAMILY, style, size)
        self.set_text_color(*colour)

    def fill(self, colour: Colour, opacity: float) -> None:
        """Choose a colour to fill with, mixed with the white of the paper."""
        self.set_fill_color(*(round(255 + (c - 255) * opacity) for c in colour))

    def clear(self) -> None:
        """Fill with white again."""
        self.set_fill_color(255, 255, 255)

    def reach(self, height: float) -> None:
        """Begin a new page where so much does not fit any more."""
        if self.get_y() + height > self.page_break_trigger:
            self.add_page()

    def say(self, text: str, size: float, colour: Colour = INK, style: str = "") -> None:
        """A paragraph."""
        self.write_in(colour, size, style)
        self.set_x(self.l_margin)
        self.multi_cell(self.epw, size * 0.5, self.clean(text), align="L")
        self.set_x(self.l_margin)

    def heading(self, text: str) -> None:
        """A heading, with a line above and a bookmark."""
        self.reach(40)
        self.ln(3)
        self.set_draw_color(*LINE)
        self.set_line_width(0.2)
        self.line(self.l_margin, self.get_y(), self.l_margin + self.epw, self.get_y())
        self.ln(3)
        self.start_section(self.clean(text))
        self.say(text, 12.5, INK, "B")
        self.ln(1)

    def number_pages(self) -> None:
        """Write the foot of every page, when it is known how many there are."""
        count = self.pages_count
        self.set_auto_page_break(False)
        for number in range(1, count + 1):
            self.page = number
            self.write_in(SOFT, 7.5)
            self.set_xy(self.l_margin, self.h - FOOT)
            self.cell(self.epw, 4, self.fitting(self.foot, self.epw - 30))
            self.set_xy(self.l_margin, self.h - FOOT)
            self.cell(self.epw, 4, _("Page {page} of {pages}", page=number, pages=count), align="R")

    def cards(self, found: Sequence[Card]) -> None:
        """The figures, four in a row: title, value, and what stands below it."""
        gap, high = 3.0, 19.0
        across = min(4, max(len(found), 1))
        wide = (self.epw - gap * (across - 1)) / across
        for place, one in enumerate(found):
            if place % across == 0:
                self.reach(high + gap)
                y = self.get_y()
            x = self.l_margin + (place % across) * (wide + gap)
            self._card(one, (x, y, wide, high))
            if place % across == across - 1 or place == len(found) - 1:
                self.set_xy(self.l_margin, y + high + gap)

    def _card(self, one: Card, box: tuple[float, float, float, float]) -> None:
        x, y, wide, high = box
        self.set_fill_color(*WASH)
        self.rect(x, y, wide, high, style="F", round_corners=True, corner_radius=1.5)
        self.clear()
        lines = (
            (str(one["title"]), SOFT, 7.5, "", 2.0, 4.0),
            (str(one["value"]), INK, 14.0, "B", 6.0, 7.0),
            (below(one), SOFT, 7.0, "", 13.2, 4.0),
        )
        for text, colour, size, style, down, line in lines:
            self.write_in(colour, size, style)
            self.set_xy(x + 2.5, y + down)
            self.cell(wide - 5, line, self.fitting(text, wide - 6))

    def lay(self, found: Table, *, newest: bool = False) -> None:
        """A table: its head on every page, at most MOST_ROWS rows, and a note where there are more.

        Those are the first ones, or the last where the `newest` stand there. A badge column without
        a heading is left out: its word stands in the cells themselves.
        """
        columns = [c for c in found.columns if c.kind != "spark" and (c.title or c.kind != "badge")]
        if not len(found):
            return self.say(_("Nothing in this selection."), 8.5, SOFT)
        begin = max(len(found) - MOST_ROWS, 0) if newest else 0
        places = range(begin, min(begin + MOST_ROWS, len(found)))
        rows = [self._texts(found, columns, place) for place in places]
        size = 8.0 if len(columns) <= 8 else 7.0
        self.write_in(INK, size)
        self._table(columns, rows, size)
        if len(found) > MOST_ROWS:
            self.ln(1)
            cut = LAST_ROWS if newest else FIRST_ROWS
            self.say(_(cut, most=MOST_ROWS, count=len(found)), 7.5, SOFT)
        return None

    def _texts(self, found: Table, columns: Sequence[Column], place: int) -> list[str]:
        told = found.data.get("told")
        hidden = told is not None and _(WITHHELD) in str(told[place])
        return [
            self.clean(
                written(found.data[c.key][place], c, withheld=hidden and c.key not in COMPARED)
            )
            for c in columns
        ]

    def _table(self, columns: Sequence[Column], rows: Sequence[list[str]], size: float) -> None:
        heads = [self.clean(_(c.title)) for c in columns]
        numeric = [c.kind in PLACES for c in columns]
        with self.table(
            width=self.epw,
            col_widths=self._widths(heads, rows, size),
            text_align=tuple("RIGHT" if n else "LEFT" for n in numeric),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            line_height=size * 0.5,
            padding=(0.7, 1.2),
            v_align="TOP",
            headings_style=FontFace(emphasis="BOLD", color=SOFT),
        ) as laid:
            self.set_draw_color(*LINE)
            self.set_line_width(0.15)
            laid.row(heads)
            for row in rows:
                laid.row(row)

    def _widths(
        self, heads: Sequence[str], rows: Sequence[list[str]], size: float
    ) -> tuple[float, ...]:
        """As much as each column needs, the long ones shortened until all fit."""
        self.write_in(INK, size, "B")
        needed = [self.get_string_width(h) + 3.5 for h in heads]
        least = [max(self.get_string_width(w) for w in h.split() or [""]) + 3.5 for h in heads]
        self.write_in(INK, size)
        for place in range(len(heads)):
            longest = max((row[place] for row in rows), key=len, default="")
            needed[place] = max(needed[place], self.get_string_width(longest) + 3.5)
        spare = self.epw - sum(needed)
        while spare < -0.01:
            able = [i for i in range(len(needed)) if needed[i] > least[i] + 0.1]
            if not able:
                break  # nothing can give any more; fpdf2 breaks words
            widest = max(able, key=lambda i: needed[i])
            cut = min(needed[widest] - least[widest], max(-spare / 4, 1.0))
            needed[widest] -= cut
            spare += cut
        return tuple(needed)
