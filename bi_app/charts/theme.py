"""The one theme: series colours that hold on light and dark, and figures without clutter.

Text, grid and hover colours come from CSS variables (`--bk-…` in assets/carrel.css), so that
a change between light and dark needs no message to the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJSHover,
    CustomJSTickFormatter,
    Glyph,
    GlyphRenderer,
    HoverTool,
    Label,
    LinearColorMapper,
    NoOverlap,
    Range1d,
)
from bokeh.plotting import figure

SERIES = {
    "checkouts": "#2a9676",
    "renewals": "#bf8f2e",
    "total": "#4d8f9e",
    "returns": "#5a86c4",
    "in_house_uses": "#a273b5",
}
TIP = (  # over Bokeh's own box, whose style sheet we cannot reach
    "margin: -6px; padding: 8px 12px; border: 1px solid var(--line);"
    " background: var(--surface); color: var(--ink); font: 13px/1.5 var(--font)"
)
MUTED = "#8a958f"
FONT = "Inter, Segoe UI, Helvetica, Arial, sans-serif"  # a canvas knows no CSS variable
FORMATTED = re.compile(r"(@\w+)\{([^}]+)\}")
SHADES = ("0a", "1c", "30", "47", "61", "7d", "9c", "bf", "e6")


def shades(measure: str) -> list[str]:
    """A scale from clear to full, which holds on any background."""
    return [SERIES[measure] + alpha for alpha in SHADES]


def scale(measure: str) -> LinearColorMapper:
    """A colour mapper of a measure; its bounds are set with the data."""
    return LinearColorMapper(palette=shades(measure), low=0, high=1)


def bare_figure(**options: Any) -> figure:
    """A figure without clutter; `options` as in Bokeh."""
    return bare(figure(tools="", sizing_mode="stretch_width", **options))


def bare(plot: figure) -> figure:
    """The figure with no outline, toolbar, background, axis lines or ticks."""
    plot.update(
        toolbar_location=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_top=4,
        min_border_bottom=0,
        min_border_right=2,
    )
    for axis in plot.axis:
        axis.axis_line_color = None
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
        axis.major_label_text_font_size = "12px"
        axis.major_label_text_font = FONT
    plot.xgrid.visible = False
    return plot


def draw(
    plot: figure,
    source: ColumnDataSource,
    glyph: Glyph,
    *,
    hovered: Mapping[str, Any] | None = None,
    y_range: str = "default",
) -> GlyphRenderer:
    """Draw a source's rows; `hovered` is what of the glyph is another under the pointer.

    `y_range` names the scale, where it is one of the figure's extra ones.

    What is chosen looks like the rest: one model goes to the browser, not the three of `plot.vbar`.
    """
    return plot.add_glyph(
        source,
        glyph,
        hover_glyph=glyph.clone(**hovered) if hovered else None,
        selection_glyph=None,
        nonselection_glyph=None,
        muted_glyph=None,
        y_range_name=y_range,
    )


def counted(axis: Any, ticks: int = 4) -> None:
    """Write an axis of counts as 0, 500, 1K, 1.5K, by the page's locale, with few ticks."""
    axis.formatter = figures()
    axis.ticker = BasicTicker(desired_num_ticks=ticks, min_interval=1, num_minor_ticks=0)


def figures() -> CustomJSTickFormatter:
    """Writes numbers on an axis, short, by the page's locale."""
    return CustomJSTickFormatter(code="return carrel.axisCount(tick)")


def dated(axis: Any, ticks: int = 7, *, hours: bool = False) -> None:
    """Write an axis of time as 3 Mar, Mar 2026 or 2026, by the page's locale, with few ticks.

    Values are days, so no time of day is written, however few they are; with `hours` it is.
    """
    say = "true" if hours else "false"
    axis.formatter = CustomJSTickFormatter(code=f"return carrel.axisDay(tick, ticks, {say})")
    axis.ticker.desired_num_ticks = ticks
    axis.ticker.num_minor_ticks = 0
    apart(axis)


def apart(axis: Any) -> None:
    """Leave out the labels of an axis that would run into the one before."""
    axis.major_label_policy = NoOverlap(min_distance=6)


def hover(**options: Any) -> HoverTool:
    """A hover tool; made anew for each figure, because Bokeh models belong to one session."""
    return HoverTool(tooltips="", show_arrow=False, **options)


def say(tool: HoverTool, box: str) -> None:
    """Have a hover tool show a box: HTML with columns as `@key` or `@key{format}`.

    Formats are those of numbers (0,0.[0]), `day` for a moment in milliseconds, and `safe` for text.
    """
    by_locale = next(iter(tool.formatters.values()), None) or CustomJSHover(
        code="return carrel.hovered(value, format)"
    )
    numbers = {key for key, form in FORMATTED.findall(box) if form != "safe"}
    tool.update(
        formatters=dict.fromkeys(sorted(numbers), by_locale),
        tooltips=f'<div style="{TIP}">{box}</div>',
    )


def words_on(plot: Any, text: str) -> Label:
    """Words in the upper left of a figure; invisible as yet."""
    label = Label(
        x=4, y=plot.height - 80, x_units="screen", y_units="screen", text=text, visible=False,
        text_color=MUTED, text_font=FONT, text_font_size="13px",
    )  # fmt: skip
    plot.add_layout(label)
    return label


def from_zero(top: float = 1) -> Range1d:
    """A range that starts at nothing."""
    return Range1d(start=0, end=top)
