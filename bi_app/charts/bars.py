"""Horizontal bars of a table's rows, the first on top, each with a mark to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, HBar, Rect, Span, TapTool

from bi_app.charts import theme
from bi_app.charts.values import numbers
from bi_app.words import _

LABEL, ROW, FRAME = 24, 22, 46


@dataclass(frozen=True)
class Look:
    """What bars show: the keys of a table's columns, and how they are written.

    A row's name is in `label`, its length in `value`, its mark at `mark`; a click chooses its code
    for `picks`. `unit` is said after the number, that of the chosen measure where it is None. A
    dashed line stands at `line`; `about` is a second line of the hover box.
    """

    label: str = "name"
    value: str = "value"
    mark: str = ""
    picks: str = ""
    unit: str | None = None
    line: float | None = None
    format: str = "0,0.[0]"
    about: str = ""
    series: str = "checkouts"


class Bars:
    """Bars of a table's first rows; `rows` is how many there is room for."""

    def __init__(self, name: str, rows: int, look: Look) -> None:
        self.look, self.rows, self.picks = look, rows, look.picks
        drawn = ("_label", "_alpha", look.value, *((look.mark,) if look.mark else ()))
        self.source = ColumnDataSource({key: [] for key in drawn}, name=name)
        self.names = FactorRange(range_padding=0.02)
        self.figure = self._figure(name, rows)
        self.figures = [self.figure]
        self.paint(look.series, look.unit or "")

    def _figure(self, name: str, rows: int) -> Any:
        plot = theme.bare_figure(
            height=max(140, FRAME + ROW * rows), x_range=theme.from_zero(), y_range=self.names,
            name=f"{name}_chart",
        )  # fmt: skip
        self.bars = theme.draw(
            plot,
            self.source,
            HBar(
                y="_label",
                right=self.look.value,
                height=0.62,
                line_color=None,
                fill_alpha="_alpha",
                border_radius=3,
            ),
        )
        if self.look.mark:
            theme.draw(
                plot,
                self.source,
                Rect(
                    x=self.look.mark,
                    y="_label",
                    width=2,
                    width_units="screen",
                    height=0.82,
                    fill_color=theme.MUTED,
                    line_color=None,
                ),
            )
        if self.look.line is not None:
            plot.add_layout(
                Span(
                    location=self.look.line,
                    dimension="height",
                    line_color=theme.MUTED,
                    line_dash="dashed",
                )
            )
        self.hover = theme.hover(renderers=[self.bars])
        plot.add_tools(self.hover)
        if self.picks:
            plot.add_tools(TapTool(renderers=[self.bars]))
        plot.ygrid.visible, plot.xgrid.visible = False, True
        self.nothing = theme.words_on(plot, _("Nothing in this selection"))
        theme.counted(plot.xaxis[0], ticks=3)  # more would run into each other on a telephone
        if self.look.unit is not None:
            plot.xaxis[0].ticker.min_interval = 0.1
        return plot

    def show(self, data: Mapping[str, Sequence[Any]], choice: Mapping[str, Any]) -> None:
        """Show the first rows of a table's columns; what is not chosen is faint."""
        self.source.selected.indices = []
        shown: dict[str, Any] = {key: list(v)[: self.rows] for key, v in data.items()}
        # Of charts that choose for the same, those without what is chosen show all alike.
        picked = self.picked(choice) & set(data.get("code", data[self.look.label]))
        codes = shown.get("code", shown[self.look.label])
        labels = short([str(name) for name in shown[self.look.label]])
        shown["_label"] = labels
        shown["_alpha"] = [0.9 if not picked or code in picked else 0.22 for code in codes]
        for key in (self.look.value, self.look.mark):
            if key:
                shown[key] = numbers(shown[key])
        tops = [shown[key] for key in (self.look.value, self.look.mark) if key]
        top = max(
            (float(np.nanmax(v)) for v in tops if len(v) and not np.isnan(v).all()), default=1
        )
        self.names.factors = labels[::-1]
        self.figure.x_range.end = max(top, 1e-9) * 1.05
        self.source.data = shown
        self.nothing.visible = not labels

    def picked(self, choice: Mapping[str, Any]) -> set[str]:
        """The codes that are chosen; none means all."""
        chosen = choice.get(self.picks) or ()
        return {chosen} if isinstance(chosen, str) else set(chosen)

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """What a click on a bar chooses: that value alone, or all again."""
        code = self.source.data["code"][place]
        alone = self.picked(choice) == {code}
        if self.picks == "branches":
            return {"branches": [] if alone else [code]}
        return {self.picks: "" if alone else code}

    def paint(self, series: str, unit: str) -> None:
        """Take the colour of a series, and a unit where the chart has none of its own."""
        look = self.look
        words = _(look.unit if look.unit is not None else unit)
        small = f"<br><small>{_(look.about)}</small>" if look.about else ""
        theme.say(
            self.hover, f"@{look.label}<br><b>@{look.value}{{{look.format}}}</b> {words}{small}"
        )
        self.bars.glyph.fill_color = theme.SERIES[series]


def short(names: list[str]) -> list[str]:
    """Names short enough for an axis, and no two alike."""
    cut = [n if len(n) <= LABEL else f"{n[: LABEL - 1]}…" for n in names]
    seen: dict[str, int] = {}
    found = []
    for name in cut:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
