"""Products bought together: rules with support, confidence and lift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bi_app import words
from bi_app.models import report
from bi_app.models.report import Card, Report, table_of
from bi_app.models.selection import Bounds, Select, Selection
from bi_app.models.shop import NoBranches, analysis
from bi_app.models.store import held
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _
from warehouse.access import Viewer

TABLES = ("gold.retail_baskets", "gold.retail_products")
SHOWN, MOST = 200, 20_000
DEFINED = {
    "support": N_("Support: share of all analysed baskets that hold both products, P(A∧B)."),
    "confidence": N_(
        "Confidence: share of the baskets with the first product that hold the second too, P(B|A)."
    ),
    "lift": N_(
        "Lift: confidence divided by the share of all baskets that hold the second, P(B|A) ÷ P(B)."
        " 1: the two are independent; above 1: together more often than by chance."
    ),
    "basket": N_(
        "A basket is an invoice that sells two products or more; fees are no products. One with too"
        " many products is left out and counted. A rule is told if both products are together in"
        " enough baskets, and confidence and lift are great enough. Of the two directions of a"
        " pair, which have the same support and lift, the one with less confidence is left out."
    ),
    "least": N_(
        "Baskets of {days} days with at most {most} products; rules with at least {least} baskets,"
        " {confidence} % confidence and a lift of {lift}; at most {rules}, by lift."
    ),
}
LEAST = {"0": N_("All"), "2": "≥ 2", "5": "≥ 5", "10": "≥ 10", "25": "≥ 25"}
SORTS = {"lift": N_("Lift"), "confidence": N_("Confidence"), "baskets": N_("Baskets")}
COLUMNS = (
    Column("first_name", "Who buys"),
    Column("second_name", "buys also"),
    Column("baskets", "Baskets", "integer"),
    Column("support", "Support, %", "ratio"),
    Column("confidence", "Confidence, %", "number"),
    Column("lift", "Lift", "number"),
    Column("first", "Code"),
    Column("second", "Code of the second"),
)
STRONGEST = (
    Column("name", "Rule"),
    Column("support", "Support, %", "ratio"),
    Column("confidence", "Confidence, %", "number"),
    Column("lift", "Lift", "number"),
    Column("baskets", "Baskets", "integer"),
)


@dataclass(frozen=True)
class Baskets(NoBranches):
    """Rows of the query of that name, by lift."""

    rules: Sequence[Mapping[str, Any]]

    @property
    def bounds(self) -> Bounds:
        """The days of the analysed baskets."""
        return Bounds(self.rules[0]["first_day"], self.rules[0]["last_day"], ())


def baskets(viewer: Viewer) -> Baskets | None:
    """The rules; None where there is none yet."""
    found = held(viewer, TABLES, load_baskets)
    return found if found.rules else None


def load_baskets(viewer: Viewer) -> Baskets:
    """Read the rules."""
    return Baskets(rows(viewer, "baskets"))


SELECTS = (
    Select("by", "By", tuple(SORTS.items()), "segments"),
    Select("least", "Lift", tuple(LEAST.items())),
)


def chosen_rules(known: Baskets, chosen: Selection) -> list[Mapping[str, Any]]:
    """The rules that fit the choice, in its order."""
    least, key = float(chosen.get("least")), chosen.get("by")
    found = [r for r in known.rules if r["lift"] >= least]
    return sorted(
        found, key=lambda r: (-r[key], -r["lift"], -r["baskets"], r["first"], r["second"])
    )


def rules(known: Baskets, chosen: Selection, most: int = MOST) -> Table:
    """The rules with their figures."""
    records = [
        {
            **row, "support": round(row["support"] * 100, 2),
            "confidence": round(row["confidence"] * 100, 1), "lift": round(row["lift"], 1),
        }
        for row in chosen_rules(known, chosen)[:most]
    ]  # fmt: skip
    return table_of("rules", "Products bought together", COLUMNS, records, notes(known))


def strongest(known: Baskets, chosen: Selection) -> Table:
    """The first rules by name, for the chart."""
    key = chosen.get("by")
    records = [
        {
            "name": f"{row['first_name']} → {row['second_name']}", "lift": round(row["lift"], 1),
            "confidence": round(row["confidence"] * 100, 1), "baskets": row["baskets"],
            "support": round(row["support"] * 100, 2),
        }
        for row in chosen_rules(known, chosen)[:SHOWN]
    ]  # fmt: skip
    return table_of("strongest", _("Strongest rules by {figure}", figure=_(SORTS[key])), STRONGEST,
                    records, notes(known))  # fmt: skip


def least() -> str:
    """Which rules are told, with the numbers that hold."""
    asked = analysis().baskets
    return _(
        DEFINED["least"], days=asked.window_days, most=asked.most_products,
        least=asked.least_baskets, confidence=words.short(asked.least_confidence * 100),
        lift=words.short(asked.least_lift), rules=words.whole(asked.most_rules),
    )  # fmt: skip


def notes(known: Baskets) -> list[str]:
    """What the rules are of, and what they mean."""
    first = known.rules[0]
    return [
        _(
            "Baskets from {start} to {end}",
            start=words.day(first["first_day"]),
            end=words.day(first["last_day"]),
        ),
        *(_(DEFINED[k]) for k in DEFINED if k != "least"), least(),
    ]  # fmt: skip


def cards(known: Baskets, chosen: Selection) -> list[Card]:
    """How much was analysed, and the strongest rule."""
    found, first = chosen_rules(known, chosen), known.rules[0]
    top = max(found, key=lambda r: r["lift"], default=None)
    sure = max(found, key=lambda r: r["confidence"], default=None)
    return [
        report.card("rules", "Rules", words.whole(len(found)), DEFINED["basket"],
                    note=_("of {count}", count=words.whole(len(known.rules)))),
        report.card("baskets", "Baskets", words.whole(first["all_baskets"]), DEFINED["basket"],
                    note=_("{count} left out, too many products",
                           count=words.whole(first["left_out"]))),
        report.card("lift", "Greatest lift", report.number(top["lift"]) if top else "–",
                    DEFINED["lift"], note=_pair(top)),
        report.card("confidence", "Greatest confidence",
                    words.percent(sure["confidence"] * 100) if sure else "–",
                    DEFINED["confidence"], note=_pair(sure)),
    ]  # fmt: skip


def _pair(row: Mapping[str, Any] | None) -> str:
    return f"{row['first_name']} → {row['second_name']}" if row else ""


REPORT: Report[Baskets] = Report(
    "baskets",
    reads=TABLES,
    load=baskets,
    cards=cards,
    measures={"strongest": strongest, "rules": partial(rules, most=SHOWN)},
    longer={"rules": rules},
    selects=lambda _: SELECTS,
    periods=False,
)
