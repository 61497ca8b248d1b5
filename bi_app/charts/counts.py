"""A figure of each group: horizontal bars, drawn by hvPlot from any frame."""

from __future__ import annotations

import holoviews as hv
import hvplot.pandas  # noqa: F401 - gives frames their `hvplot`
import pandas as pd

from bi_app.charts import theme
from bi_app.words import _

TIP = "@full<br><b>@rows{0,0.[00]}</b> "
LABEL = 22


class Counts:
    """One bar a value, in the order of the frame, the first on top."""

    def __init__(self, frame: pd.DataFrame, name: str = "counts", unit: str = "rows") -> None:
        bars = labelled(frame).hvplot.barh(x="label", y="rows", hover_cols=["full"])
        self.figure = theme.bare(hv.render(bars, backend="bokeh"))
        self.figure.update(name=f"{name}_chart", tools=[theme.hover()], sizing_mode="stretch_width")
        theme.say(self.figure.hover[0], f"{TIP}{_(unit)}")
        self.figure.xgrid.visible, self.figure.ygrid.visible = True, False
        for axis in self.figure.axis:
            axis.axis_label = None
        theme.counted(self.figure.xaxis[0])
        (drawn,) = self.figure.renderers
        drawn.glyph.update(
            fill_color=theme.SERIES["total"], line_color=None, height=0.62, border_radius=3
        )
        self.source = drawn.data_source
        self.source.name = name
        self.show(frame)

    def show(self, frame: pd.DataFrame) -> None:
        """Show another frame with the columns `value` and `rows`."""
        bars = labelled(frame)
        self.figure.y_range.factors = bars["label"].tolist()[::-1]
        values = bars["rows"].fillna(0)
        top, low = max(values, default=0), min(values, default=0)
        self.figure.x_range.update(start=min(low, 0) * 1.05, end=max(top, 1e-9) * 1.05)
        self.figure.height = max(140, 46 + 22 * len(bars))
        self.source.data = {name: bars[name].to_numpy() for name in ("label", "full", "rows")}


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """`label`, short and different for each row; `full`, the value itself; `rows`."""
    full = frame["value"].astype(str)
    label = full.where(full.str.len() <= LABEL, full.str.slice(0, LABEL - 1) + "…")
    twin = label.groupby(label).cumcount()
    label = label.where(twin == 0, label + " (" + (twin + 1).astype(str) + ")")
    return pd.DataFrame({"label": label, "full": full, "rows": frame["rows"].astype("float64")})
