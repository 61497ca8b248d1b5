"""Each measure once: its name, its colour's role, and its definition as pages show it."""

from __future__ import annotations

from dataclasses import dataclass

from bi_app.words import N_


@dataclass(frozen=True)
class Measure:
    """A measure of circulation. `parts` are the stored counts that it is the sum of."""

    name: str
    title: str
    unit: str
    definition: str
    parts: tuple[str, ...]


COUNTED = ("checkouts", "renewals", "returns", "in_house_uses")
MEASURES = {
    m.name: m
    for m in (
        Measure(
            "checkouts",
            "Checkouts",
            "checkouts",
            "Copies lent. Each time a copy leaves the desk counts once; renewals are left out and"
            " shown on their own, as the annual surveys of ACRL, ARL and NCES ask.",
            ("checkouts",),
        ),
        Measure(
            "renewals",
            "Renewals",
            "renewals",
            "Loans whose due date was moved on, by the member or at the desk. Each renewal"
            " counts once, on the day and hour it was made.",
            ("renewals",),
        ),
        Measure(
            "total",
            "Total circulation",
            "loans",
            "Checkouts plus renewals. Returns and in-house use are not in it.",
            ("checkouts", "renewals"),
        ),
        Measure(
            "returns",
            "Returns",
            "returns",
            "Copies handed back, on the day and hour they were checked in.",
            ("returns",),
        ),
        Measure(
            "in_house_uses",
            "In-house use",
            "uses",
            "Copies used inside the library, scanned without a loan. A separate event of its own,"
            " never inferred from loans.",
            ("in_house_uses",),
        ),
    )
}
PER_DAY = N_(
    "Checkouts divided by the days on which at least one of the chosen branches was open, which is"
    " any day with an event."
)
CHANGE = N_(
    "Compared with the period of the same length just before. A period that reaches back further"
    " than the data has no comparison."
)
BUSY = N_(
    "Mean number of events in that hour of that weekday: the sum over the period divided by the"
    " number of such weekdays in it. All times are local."
)
BRANCHES = N_("Sum over the period by the branch where it happened; the mark is the period before.")
TITLES = N_(
    "Titles by checkouts at the chosen branches, all copies together, renewals apart. Counted by"
    " whole calendar months that the period touches."
)
DAILY = N_("Sum of each day (bars) and its mean over seven days (line).")
