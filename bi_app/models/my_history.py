"""A member's past loans and holds, as far as the member agreed to a history; and that decision.

PostgreSQL shows what began after the consent and nothing else (`warehouse.policies`), so nothing
here decides who sees a row. What a member says here counts from that moment on.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from bi_app import words
from bi_app.models.lending import dewey_name, named, type_name
from bi_app.models.report import Card, card, number, percent, table_of
from bi_app.models.table import Column, Table
from bi_app.queries import Noted, rows, write
from bi_app.words import N_, _
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError
from warehouse.settings import settings
from warehouse.spec import datasets

SPANS = {"all": N_("Since you agreed"), "365": N_("Last 12 months")}
NAMES = ("loans", "months", "subjects", "holds")
PAST = N_(
    "Loans that are over and began after you agreed to a history. Earlier ones stay hidden, also"
    " from you."
)
MONTHS = N_(
    "Loans of your history by the month in which you borrowed. Those that are out are not in it."
)
SUBJECTS = N_(
    "Loans of your history by Dewey class in hundreds. Fiction and media that bear no Dewey number"
    " are shelved otherwise."
)
HOLDS = N_("Holds that are over and were placed after you agreed: collected, expired or cancelled.")
SINCE = N_("What began before this moment stays hidden, whatever you decide later.")
LOAN_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("subject", "Subject"),
    Column("kind", "Kind"),
    Column("lent_on", "Borrowed", "date"),
    Column("returned_on", "Returned", "date"),
    Column("renewals", "Renewed", "integer"),
    Column("branch", "Branch"),
)
HOLD_COLUMNS = (
    Column("title", "Title"),
    Column("author", "Author"),
    Column("state", "Became of it", "badge"),
    Column("placed_on", "Placed", "date"),
    Column("ended_on", "Over", "date"),
    Column("branch", "At"),
)
MONTH_COLUMNS = (Column("name", "Month"), Column("value", "Loans", "integer"))
SUBJECT_COLUMNS = (
    Column("name", "Dewey class"),
    Column("value", "Loans", "integer"),
    Column("share", "Share, %", "number"),
)
STATES = {N_("collected"): "good", N_("expired"): "warn", N_("cancelled"): ""}


@dataclass(frozen=True)
class MyHistory:
    """What one member sees of what is over.

    `since` is when the history begins, in local time; None: there is none. `stated` is the day of
    consent in the library's system, `said` what the member said here last.
    """

    loans: Sequence[Mapping[str, Any]]
    holds: Sequence[Mapping[str, Any]]
    since: dt.datetime | None
    stated: dt.date | None = None
    said: str | None = None

    def within(self, span: str) -> MyHistory:
        """The same of the last days alone, where `span` says how many."""
        if not span.isdigit():
            return self
        first = _today() - dt.timedelta(days=int(span))
        loans = [r for r in self.loans if r["lent_on"] >= first]
        holds = [r for r in self.holds if r["placed_on"] >= first]
        return MyHistory(loans, holds, self.since, self.stated, self.said)

    def table(self, name: str) -> Table:
        """One of the tables of the page: `loans`, `months`, `subjects` or `holds`.

        Raises:
            KeyError: there is no such table, or no history was agreed to.
        """
        if self.since is None:
            raise KeyError(name)
        return {"loans": self._loans, "months": self._months, "subjects": self._subjects,
                "holds": self._holds}[name]()  # fmt: skip

    def _loans(self) -> Table:
        found = [
            {**r, "subject": _subject(r), "kind": _(type_name(r["item_type"]))} for r in self.loans
        ]
        return table_of("past-loans", "Past loans", LOAN_COLUMNS, found, [PAST])

    def _holds(self) -> Table:
        found = [{**r, "state": f"{STATES[r['state']]}|{_(r['state'])}"} for r in self.holds]
        return table_of("past-holds", "Past holds", HOLD_COLUMNS, found, [HOLDS])

    def _months(self) -> Table:
        counts = Counter(r["lent_on"].replace(day=1) for r in self.loans)
        found = [{"name": words.month(m), "value": counts[m]} for m in _months(counts)]
        return table_of("loans-by-month", "Loans by month", MONTH_COLUMNS, found, [MONTHS])

    def _subjects(self) -> Table:
        counts = Counter(map(_subject, self.loans))
        found = [
            {"name": name, "value": count, "share": percent(count, len(self.loans))}
            for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
        return table_of("loans-by-subject", "Loans by subject", SUBJECT_COLUMNS, found, [SUBJECTS])

    def cards(self) -> list[Card]:
        """The figures on top."""
        if self.since is None:
            note = (
                _("you took it back")
                if self.said == "withdrawn"
                else _("you have not asked for one")
            )
            return [card("since", "My history", _("Off"), SINCE, note=note, text=True)]
        months = max(1, len(_months(Counter(r["lent_on"].replace(day=1) for r in self.loans))))
        subjects: Sequence[str] = self._subjects().data["name"]
        numbered = [name for name in subjects if name[:1].isdigit()] or subjects
        collected = sum(r["state"] == "collected" for r in self.holds)
        return [
            card("since", "My history", _("On"), SINCE,
                 note=_("since {moment}", moment=_moment(self.since)), text=True),
            card("loans", "Past loans", words.whole(len(self.loans)), PAST,
                 note=_("{number} a month", number=number(len(self.loans) / months))),
            card("subject", "Most borrowed", numbered[0] if numbered else "–", SUBJECTS,
                 note=_("by Dewey class"), text=True),
            card("holds", "Past holds", words.whole(len(self.holds)), HOLDS,
                 note=_("{count} collected", count=collected)),
        ]  # fmt: skip

    def decision(self) -> dict[str, Any]:
        """What the page says of the consent, and the form to give it or to take it back."""
        if self.since is None:
            acts = [{"act": "agree", "label": _("Keep a history from now on")}]
            return {"says": _off(self.said), "alert": 0, "acts": acts}
        acts = [{"act": "withdraw", "label": _("Hide my history")}]
        return {"says": _on(self.since), "alert": 0, "acts": acts}


def my_history(viewer: Viewer) -> MyHistory:
    """What the viewer, a member with a linked card, may see of what is over."""
    asked = {"member": viewer.member_key, "zone": settings().timezone}
    consent = rows(viewer, "my_consent", asked)[0]
    if consent["since"] is None:
        return MyHistory([], [], None, consent["stated"], consent["said"])
    return MyHistory(
        rows(viewer, "my_past", asked),
        rows(viewer, "my_past_holds", asked),
        consent["since"],
        consent["stated"],
        consent["said"],
    )


def act(viewer: Viewer, asked: Mapping[str, Any], address: str = "") -> str:
    """Give the consent or take it back; returns what the person is told.

    It is put on record in the same transaction.

    Raises:
        ConfigurationError: there is no such act, or no card is linked to the account.
    """
    agreed = {"agree": True, "withdraw": False}.get(str(asked.get("act")))
    if agreed is None or viewer.role != "member" or viewer.member_key is None:
        raise ConfigurationError(_("There is no such act."))
    noted = Noted("consent", "history", address, {"agreed": agreed})
    write(viewer, "say_of_history", {"agreed": agreed}, noted)
    if agreed:
        return _(
            "Agreed. Loans and holds that begin from now on are listed here once they are over."
        )
    return _("Your history is hidden, on every page and in every file.")


def _off(said: str | None) -> list[str]:
    taken = [_("You took your consent back, so nothing of it is shown.")]
    return [
        *(taken if said == "withdrawn" else ()),
        _(
            "Carrel shows you what you have on loan, and nothing that is over. It lists past loans"
            " and holds only if you agree."
        ),
        _(
            "Agree, and those that begin from that moment on are listed here once they are over."
            " Nothing from before is ever shown."
        ),
        _("What is stored does not depend on it: {kept}", kept=_kept()),
    ]


def _on(since: dt.datetime) -> list[str]:
    return [
        _(
            "You agreed to a history on {moment}. Only what began after that is listed, for you"
            " alone: to the staff, loans and holds have no names.",
            moment=_moment(since),
        ),
        _(
            "You may take this back whenever you like. The list is then hidden at once, on every"
            " page and in every file, and agreeing again later does not bring it back."
        ),
        _("Hiding deletes nothing: {kept}", kept=_kept()),
    ]


def _kept() -> str:
    """How long the library keeps who borrowed what, and why, as the specs say."""
    found = [d for d in datasets().values() if d.access.history and d.retention.personal]
    said = [
        f"{d.title.lower()} {words.span(str(d.retention.personal))}"
        + (f" ({d.retention.reason})" if d.retention.reason else "")
        for d in sorted(found, key=lambda d: d.title, reverse=True)
    ]
    if not said:
        return _("the library has set no time after which your name is taken off.")
    return _(
        "the library keeps your pseudonym with {said}; after that the record stays without you.",
        said=", ".join(said),
    )


def _subject(loan: Mapping[str, Any]) -> str:
    """The Dewey class of a loan as words."""
    known = loan["dewey_class"] is not None
    return named("dewey", dewey_name(f"{loan['dewey_class']:03d}" if known else "none"))


def _months(counts: Mapping[dt.date, int]) -> list[dt.date]:
    """Every month from the first with a loan to the last."""
    if not counts:
        return []
    found, last = [min(counts)], max(counts)
    while found[-1] < last:
        found.append((found[-1] + dt.timedelta(days=31)).replace(day=1))
    return found


def _moment(at: dt.datetime) -> str:
    """A local time in words; a day where the library's system says no more."""
    return words.day(at) if at.time() == dt.time() else words.moment(at)


def _today() -> dt.date:
    return dt.datetime.now(ZoneInfo(settings().timezone)).date()


EMPTY = MyHistory([], [], dt.datetime.min)
