"""Sales as they happen: over time with late events and duplicates, by country, segment, product."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bi_app.charts.bars import Bars, Look
from bi_app.charts.columns import Columns
from bi_app.charts.sales import SalesOverTime
from bi_app.models import sales as model
from bi_app.models.sales_sums import Sales
from bi_app.models.shop import shop
from bi_app.pages import report
from bi_app.pages.report import Answer, Layout, Part
from bi_app.pages.shell import serving
from bi_app.words import N_, _, joined

ROWS = 12
ABOUT = N_("share @share{0.0} %, before @before{0,0.[00]}, cancelled @rate{0.0} %")
BARS = Look(mark="before", picks="of", unit="", format="0,0.[00]", about=ABOUT)
PLAIN = replace(BARS, picks="")
HOURS = N_("<b>@value{0,0.[00]}</b><br><small>share @share{0.0} %</small>")


def notes(known: Sales, answer: Answer) -> dict[str, str]:
    """Texts that follow the choice."""
    title = _(model.FIGURES[answer.chosen.get("figure")])
    dimension = {d.name: d for d in shop().dimensions}
    before = _("{title}; the mark is the period before", title=title)
    picked = _("{title}; a click shows it over time", title=title)
    return {
        "over_time": _(
            "{title}; {standing}", title=model.titled(answer.chosen), standing=model.standing(known)
        ),
        "by_country": picked,
        "by_segment": _(dimension["segment"].meaning),
        "by_hour": title,
        "products": before,
        "customers": _("What customers did is known of the first part alone"),
        "partitions": _("{topic}, read by carrel consume", topic=shop().topic),
    }


LAYOUT = Layout(
    "Sales",
    model.REPORT,
    [
        Part("over_time", "Over time", joined(model.OVER_TIME, model.DEFINED["counters"]),
             model.time_columns(), chart=lambda _: SalesOverTime("over_time"),
             says=("value", "start")),
        Part("by_country", "By country", model.BY_COUNTRY, model.by_columns("Country"),
             chart=lambda known: Bars("by_country", ROWS, BARS), span=6),
        Part("products", "Top products", model.PRODUCTS, model.product_columns(),
             chart=lambda _: Bars("products", ROWS, PLAIN), span=6),
        Part("by_segment", "By segment", model.BY_SEGMENT, model.by_columns("Segment"),
             chart=lambda _: Bars("by_segment", 2, BARS), span=5),
        Part("by_hour", "By hour of the day", model.BY_HOUR, model.by_columns("Hour"),
             chart=lambda _: Columns("by_hour", tip=HOURS, height=200), span=7),
        Part("customers", "With and without a customer",
             joined(model.CUSTOMERS, model.DEFINED["nameless"]), search=False),
        Part("partitions", "The stream", joined(model.PARTITIONS, model.DEFINED["last"]),
             search=False),
    ],
    nothing=(
        "No sale has come yet",
        "Sales appear here as they happen. Some to try it with: carrel produce. From the log into"
        " the database: carrel consume.",
    ),
    notes=notes,
)  # fmt: skip
build = partial(report.build, LAYOUT)
prepare = partial(report.prepare, LAYOUT)
serving(__name__, build)
