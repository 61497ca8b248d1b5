"""A member's own loans, holds and charges."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bi_app import words
from bi_app.models.overview import columns_of
from bi_app.models.table import Column, Table
from bi_app.queries import rows
from bi_app.words import N_, _, joined, ngettext
from warehouse.access import Viewer
from warehouse.settings import settings

SOON_DAYS = 3
READS = ("library_loan_events", "library_holds", "library_fines", "library_items")
LOAN_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("due_on", "Due", "date"),
    Column("state", "State", "badge"),
    Column("renewals", "Renewed", "integer"),
    Column("branch", "Branch"),
    Column("lent_on", "Borrowed", "date"),
)
PAST_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("lent_on", "Borrowed", "date"),
    Column("returned_on", "Returned", "date"),
    Column("branch", "Branch"),
)
HOLD_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("state", "State", "badge"),
    Column("branch", "Collect at"),
    Column("placed_on", "Placed", "date"),
)
SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥", "INR": "₹", "PLN": "zł "}
LOOKS = {
    N_("ready to collect"): "good",
    N_("put off"): "",
    N_("waiting"): "",
    N_("charged"): "warn",
}
KINDS = (N_("paid"), N_("waived"))
DEFINITIONS = {
    "on_loan": N_("Copies lent to you and not handed back yet."),
    "overdue": N_("Copies whose due date has passed."),
    "holds": N_("Your reservations that are waiting or ready to collect."),
    "owed": N_("Charged, less what was paid or waived."),
    "past": N_(
        "Loans that you have returned. They are shown only from the day on which you agreed to"
        " keep your history; earlier ones stay hidden."
    ),
}


@dataclass(frozen=True)
class MyLoans:
    """What one member sees of the own card."""

    loans: Sequence[dict[str, Any]]
    holds: Sequence[dict[str, Any]]
    fines: Sequence[dict[str, Any]]
    history_since: dt.date | None

    @property
    def running(self) -> list[dict[str, Any]]:
        """Loans not handed back, the first due on top."""
        return [
            {**r, "state": due_state(r["days_left"])} for r in self.loans if not r["returned_on"]
        ]

    @property
    def past(self) -> list[dict[str, Any]]:
        """Loans handed back, the newest on top."""
        return [r for r in self.loans if r["returned_on"]]

    @property
    def owed(self) -> Decimal:
        """What is still to be paid."""
        sums = {"charged": 1, "paid": -1, "waived": -1}
        return sum((r["amount"] * sums[r["kind"]] for r in self.fines), Decimal(0))

    def cards(self) -> list[dict[str, Any]]:
        """The figures on top."""
        overdue = [r for r in self.running if (r["days_left"] or 0) < 0]
        ahead = [r["due_on"] for r in self.running if r["due_on"] and r["days_left"] >= 0]
        nearest = min(ahead, default=None)
        ready = sum(r["state"] == "ready to collect" for r in self.holds)
        return [
            card("on_loan", "On loan", len(self.running), _next(nearest)),
            card(
                "overdue", "Overdue", len(overdue), _("please return") if overdue else _("nothing")
            ),
            card("holds", "Holds", len(self.holds), _("{count} ready to collect", count=ready)),
            card("owed", "To pay", money(self.owed), _("fines and charges")),
        ]

    def table(self, name: str) -> Table:
        """One of the tables of the page.

        Raises:
            KeyError: there is no such table.
        """
        title, columns, records = {
            "loans": (N_("On loan"), LOAN_COLUMNS, self.running),
            "holds": (N_("Holds"), HOLD_COLUMNS, [_badged(r, "state") for r in self.holds]),
            "fines": (N_("Charges"), fine_columns(), [_badged(r, "kind") for r in self.fines]),
            "past": (N_("History"), PAST_COLUMNS, self.past),
        }[name]
        return Table(name, title, columns, columns_of(records, columns))


def in_currency(heading: str) -> str:
    """A column's heading with the currency, where one is set: Amount (EUR)."""
    code = settings().currency
    return joined(heading, f"({code})") if code else heading


def fine_columns() -> tuple[Column, ...]:
    """The columns of charges; the amount's heading names the currency, where one is set."""
    return (
        Column("day", "Day", "date"),
        Column("kind", "What", "badge"),
        Column("amount", in_currency("Amount"), "money"),
        Column("branch", "Branch"),
    )


def money(amount: Decimal) -> str:
    """An amount with its currency, in English before it: €2.25; bare where none is set."""
    code = settings().currency
    if code and words.language() not in (words.SOURCE, words.PSEUDO):
        return words.money(amount, code)
    return f"{SYMBOLS.get(code, f'{code} ') if code else ''}{words.decimal(amount, 2)}"


def card(name: str, title: str, value: int | str, note: str) -> dict[str, Any]:
    """A figure with a note in place of a change."""
    text = words.whole(value) if isinstance(value, int) else value
    return {
        "name": name, "title": _(title), "value": text, "note": note,
        "definition": _(DEFINITIONS[name]), "spark": [],
    }  # fmt: skip


def due_state(days_left: int | None) -> str:
    """A badge, as `look|words`."""
    if days_left is None:
        return f"|{_('no due date')}"
    if days_left < 0:
        late = ngettext("{count} day overdue", "{count} days overdue", -days_left)
        return f"bad|{late}"
    if not days_left:
        return f"warn|{_('due today')}"
    if days_left <= SOON_DAYS:
        return f"warn|{ngettext('due in {count} day', 'due in {count} days', days_left)}"
    return f"good|{ngettext('{count} day left', '{count} days left', days_left)}"


def _badged(record: dict[str, Any], key: str) -> dict[str, Any]:
    kind = record[key]
    return {**record, key: f"{LOOKS.get(kind, '')}|{_(kind)}"}


def _next(day: dt.date | None) -> str:
    return _("next due {day}", day=words.day(day)) if day else _("nothing more due")


def my_loans(viewer: Viewer) -> MyLoans:
    """What the viewer, a member, has; nothing where the card is not linked to an account."""
    asked = {"member": viewer.member_key, "zone": settings().timezone}
    consent = rows(viewer, "my_consent", asked)
    return MyLoans(
        rows(viewer, "my_loans", asked),
        rows(viewer, "my_holds", asked),
        rows(viewer, "my_fines", asked),
        consent[0]["since"] if consent else None,
    )
