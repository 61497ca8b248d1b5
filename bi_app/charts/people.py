"""Counts of people: over months, by group, on a map, by cohort; what is withheld is hatched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    FactorRange,
    FixedTicker,
    HBar,
    HoverTool,
    Line,
    Range1d,
    Rect,
    Scatter,
    Text,
    VBar,
)

from bi_app import words
from bi_app.charts import theme
from bi_app.charts.bars import Bars, Look, short
from bi_app.charts.values import DAY_MS, milliseconds, numbers
from bi_app.words import _

HATCH = {
    "fill_color": None,
    "line_color": theme.MUTED,
    "line_alpha": 0.5,
    "hatch_pattern": "right_diagonal_line",
    "hatch_color": theme.MUTED,
    "hatch_alpha": 0.75,
    "hatch_scale": 7,
}
Columns = Mapping[str, Sequence[Any]]


def withheld(data: Columns) -> np.ndarray[Any, Any]:
    """Which rows are withheld."""
    return np.array([words != "|" for words in data["told"]], bool)


def withheld_box(tool: HoverTool, name: str) -> None:
    """Say over a hatched mark that its count is withheld."""
    theme.say(tool, f"{name}<br><b>{_('withheld')}</b>")


class Chart:
    """What the charts below share: they choose nothing and keep their colour."""

    picks = ""
    figure: Any

    def __init__(self, name: str, keys: Sequence[str]) -> None:
        self.source = ColumnDataSource({key: [] for key in keys}, name=name)

    @property
    def figures(self) -> list[Any]:
        """The model to draw."""
        return [self.figure]

    def choice(self, place: int, choice: Mapping[str, Any]) -> dict[str, Any]:
        """A click chooses nothing."""
        return {}

    def paint(self, series: str, unit: str) -> None:
        """Members have no measure to choose."""

    def tips(self, cells: Any, template: str, hatched: Any, name: str) -> list[HoverTool]:
        """Hover boxes for what is told and for what is withheld."""
        seen, hidden = theme.hover(renderers=[cells]), theme.hover(renderers=[hatched])
        theme.say(seen, template)
        withheld_box(hidden, name)
        return [seen, hidden]


class Months(Chart):
    """Active members of each month as bars, of twelve months as a line."""

    def __init__(self, name: str, tip: str = "") -> None:
        """`tip` is what the hover box says, where it is not about members."""
        super().__init__(name, ("_at", "borrowers", "active_12_months", "_hidden"))
        plot = theme.bare_figure(
            height=280, min_border_left=46, x_range=Range1d(start=0, end=1),
            y_range=theme.from_zero(), x_axis_type="datetime", name=f"{name}_chart",
        )  # fmt: skip
        width, colour = 24 * DAY_MS, theme.SERIES["checkouts"]
        bars = theme.draw(
            plot,
            self.source,
            VBar(
                x="_at",
                top="borrowers",
                width=width,
                fill_color=colour,
                fill_alpha=0.34,
                line_color=None,
            ),
        )
        hatched = theme.draw(plot, self.source, VBar(x="_at", top="_hidden", width=width, **HATCH))
        theme.draw(
            plot,
            self.source,
            Line(x="_at", y="active_12_months", line_width=2.4, line_color=colour),
        )
        box = _(tip) or _(
            "@_said<br><b>@borrowers{0,0}</b> active in the month"
            "<br><small>@active_12_months{0,0} in twelve months</small>"
        )
        plot.add_tools(*self.tips(bars, box, hatched, "@_said"))
        theme.counted(plot.yaxis[0])
        theme.dated(plot.xaxis[0])
        self.figure = plot

    def show(self, data: Columns, choice: Mapping[str, Any]) -> None:
        """Show the columns of the table of months."""
        at = milliseconds(data["month"]) + 14.5 * DAY_MS
        shown = {k: numbers(data[k]) for k in ("borrowers", "active_12_months")}
        top = max([float(np.nanmax(v)) for v in shown.values() if not np.isnan(v).all()] or [1])
        self.figure.y_range.end = top * 1.08
        if len(at):
            # Up to the last bar: the name of the month after it would run into the one before.
            self.figure.x_range.update(start=at[0] - 14.5 * DAY_MS, end=at[-1] + 13 * DAY_MS)
        self.source.data = {
            **data, **shown, "_at": at, "_said": [words.month(m) for m in data["month"]],
            "_hidden": np.where(withheld(data), top * 0.12, np.nan),
        }  # fmt: skip


class Groups(Bars):
    """Bars of groups; one that is withheld is a short hatched bar."""

    def __init__(self, name: str, rows: int, look: Look) -> None:
        super().__init__(name, rows, look)
        self.source.data = {**self.source.data, "_hidden": []}
        hatched = theme.draw(
            self.figure, self.source, HBar(y="_label", right="_hidden", height=0.62, **HATCH)
        )
        told = theme.hover(renderers=[hatched])
        withheld_box(told, f"@{look.label}")
        self.figure.add_tools(told)

    def show(self, data: Columns, choice: Mapping[str, Any]) -> None:
        """Show the first rows of the table."""
        values = numbers(data[self.look.value])
        top = float(np.nanmax(values)) if len(values) and not np.isnan(values).all() else 1.0
        hidden = np.where(withheld(data), top * 0.06, np.nan)
        super().show({**data, "_hidden": hidden.tolist()}, choice)


class Places(Chart):
    """Circles where the branches are; their area is the count."""

    def __init__(self, name: str) -> None:
        super().__init__(name, ("x", "y", "value", "_size", "_ring"))
        plot = theme.bare_figure(
            height=330, name=f"{name}_chart", match_aspect=True, x_range=Range1d(start=0, end=1),
            y_range=Range1d(start=0, end=1),
        )  # fmt: skip
        dots = theme.draw(
            plot,
            self.source,
            Scatter(
                x="x",
                y="y",
                size="_size",
                line_color=None,
                fill_color=theme.SERIES["checkouts"],
                fill_alpha=0.55,
            ),
        )
        rings = theme.draw(plot, self.source, Scatter(x="x", y="y", size="_ring", **HATCH))
        theme.draw(
            plot,
            self.source,
            Text(
                x="x",
                y="y",
                text="_label",
                x_offset="_beside",
                text_baseline="middle",
                text_font_size="12px",
                text_color=theme.MUTED,
                text_font={"value": theme.FONT},
            ),
        )
        box = _("@name<br><b>@value{0,0}</b> active members<br><small>@share{0.0} %</small>")
        plot.add_tools(*self.tips(dots, box, rings, "@name"))
        plot.axis.visible = plot.grid.visible = False
        self.figure = plot

    def show(self, data: Columns, choice: Mapping[str, Any]) -> None:
        """Show the columns of the table of branches; those without a place are left out."""
        x, y = numbers(data["x"]), numbers(data["y"])
        kept = np.flatnonzero(~np.isnan(x) & ~np.isnan(y)).tolist()
        values = numbers(data["value"])[kept]
        top = max(float(np.nanmax(values)), 1.0) if len(values) else 1.0
        size = np.sqrt(np.nan_to_num(values) / top) * 62
        hidden = withheld(data)[kept]
        self._frame(x[kept], y[kept])
        self.source.data = {
            **{k: [v[i] for i in kept] for k, v in data.items()},
            "x": self._wide(x[kept], y[kept]), "y": y[kept], "value": values, "_size": size,
            "_ring": np.where(hidden, 14.0, np.nan),
            "_beside": np.where(hidden, 7, size / 2) + 4,
            "_label": short([str(data["name"][i]) for i in kept]),
        }  # fmt: skip

    @staticmethod
    def _wide(x: Any, y: Any) -> Any:
        """Longitudes as wide as latitudes are high, so that a kilometre is one both ways."""
        return x * np.cos(np.radians(y.mean())) if len(y) else x

    def _frame(self, x: Any, y: Any) -> None:
        """A margin for circles and names, wider to the right."""
        if not len(x):
            return
        wide = self._wide(x, y)
        across = max(float(np.ptp(wide)), float(np.ptp(y)), 1e-3)
        self.figure.x_range.update(start=wide.min() - across * 0.2, end=wide.max() + across * 0.5)
        self.figure.y_range.update(start=y.min() - across * 0.15, end=y.max() + across * 0.2)


class Cohorts(Chart):
    """A heat map of cohorts by the quarters since they joined; withheld cells are hatched."""

    def __init__(self, name: str, rows: int, head: str = "", told: str = "") -> None:
        """`head` and `told` make the hover box, where the cohorts are not of members but whole."""
        super().__init__(name, ("since", "_row", "value", "_hidden"))
        self.mapper = theme.scale("checkouts")
        self.mapper.nan_color = "#00000000"
        self.whole_at_first = bool(told)
        self.rows = FactorRange(range_padding=0.02)
        plot = theme.bare_figure(
            height=46 + 30 * rows, name=f"{name}_chart", x_range=(-0.5, 11.5), y_range=self.rows,
            x_axis_location="above", min_border_left=60,
        )  # fmt: skip
        place = {"y": "_row", "width": 0.96, "height": 0.9}
        cells = theme.draw(
            plot,
            self.source,
            Rect(
                x="since",
                **place,
                line_color=None,
                border_radius=5,
                fill_color={"field": "value", "transform": self.mapper},
            ),
        )
        hatched = theme.draw(
            plot, self.source, Rect(x="_hidden", **place, border_radius=5, **HATCH)
        )
        box = f"{head}{told}" or _(
            "Joined @row, @quarter<br><b>@value{0.0} %</b> active"
            "<br><small>@active{0,0} of @members{0,0} members</small>"
        )
        plot.add_tools(*self.tips(cells, box, hatched, head or _("Joined @row, @quarter")))
        plot.ygrid.visible = False
        plot.xaxis.ticker = FixedTicker(ticks=list(range(12)))
        self.figure = plot

    def show(self, data: Columns, choice: Mapping[str, Any]) -> None:
        """Show the columns of the table of cohorts, the oldest on top."""
        values, hidden = numbers(data["value"]), withheld(data)
        since = np.array(data["since"], float)
        # Where all of a cohort count at first, that would leave no shades for what comes after.
        compared = values[since > 0] if self.whole_at_first and (since > 0).any() else values
        known = compared[~np.isnan(compared)]
        self.mapper.update(low=0, high=max(float(known.max(initial=0)) * 1.15, 1e-9))
        self.rows.factors = list(dict.fromkeys(data["row"]))[::-1]
        self.figure.x_range.update(start=-0.5, end=max(since.max(initial=0), 1) + 0.5)
        self.source.data = {
            **data, "value": values, "since": since, "_row": data["row"],
            "_hidden": np.where(hidden, since, np.nan),
        }  # fmt: skip
