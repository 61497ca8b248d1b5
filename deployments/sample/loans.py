"""What happened at the desks: loans with their renewals and returns, in-house use, holds, fines,
orders. Times are seconds from the first day of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deployments.sample.world import (
    BRANCHES,
    LOAN_DAYS,
    OUTSIDE,
    Calendar,
    Flags,
    Floats,
    Ints,
    Members,
    Plan,
    Stock,
    hourly_demand,
)

DAY = 86_400
KINDS = ("checkout", "renewal", "return", "in_house_use")
CHECKOUT, RENEWAL, RETURN, IN_HOUSE = range(4)
NONE = -1
RENEWALS = 3


@dataclass(frozen=True)
class Loans:
    """One entry a loan, in order of time; `back` beyond the end means it is still out."""

    out: Ints
    branch: Ints
    item: Ints
    member: Ints
    period: Ints
    renewals: Ints
    back: Ints


@dataclass(frozen=True)
class Events:
    """One entry an event, in order of time; NONE where a loan, a member or a due day is not."""

    kind: Ints
    at: Ints
    branch: Ints
    item: Ints
    member: Ints
    loan: Ints
    due: Ints


@dataclass(frozen=True)
class Pools:
    """Things to draw from, by pool, each with a weight and the days on which it is there."""

    order: Ints
    weight: Floats
    first: Ints
    size: Ints
    base: Floats
    total: Floats
    since: Ints
    until: Ints

    @classmethod
    def of(cls, pool: Ints, pools: int, weight: Floats, since: Ints, until: Ints) -> Pools:
        """Sort the things by pool; `until` OUTSIDE means for good."""
        order = np.argsort(pool, kind="stable")
        heaped = np.cumsum(weight[order])
        size = np.bincount(pool, minlength=pools)
        ends = np.concatenate([[0.0], heaped])[np.concatenate([[0], np.cumsum(size)])]
        first = np.cumsum(size) - size
        lasts = np.where(until == OUTSIDE, np.iinfo(np.int64).max, until)
        return cls(order, heaped, first, size, ends[:-1], np.diff(ends), since, lasts)

    def draw(self, rng: np.random.Generator, pool: Ints, day: Ints, fresh: float = 0.0) -> Ints:
        """One thing for each asked pool and day; NONE where eight tries found none.

        `fresh` is the share by which demand for a thing falls off over its first years.
        """
        found = np.full(len(pool), NONE)
        asked = np.arange(len(pool))
        for _ in range(8):
            of_pool = pool[asked]
            point = self.base[of_pool] + rng.random(len(asked)) * self.total[of_pool]
            place = np.searchsorted(self.weight, point, side="right")
            first, size = self.first[of_pool], np.maximum(self.size[of_pool], 1)
            place = np.minimum(np.clip(place, first, first + size - 1), len(self.order) - 1)
            thing = self.order[place]
            there = (self.since[thing] <= day[asked]) & (day[asked] < self.until[thing])
            age = np.maximum(day[asked] - self.since[thing], 0)
            there &= rng.random(len(asked)) < 1 - fresh * (1 - np.exp(-age / 400))
            there &= self.size[of_pool] > 0
            found[asked[there]] = thing[there]
            asked = asked[~there]
        return found


def moments(rng: np.random.Generator, demand: Floats, count: int) -> tuple[Ints, Ints]:
    """`count` times and branches after the hourly demand (days, branches, 24), unsorted hours."""
    shape = demand.shape
    flat = demand.ravel()
    cells = np.repeat(np.arange(flat.size), rng.multinomial(count, flat / flat.sum()))
    day, branch, hour = np.unravel_index(cells, shape)
    at = day * DAY + hour * 3600 + rng.integers(0, 3600, count)
    return at, branch


def snapped(rng: np.random.Generator, calendar: Calendar, branch: Ints, day: Ints) -> Ints:
    """A moment in opening hours on that day or the next open one."""
    day = calendar.next_open[branch, np.clip(day, 0, calendar.next_open.shape[1] - 1)]
    opens, closes = calendar.opens[branch, day], calendar.closes[branch, day]
    length = np.maximum(closes - opens, 1) * 3600
    moment: Ints = day * DAY + opens * 3600 + (rng.random(len(day)) * length).astype(np.int64)
    return moment


def make_loans(
    rng: np.random.Generator, plan: Plan, calendar: Calendar, stock: Stock, members: Members
) -> Loans:
    """Exactly `plan.checkouts` loans."""
    out, branch = moments(rng, hourly_demand(calendar, plan.days), plan.checkouts)
    member = draw_members(rng, branch, out // DAY, members)
    item = draw_items(rng, branch, out // DAY, stock, members.kind[member] == 1)
    period = LOAN_DAYS[stock.collection[item]]
    order = np.lexsort((out, item))
    out, branch, item, member, period = (a[order] for a in (out, branch, item, member, period))
    renewals = rng.choice(RENEWALS + 1, len(out), p=(0.74, 0.17, 0.06, 0.03))
    kept = days_kept(rng, period, renewals)
    back = np.maximum(snapped(rng, calendar, branch, out // DAY + kept), out + 900)
    back[rng.random(len(out)) < 0.003] = np.iinfo(np.int64).max // 2  # never seen again
    back = before_next(rng, out, item, back)
    order = np.argsort(out, kind="stable")
    return Loans(*(a[order] for a in (out, branch, item, member, period, renewals, back)))


def draw_members(rng: np.random.Generator, branch: Ints, day: Ints, members: Members) -> Ints:
    """Who borrows: mostly people of that branch, some from elsewhere."""
    pools = Pools.of(members.branch, len(BRANCHES), members.demand, members.joined, members.lapsed)
    away = rng.random(len(branch)) < 0.14
    pool = np.where(away, rng.choice(len(BRANCHES), len(branch)), branch)
    return found_or_any(rng, pools.draw(rng, pool, day), members.joined, members.lapsed)


def draw_items(
    rng: np.random.Generator, branch: Ints, day: Ints, stock: Stock, junior: Flags
) -> Ints:
    """What is borrowed: mostly copies of that branch, for children mostly children's books."""
    pool = stock.branch * 2 + stock.junior
    pools = Pools.of(pool, 2 * len(BRANCHES), stock.demand, stock.acquired, stock.withdrawn)
    for_child = rng.random(len(branch)) < np.where(junior, 0.85, 0.16)
    away = rng.random(len(branch)) < 0.12
    shelf = np.where(away, rng.choice(stock.branch, len(branch)), branch)
    drawn = pools.draw(rng, shelf * 2 + for_child, day, fresh=0.6)
    return found_or_any(rng, drawn, stock.acquired, stock.withdrawn)


