"""From numbers to the text columns of the seven exports, and onto disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deployments.sample import loans as desk
from deployments.sample import words
from deployments.sample.dirt import Table
from deployments.sample.loans import DAY
from deployments.sample.world import (
    BRANCHES,
    CODES,
    COLLECTIONS,
    ITEM_TYPES,
    MEMBER_TYPES,
    NEW_BRANCH,
    NEW_BRANCH_DAYS_AGO,
    OUTSIDE,
    Ints,
    Members,
    Plan,
    Stock,
    Texts,
    make_calendar,
    make_members,
    make_stock,
)


@dataclass(frozen=True)
class Made:
    """The clean library: loan events still as numbers, for they are many, the rest as text."""

    plan: Plan
    events: desk.Events
    others: dict[str, Table]
    reader: str

    @property
    def names(self) -> tuple[str, ...]:
        """The seven sets."""
        return ("loan_events", *self.others)

    def table(self, name: str) -> Table:
        """The whole of a set as text."""
        return self.others[name] if name in self.others else event_table(self.plan, self.events)

    def parts(self, name: str) -> Iterator[tuple[str, Table]]:
        """The files of a set, as name and text columns: one a year for loan events."""
        if name in self.others:
            yield name, self.others[name]
            return
        days = (self.events.at // DAY + self.plan.epoch).astype("datetime64[D]")
        years = days.astype("datetime64[Y]").astype(int) + 1970
        for year in np.unique(years):
            first, end = np.searchsorted(years, [year, year + 1])
            yield f"{name}_{year}", event_table(self.plan, self.events, int(first), int(end))


def tables(plan: Plan) -> Made:
    """Draw the library."""
    rng = np.random.default_rng(plan.seed)
    calendar = make_calendar(rng, plan)
    stock, members = make_stock(rng, plan), make_members(rng, plan)
    loans = desk.make_loans(rng, plan, calendar, stock, members)
    events = desk.make_events(rng, plan, calendar, stock, loans)
    others = {
        "items": item_table(plan, stock),
        "members": member_table(plan, members),
        "holds": hold_table(plan, desk.make_holds(rng, plan, calendar, stock, loans)),
        "fines": fine_table(plan, desk.make_fines(rng, plan, events, members)),
        "branches": branch_table(plan),
        "orders": order_table(plan, desk.make_orders(rng, plan, stock)),
    }
    reader = number("M", np.array([busiest(loans, members)]), 6)[0].as_py()
    return Made(plan, events, others, reader)


def busiest(loans: desk.Loans, members: Members) -> int:
    """The adult still enrolled who borrows most and agreed to keep the history."""
    count = np.bincount(loans.member, minlength=len(members.kind))
    fit = (members.kind == 0) & (members.lapsed == OUTSIDE) & (members.consent != OUTSIDE)
    return int(np.argmax(np.where(fit, count, -1)))


# Columns -----------------------------------------------------------------------------------------


def number(prefix: str, values: Ints, width: int) -> pa.Array:
    """Codes such as M000001; null for negative numbers."""
    known = values >= 0
    digits = pa.array(np.maximum(values, 0) + 1).cast(pa.string())
    code = pc.binary_join_element_wise(prefix, pc.utf8_lpad(digits, width, "0"), "")
    return code if known.all() else pc.if_else(pa.array(known), code, None)


def chosen(options: tuple[str, ...], which: Ints) -> pa.Array:
    """The texts that the numbers stand for."""
    return pa.array(options).take(pa.array(which))


def day_text(plan: Plan, days: Ints) -> pa.Array:
    """Dates as 2025-03-04; null for OUTSIDE."""
    values = (days + plan.epoch).astype("int32")
    return pa.array(values, mask=days == OUTSIDE).cast(pa.date32()).cast(pa.string())


def time_text(plan: Plan, seconds: Ints) -> pa.Array:
    """Times as 2025-03-04 10:15:00; null for negative ones."""
    values = seconds + plan.epoch * DAY
    return pa.array(values, mask=seconds < 0).cast(pa.timestamp("s")).cast(pa.string())


def money(pence: Ints) -> pa.Array:
    """Pence as 8.99."""
    pounds, rest = pa.array(pence // 100).cast(pa.string()), pa.array(pence % 100)
    cents = pc.utf8_lpad(rest.cast(pa.string()), 2, "0")
    return pc.binary_join_element_wise(pounds, cents, ".")


def text(values: Texts) -> pa.Array:
    """Texts, null where None."""
    return pa.array(values, pa.string())


# Tables ------------------------------------------------------------------------------------------


def event_table(plan: Plan, events: desk.Events, first: int = 0, end: int | None = None) -> Table:
    """Loan events as an export writes them, from the first up to the end."""
    part = slice(first, len(events.at) if end is None else end)
    due = np.where(events.due[part] == desk.NONE, OUTSIDE, events.due[part])
    return {
        "event_id": number("E", np.arange(part.start, part.stop), 8),
        "loan_id": number("L", events.loan[part], 8),
        "kind": chosen(desk.KINDS, events.kind[part]),
        "occurred_at": time_text(plan, events.at[part]),
        "branch_code": chosen(CODES, events.branch[part]),
        "item_code": number("I", events.item[part], 7),
        "member_id": number("M", events.member[part], 6),
        "due_on": day_text(plan, due),
    }


def item_table(plan: Plan, stock: Stock) -> Table:
    """Copies with what the catalogue says of their titles."""
    of = stock.title_of
    collection, kind = chosen(COLLECTIONS, stock.collection), chosen(ITEM_TYPES, stock.collection)
    return {
        "item_code": number("I", np.arange(len(of)), 7),
        "title_code": number("T", of, 6),
        "title": text(stock.title[of]),
        "author": text(stock.author[of]),
        "isbn": text(stock.isbn[of]),
        "dewey": text(stock.dewey[of]),
        "collection_code": collection,
        "item_type": kind,
        "branch_code": chosen(CODES, stock.branch),
        "price_amount": money(stock.price),
        "published_year": pa.array(stock.year[of]).cast(pa.string()),
        "acquired_on": day_text(plan, stock.acquired),
        "withdrawn_on": day_text(plan, stock.withdrawn),
        "language_code": text(stock.language[of]),
    }


def member_table(plan: Plan, members: Members) -> Table:
    """Members; a card runs a year at a time, and on until the member stops."""
    years = np.maximum((plan.days - members.joined) // 365 + 1, 1)
    current = members.joined + years * 365
    expires = np.where(members.lapsed == OUTSIDE, current, members.lapsed)
    return {
        "member_id": number("M", np.arange(len(members.kind)), 6),
        "name": text(members.name),
        "email": text(members.email),
        "birth_date": day_text(plan, members.born),
        "area_code": chosen(tuple(words.AREAS), members.area),
        "member_type": chosen(MEMBER_TYPES, members.kind),
        "joined_on": day_text(plan, members.joined),
        "expires_on": day_text(plan, expires),
        "history_consent_on": day_text(plan, members.consent),
    }


def hold_table(plan: Plan, holds: desk.Holds) -> Table:
    """Holds with where they stand at the sample's end."""
    return {
        "hold_id": number("H", np.arange(len(holds.placed)), 7),
        "title_code": number("T", holds.title, 6),
        "item_code": number("I", holds.item, 7),
        "member_id": number("M", holds.member, 6),
        "branch_code": chosen(CODES, holds.branch),
        "placed_at": time_text(plan, holds.placed),
        "shelved_at": time_text(plan, holds.shelved),
        "ended_at": time_text(plan, holds.ended),
        "status": chosen(desk.HOLD_STATUSES, holds.status),
        "frozen": chosen(("false", "true"), holds.frozen.astype(int)),
    }