def found_or_any(rng: np.random.Generator, drawn: Ints, since: Ints, until: Ints) -> Ints:
    """Where nothing was found, anything that is there throughout (or, failing that, at all)."""
    missing = np.flatnonzero(drawn == NONE)
    always = np.flatnonzero((since <= 0) & (until == OUTSIDE))
    choice = always if len(always) else np.arange(len(since))
    drawn[missing] = rng.choice(choice, len(missing))
    return drawn


def days_kept(rng: np.random.Generator, period: Ints, renewals: Ints) -> Ints:
    """How many days readers keep a copy; about one in eleven brings it back late."""
    count = len(period)
    kept = (renewals + rng.beta(2.2, 1.1, count)) * period
    late = rng.random(count) < 0.09
    kept += np.where(late, (1 - kept % period / period) * period + rng.exponential(6, count), 0)
    return kept.astype(np.int64)


def before_next(rng: np.random.Generator, out: Ints, item: Ints, back: Ints) -> Ints:
    """The returns, moved before the copy's next loan: no copy is out twice at once.

    Loans stand by item, then by time.
    """
    following = np.append(out[1:], np.iinfo(np.int64).max)
    same = np.append(item[1:] == item[:-1], False)
    wait = np.minimum((following - out) // 2, rng.integers(600, 3600, len(out)))
    return np.where(same & (back >= following - wait), following - wait, back)


def make_events(
    rng: np.random.Generator, plan: Plan, calendar: Calendar, stock: Stock, loans: Loans
) -> Events:
    """Checkouts, renewals, returns and in-house use within the sample, in order of time."""
    end = plan.days * DAY
    parts = [checkout_events(loans), return_events(rng, stock, loans, end)]
    parts += [renewal_events(rng, loans, nth, end) for nth in range(1, RENEWALS + 1)]
    parts.append(in_house_events(rng, plan, calendar, stock))
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    order = np.argsort(joined[1], kind="stable")
    return Events(*(column[order] for column in joined))


def checkout_events(loans: Loans) -> tuple[Ints, ...]:
    """The moment each loan begins."""
    count = len(loans.out)
    due = loans.out // DAY + loans.period
    number = np.arange(count)
    kind = np.full(count, CHECKOUT)
    return kind, loans.out, loans.branch, loans.item, loans.member, number, due


def return_events(
    rng: np.random.Generator, stock: Stock, loans: Loans, end: int
) -> tuple[Ints, ...]:
    """The moment each loan ends, mostly where it began, else at the copy's home."""
    rows = np.flatnonzero(loans.back < end)
    home = rng.random(len(rows)) < 0.08
    branch = np.where(home, stock.branch[loans.item[rows]], loans.branch[rows])
    held = np.minimum(loans.renewals[rows], (loans.back[rows] - loans.out[rows]) // DAY
                      // loans.period[rows])  # fmt: skip
    due = loans.out[rows] // DAY + loans.period[rows] * (1 + held)
    kind = np.full(len(rows), RETURN)
    return kind, loans.back[rows], branch, loans.item[rows], loans.member[rows], rows, due


def renewal_events(rng: np.random.Generator, loans: Loans, nth: int, end: int) -> tuple[Ints, ...]:
    """The nth renewal of the loans that have one: within two days before the due day, at any
    hour from seven to eleven at night, for most are made at home.
    """
    due = loans.out // DAY + loans.period * nth
    hour = rng.triangular(7, 16, 23, len(due))
    at = (due - rng.integers(0, 3, len(due))) * DAY + (hour * 3600).astype(np.int64)
    on_day = np.minimum(loans.back, end)
    rows = np.flatnonzero((loans.renewals >= nth) & (at > loans.out + DAY) & (at < on_day - 3600))
    kind = np.full(len(rows), RENEWAL)
    new_due = due[rows] + loans.period[rows]
    return kind, at[rows], loans.branch[rows], loans.item[rows], loans.member[rows], rows, new_due


def in_house_events(
    rng: np.random.Generator, plan: Plan, calendar: Calendar, stock: Stock
) -> tuple[Ints, ...]:
    """Copies found on the tables and scanned: no loan, no member."""
    count = round(plan.checkouts * 0.055)
    at, branch = moments(rng, hourly_demand(calendar, plan.days), count)
    likely = np.array([0.5, 3, 0.8, 1.5, 0.1, 0.05, 9])[stock.collection]
    pools = Pools.of(stock.branch, len(BRANCHES), likely, stock.acquired, stock.withdrawn)
    drawn = pools.draw(rng, branch, at // DAY)
    item = found_or_any(rng, drawn, stock.acquired, stock.withdrawn)
    none = np.full(count, NONE)
    return np.full(count, IN_HOUSE), at, branch, item, none, none, none


# Holds, fines, orders: text-ready columns, times still in seconds --------------------------------


@dataclass(frozen=True)
class Holds:
    """One entry a hold; NONE where it has no shelf time, end or copy."""

    title: Ints
    item: Ints
    member: Ints
    branch: Ints
    placed: Ints
    shelved: Ints
    ended: Ints
    status: Ints
    frozen: Flags


HOLD_STATUSES = ("waiting", "on_shelf", "collected", "expired", "cancelled")


def make_holds(
    rng: np.random.Generator, plan: Plan, calendar: Calendar, stock: Stock, loans: Loans
) -> Holds:
    """Holds on the titles that were borrowed, placed before those loans by other readers."""
    count = max(1, round(plan.checkouts * 0.08))
    rows = rng.integers(0, len(loans.out), count)
    end = plan.days * DAY
    placed = np.sort(rng.integers(0, plan.days, count)) * DAY
    placed += (np.clip(rng.normal(16, 4, count), 0, 23.9) * 3600).astype(np.int64)
    branch = loans.branch[rng.permutation(rows)]
    wait = (rng.gamma(1.2, 14, count) * DAY).astype(np.int64)
    shelved = snapped(rng, calendar, branch, (placed + wait) // DAY)
    shelved = np.maximum(shelved, placed + 1800)
    fate = rng.choice((2, 3, 4), count, p=(0.78, 0.08, 0.14))
    days = np.where(fate == 3, 10, rng.integers(0, 9, count))
    ended = np.maximum(snapped(rng, calendar, branch, shelved // DAY + days), shelved + 600)
    gave_up = fate == 4
    ended = np.where(gave_up, placed + (wait * rng.random(count)).astype(np.int64), ended)
    shelved = np.where(gave_up | (shelved >= end), NONE, shelved)
    status = np.where(ended < end, fate, np.where(shelved == NONE, 0, 1))
    ended = np.where(ended < end, ended, NONE)
    frozen = (status == 0) & (rng.random(count) < 0.12)
    item = np.where(shelved == NONE, NONE, loans.item[rows])
    title = stock.title_of[loans.item[rows]]
    return Holds(title, item, rng.permutation(loans.member[rows]), branch, placed, shelved, ended,
                 status, frozen)  # fmt: skip


@dataclass(frozen=True)
class Fines:
    """One entry a charge, payment or waiver; amounts in pence."""

    member: Ints
    loan: Ints
    branch: Ints
    kind: Ints
    amount: Ints
    at: Ints


FINE_KINDS = ("charged", "paid", "waived")


def make_fines(rng: np.random.Generator, plan: Plan, events: Events, members: Members) -> Fines:
    """A charge for each late return of an adult; most are paid, some waived, some still owed."""
    late = events.at // DAY - events.due
    grown = members.kind[np.maximum(events.member, 0)] != 1
    rows = np.flatnonzero((events.kind == RETURN) & (late > 0) & grown)
    amount = np.minimum(late[rows] * 20, 800)
    at = events.at[rows] + 60
    wait = np.where(rng.random(len(rows)) < 0.5, 120, rng.integers(1, 90, len(rows)) * DAY)
    fate = rng.choice((NONE, 1, 2), len(rows), p=(0.18, 0.7, 0.12))
    settled = np.flatnonzero((fate != NONE) & (at + wait < plan.days * DAY))
    every = np.concatenate([np.arange(len(rows)), settled])
    kind = np.concatenate([np.zeros(len(rows), np.int64), fate[settled]])
    when = np.concatenate([at, (at + wait)[settled]])
    order = np.argsort(when, kind="stable")
    of = rows[every[order]]
    return Fines(events.member[of], events.loan[of], events.branch[of], kind[order],
                 amount[every[order]], when[order])  # fmt: skip


@dataclass(frozen=True)
class Orders:
    """One entry an order; days from the first day, OUTSIDE where nothing came; pence a copy."""

    title: Ints
    branch: Ints
    vendor: Ints
    fund: Ints
    ordered: Ints
    received: Ints
    copies: Ints
    price: Ints
    status: Ints


ORDER_STATUSES = ("ordered", "received", "cancelled")
VENDORS = ("HARBR", "LANTN", "MARRA", "QUILL", "TIDEW")
FUNDS = ("ADULT", "JUNIOR", "LOCAL", "AV", "LARGEPRINT")


def make_orders(rng: np.random.Generator, plan: Plan, stock: Stock) -> Orders:
    """An order behind each copy bought in the sample, and some that are open or were cancelled."""
    bought = np.flatnonzero(stock.acquired > 0)
    extra = rng.integers(0, plan.items, max(1, len(bought) // 12))
    rows = np.concatenate([bought, extra])
    count = len(rows)
    vendor = rng.choice(len(VENDORS), count, p=(0.42, 0.25, 0.18, 0.1, 0.05))
    delay = 5 + rng.gamma(2.0, 6 + 3 * vendor, count).astype(np.int64)
    received = np.where(np.arange(count) < len(bought), stock.acquired[rows], OUTSIDE)
    recent = plan.days - 1 - rng.integers(0, 120, count)
    ordered = np.where(received == OUTSIDE, recent, received - delay)
    status = np.where(received == OUTSIDE, np.where(rng.random(count) < 0.3, 2, 0), 1)
    fund = np.where(stock.junior[rows], 1, np.where(np.isin(stock.collection[rows], (4, 5)), 3, 0))
    other = rng.random(count) < 0.12
    fund = np.where(other, rng.choice((2, 4), count), fund)
    order = np.argsort(ordered, kind="stable")
    columns = (stock.title_of[rows], stock.branch[rows], vendor, fund, ordered, received,
               rng.choice((1, 2, 3), count, p=(0.85, 0.1, 0.05)), stock.price[rows],
               status)  # fmt: skip
    return Orders(*(column[order] for column in columns))