def fine_table(plan: Plan, fines: desk.Fines) -> Table:
    """Charges, payments and waivers."""
    return {
        "fine_id": number("F", np.arange(len(fines.at)), 7),
        "member_id": number("M", fines.member, 6),
        "loan_id": number("L", fines.loan, 8),
        "branch_code": chosen(CODES, fines.branch),
        "kind": chosen(desk.FINE_KINDS, fines.kind),
        "amount": money(fines.amount),
        "charged_at": time_text(plan, fines.at),
    }


def branch_table(plan: Plan) -> Table:
    """The branches; the newest opened within the sample."""
    opened = [b[4] for b in BRANCHES]
    opened[NEW_BRANCH] = (plan.end - timedelta(days=NEW_BRANCH_DAYS_AGO - 1)).isoformat()
    return {
        "branch_code": pa.array(CODES),
        "name": pa.array([b[1] for b in BRANCHES]),
        "area_code": pa.array(words.AREAS[: len(BRANCHES)]),
        "latitude": pa.array([f"{b[2]:.4f}" for b in BRANCHES]),
        "longitude": pa.array([f"{b[3]:.4f}" for b in BRANCHES]),
        "opened_on": pa.array(opened),
    }


def order_table(plan: Plan, orders: desk.Orders) -> Table:
    """Orders with their vendor, fund and price a copy."""
    return {
        "order_id": number("O", np.arange(len(orders.title)), 6),
        "title_code": number("T", orders.title, 6),
        "branch_code": chosen(CODES, orders.branch),
        "vendor_code": chosen(desk.VENDORS, orders.vendor),
        "fund_code": chosen(desk.FUNDS, orders.fund),
        "ordered_on": day_text(plan, orders.ordered),
        "received_on": day_text(plan, orders.received),
        "copies": pa.array(orders.copies).cast(pa.string()),
        "price_amount": money(orders.price),
        "status": chosen(desk.ORDER_STATUSES, orders.status),
    }


# Files -------------------------------------------------------------------------------------------


def write_lines(path: Path, columns: Table, lines: pa.Array) -> None:
    """Write the header and the array's bytes as they lie in memory."""
    header = ",".join(columns).encode() + b"\n"
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    with path.open("wb") as file:
        file.write(header)
        file.write(data[int(ends[0]) : int(ends[-1])])
