"""The sample library itself: branches and their hours, the calendar, the stock, the members.

Everything is drawn with numpy from one seed; days are counted from the first day of the sample.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from deployments.sample import words

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Flags = NDArray[np.bool_]

YEARS = 3
VOWEL = re.compile(r"\b([Aa]) (?=[AEIO]|Un(?!icorn)|Ho(ur|nest))")
OUTSIDE = -99_999  # "no day": not withdrawn, never lapsed, no consent

COLLECTIONS = (
    "adult_fiction",
    "adult_nonfiction",
    "junior_fiction",
    "junior_nonfiction",
    "audio",
    "dvd",
    "periodical",
)
COLLECTION_SHARES = (0.30, 0.28, 0.18, 0.09, 0.05, 0.06, 0.04)
COLLECTION_DEMAND = (1.15, 0.62, 1.45, 0.75, 0.90, 1.30, 0.45)
ITEM_TYPES = ("book", "book", "book", "book", "audiobook", "dvd", "periodical")
LOAN_DAYS = np.array([21, 21, 21, 21, 21, 7, 7])
PRICES = (9.4, 15.8, 6.9, 8.6, 19.5, 12.2, 4.6)
MEMBER_TYPES = ("adult", "junior", "student", "senior", "institution")
MEMBER_SHARES = (0.46, 0.25, 0.09, 0.185, 0.015)

# code, name, latitude, longitude, opened, share of demand, late evening (0 Monday), Sunday
BRANCHES: tuple[tuple[str, str, float, float, str, float, int | None, bool], ...] = (
    ("CEN", "Central Library", 52.9412, 0.4885, "1934-05-12", 0.26, 3, True),
    ("HAR", "Harbour", 52.9507, 0.5021, "1971-09-04", 0.11, 1, False),
    ("NOR", "Northgate", 52.9633, 0.4790, "1958-03-22", 0.10, 3, False),
    ("RIV", "Riverside", 52.9321, 0.5110, "2009-06-15", 0.12, 2, True),
    ("EAS", "Eastfield", 52.9398, 0.5302, "1966-10-01", 0.08, 1, False),
    ("WES", "Westbrook", 52.9376, 0.4471, "1979-04-28", 0.07, None, False),
    ("MIL", "Mill Lane", 52.9214, 0.4913, "1988-11-19", 0.06, 3, False),
    ("PRI", "Priory Road", 52.9290, 0.4702, "1963-02-16", 0.055, None, False),
    ("CAS", "Castle Hill", 52.9461, 0.4633, "1952-07-05", 0.05, 1, False),
    ("OAK", "Oakwood", 52.9102, 0.5217, "1994-05-07", 0.045, None, False),
    ("SAL", "Saltmarsh", 52.9719, 0.5164, "", 0.03, None, False),
    ("FEN", "Fen End", 52.9015, 0.4389, "1983-09-10", 0.02, None, False),
)
CODES = tuple(b[0] for b in BRANCHES)
NEW_BRANCH, NEW_BRANCH_DAYS_AGO = CODES.index("SAL"), 610
REFURBISHED, REFURBISHED_DAYS_AGO = CODES.index("CAS"), (310, 240)

HOURS = np.array(
    [0] * 8 + [0.3, 0.8, 1.2, 1.15, 0.95, 0.9, 1.0, 1.15, 1.2, 0.95, 0.7, 0.5] + [0] * 4
)
WEEKDAYS = np.array([1.0, 1.05, 0.95, 1.0, 0.95, 1.35, 0.8])
MONTHS = np.array([1.06, 1.02, 1.0, 0.97, 0.93, 0.94, 1.08, 1.14, 1.0, 1.05, 1.03, 0.86])


@dataclass(frozen=True)
class Plan:
    """What sample to make: the same plan gives the same bytes."""

    seed: int
    end: date
    checkouts: int
    items: int
    members: int
    dirty: float

    @property
    def start(self) -> date:
        """The first day: three years back, to the day."""
        return self.end.replace(day=min(self.end.day, 28), year=self.end.year - YEARS) + timedelta(
            days=1 + self.end.day - min(self.end.day, 28)
        )

    @property
    def days(self) -> int:
        """Number of days of the sample."""
        return (self.end - self.start).days + 1

    @property
    def epoch(self) -> int:
        """The first day, counted from 1970-01-01."""
        return (self.start - date(1970, 1, 1)).days


@dataclass(frozen=True)
class Calendar:
    """When which branch is open. Arrays are (branch, day); one year follows the sample's end."""

    opens: Ints
    closes: Ints
    next_open: Ints
    demand: Floats
    term: Flags
    weekday: Ints


@dataclass(frozen=True)
class Stock:
    """Titles (short arrays) and copies (long arrays, one entry an item)."""

    title: Texts
    author: Texts
    isbn: Texts
    dewey: Texts
    language: Texts
    year: Ints
    collection_of_title: Ints
    title_of: Ints
    collection: Ints
    branch: Ints
    acquired: Ints
    withdrawn: Ints
    price: Ints
    demand: Floats

    @property
    def junior(self) -> Flags:
        """Which items are for children."""
        found: Flags = (self.collection == 2) | (self.collection == 3)
        return found


@dataclass(frozen=True)
class Members:
    """One entry a member; days count from the sample's first day and may be negative."""

    name: Texts
    email: Texts
    born: Ints
    area: Ints
    branch: Ints
    kind: Ints
    joined: Ints
    lapsed: Ints
    consent: Ints
    demand: Floats


# Calendar ----------------------------------------------------------------------------------------


def easter(year: int) -> date:
    """Easter Sunday (the Gregorian rule, as Butcher wrote it)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e, f = b // 4, b % 4, (b + 8) // 25
    h = (19 * a + b - d - (b - f + 1) // 3 + 15) % 30
    k = (32 + 2 * e + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


def closed_for_all(day: date) -> bool:
    """Whether every branch is closed: Christmas week and the bank holidays."""
    if (day.month, day.day) >= (12, 24) or (day.month, day.day) == (1, 1):
        return True
    if day in (easter(day.year) - timedelta(2), easter(day.year) + timedelta(1)):
        return True
    last_monday = day.weekday() == 0 and (day + timedelta(7)).month != day.month
    may_day = day.month == 5 and day.weekday() == 0 and day.day <= 7
    return may_day or (last_monday and day.month in (5, 8))


def in_term(day: date) -> bool:
    """Whether the schools of the county are in term."""
    spring = abs((day - easter(day.year)).days) <= 8
    when = (day.month, day.day)
    breaks = (((1, 1), (1, 4)), ((2, 12), (2, 20)), ((5, 26), (6, 2)), ((7, 21), (9, 3)),
              ((10, 23), (10, 31)), ((12, 20), (12, 31)))  # fmt: skip
    return not spring and not any(a <= when <= b for a, b in breaks)


def make_calendar(rng: np.random.Generator, plan: Plan) -> Calendar:
    """Opening hours and demand of each branch on each day."""
    days = [plan.start + timedelta(n) for n in range(plan.days + 400)]
    weekday = np.array([d.weekday() for d in days])
    closed = np.array([closed_for_all(d) for d in days])
    opens, closes = opening_hours(weekday)
    shut = np.broadcast_to(closed, opens.shape).copy()
    shut[NEW_BRANCH, : plan.days - NEW_BRANCH_DAYS_AGO] = True
    first, last = (plan.days - ago for ago in REFURBISHED_DAYS_AGO)
    shut[REFURBISHED, max(first, 0) : max(last, 0)] = True
    closes = np.where(shut, opens, closes)
    month = MONTHS[np.array([d.month - 1 for d in days])]
    growth = 1 + 0.055 * np.arange(len(days)) / 365
    noise = rng.lognormal(0, 0.07, len(days)) * rng.lognormal(0, 0.10, opens.shape)
    demand = np.array([b[5] for b in BRANCHES])[:, None] * month * growth * noise
    return Calendar(
        opens,
        closes,
        next_open_day(closes > opens),
        demand,
        np.array([in_term(d) for d in days]),
        weekday,
    )


def opening_hours(weekday: Ints) -> tuple[Ints, Ints]:
    """First and last hour of each branch on each day; equal where it is closed."""
    opens = np.full((len(BRANCHES), len(weekday)), 9)
    closes = np.full_like(opens, 17)
    for number, (_, _, _, _, _, share, late, sunday) in enumerate(BRANCHES):
        if share < 0.06:
            opens[number] = 10
            closes[number, weekday == 2] = 13  # small branches close on Wednesday afternoon
        if late is not None:
            closes[number, weekday == late] = 20
        closes[number, weekday == 5] = 16
        opens[number, weekday == 6] = 11
        closes[number, weekday == 6] = 15 if sunday else 11
    return opens, closes


def next_open_day(is_open: Flags) -> Ints:
    """For each branch and day: that day, or the first open one after it."""
    days = np.arange(is_open.shape[1])
    marked = np.where(is_open, days, is_open.shape[1] - 1)
    return np.minimum.accumulate(marked[:, ::-1], axis=1)[:, ::-1]


def hourly_demand(calendar: Calendar, days: int) -> Floats:
    """Weight of each (day, branch, hour), zero where closed. Shape (days, branches, 24)."""
    hours = np.arange(24)
    opens, closes = calendar.opens[:, :days, None], calendar.closes[:, :days, None]
    shape = np.where((hours >= opens) & (hours < closes), np.maximum(HOURS, 0.25), 0)
    weekday, term = calendar.weekday[:days], calendar.term[:days]
    after_school = (term & (weekday < 5))[:, None] & (hours >= 15) & (hours <= 17)
    holiday_morning = (~term & (weekday < 5))[:, None] & (hours >= 10) & (hours <= 12)
    shape = shape * np.where(after_school, 1.45, 1.0) * np.where(holiday_morning, 1.3, 1.0)
    weighted = shape * (calendar.demand[:, :days] * WEEKDAYS[weekday])[:, :, None]
    return np.ascontiguousarray(weighted.transpose(1, 0, 2))


# Stock -------------------------------------------------------------------------------------------


def copies_of_titles(items: int) -> Ints:
    """How many copies each title has, most wanted title first; they sum to `items`."""
    rank = np.arange(items)
    copies = 1 + np.floor(17 * (1 + rank * 20000 / items / 30) ** -0.62).astype(np.int64)
    total = np.cumsum(copies)
    titles = int(np.searchsorted(total, items)) + 1
    copies = copies[:titles]
    copies[-1] -= total[titles - 1] - items
    return copies


def make_stock(rng: np.random.Generator, plan: Plan) -> Stock:
    """Titles with a long tail of demand, and their copies in the branches."""
    copies = copies_of_titles(plan.items)
    titles = len(copies)
    of_title = rng.choice(len(COLLECTIONS), titles, p=np.array(COLLECTION_SHARES))
    dewey, title, language = make_titles(rng, of_title)
    year = plan.end.year - np.minimum(rng.gamma(1.5, 6.5, titles).astype(np.int64), 60)
    title_of = np.repeat(np.arange(titles), copies)
    rng.shuffle(title_of)
    collection = of_title[title_of]
    acquired = acquisition_days(rng, plan, year[title_of])
    branch = rng.choice(len(BRANCHES), plan.items, p=stock_shares())
    demand = item_demand(rng, copies, title_of, collection, branch)
    demand[(acquired > plan.days - 730) & (rng.random(plan.items) < 0.07)] = 0  # dead on arrival
    spread = rng.lognormal(0, 0.35, titles)[title_of]
    price = np.round(np.array(PRICES)[collection] * spread).astype(np.int64) * 100 + 99
    return Stock(
        title, authors(rng, titles), isbns(rng, of_title), dewey, language, year, of_title,
        title_of, collection, branch, acquired,
        withdrawal_days(rng, plan, acquired, demand), price, demand,
    )  # fmt: skip


def stock_shares() -> Floats:
    """The branches' shares of the stock: less uneven than their shares of the demand."""
    shares = np.array([b[5] for b in BRANCHES]) ** 0.8
    normed: Floats = shares / shares.sum()
    return normed


def acquisition_days(rng: np.random.Generator, plan: Plan, year: Ints) -> Ints:
    """When each item was bought: some weeks to years after publication, before the end."""
    published = (year - plan.start.year) * 365 - plan.start.timetuple().tm_yday
    lag = rng.integers(10, 350, len(year)) + (rng.random(len(year)) < 0.2) * rng.integers(
        0, 2500, len(year)
    )
    found: Ints = np.clip(
        published + lag, -365 * 30, plan.days - 20 - rng.integers(0, 200, len(year))
    )
    return found


def withdrawal_days(rng: np.random.Generator, plan: Plan, acquired: Ints, demand: Floats) -> Ints:
    """When an item was weeded: some of the old and little used ones, during the sample."""
    old = acquired < -365 * 4
    unwanted = demand < np.quantile(demand, 0.6)
    chance = np.where(old & unwanted, 0.22, 0.02)
    gone = rng.random(len(acquired)) < chance
    day = np.maximum(rng.integers(60, plan.days, len(acquired)), acquired + 30)
    found: Ints = np.where(gone & (day < plan.days), day, OUTSIDE)
    return found


def item_demand(
    rng: np.random.Generator, copies: Ints, title_of: Ints, collection: Ints, branch: Ints
) -> Floats:
    """How much each item is wanted: its title's rank (Zipf-Mandelbrot), collection and branch."""
    titles = len(copies)
    wanted = (30 * titles / 13000 + np.arange(titles)) ** -0.85
    taste = rng.lognormal(0, 0.22, (len(BRANCHES), len(COLLECTIONS)))
    demand: Floats = (wanted / copies)[title_of] * np.array(COLLECTION_DEMAND)[collection]
    demand *= taste[branch, collection] * rng.lognormal(0, 0.3, len(title_of))
    demand[rng.random(len(title_of)) < 0.06] = 0  # dead stock
    return demand


def isbns(rng: np.random.Generator, collection: Ints) -> Texts:
    """ISBN-13 with its check digit for books and audiobooks, nothing for the others."""
    digits = rng.integers(0, 10, (len(collection), 12))
    digits[:, :4] = (9, 7, 8, 1)
    check = (10 - digits @ np.array([1, 3] * 6) % 10) % 10
    number = digits @ 10 ** np.arange(12, 0, -1) + check
    found = np.full(len(collection), None, object)
    found[collection <= 4] = number[collection <= 4].astype(str)
    return found


def authors(rng: np.random.Generator, titles: int) -> Texts:
    """`Surname, First` of invented people; a few write much."""
    names = np.array([f"{s}, {f}" for s in words.SURNAMES for f in words.FIRST_NAMES], object)
    rng.shuffle(names)
    busy: Texts = names[(len(names) * rng.random(titles) ** 1.6).astype(np.int64)]
    return busy


# Titles ------------------------------------------------------------------------------------------


def fill(rng: np.random.Generator, count: int, *parts: str | list[str]) -> Texts:
    """`count` phrases: each part is fixed text or a list to draw from."""
    phrase = np.full(count, "", object)
    for part in parts:
        phrase = phrase + (part if isinstance(part, str) else pick(rng, part, count))
    return phrase


def pick(rng: np.random.Generator, options: list[str], count: int) -> Texts:
    """`count` draws from a list of texts."""
    return np.array(options, object)[rng.integers(0, len(options), count)]


def mixed(rng: np.random.Generator, count: int, *patterns: tuple[str | list[str], ...]) -> Texts:
    """`count` phrases, each after one of the patterns."""
    which = rng.integers(0, len(patterns), count)
    phrases = np.empty(count, object)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(which == number)
        phrases[rows] = [VOWEL.sub(r"\1n ", text) for text in fill(rng, len(rows), *pattern)]
    return phrases


def novels(rng: np.random.Generator, count: int) -> Texts:
    """Titles of novels and films."""
    w = words
    return mixed(
        rng, count, ("The ", w.ADJECTIVES, " ", w.NOUNS), ("The ", w.NOUNS, " of ", w.PLACES),
        ("The ", w.TRADES, "'s ", w.KIN), ("A ", w.NOUNS, " for ", w.SEASONS),
        (w.CRIMES, " at ", w.PLACES), ("The ", w.TRADES, " and the ", w.NOUNS),
        (w.SEASONS, " in ", w.PLACES), ("Beyond the ", w.ADJECTIVES, " ", w.NOUNS),
        ("What the ", w.TRADES, " Saw"), (w.NOUNS, ", ", w.NOUNS, " and ", w.NOUNS),
        ("The ", w.ADJECTIVES, " ", w.TRADES, " of ", w.PLACES),
        ("My ", w.ADJECTIVES, " ", w.NOUNS),
    )  # fmt: skip


def stories(rng: np.random.Generator, count: int) -> Texts:
    """Titles of children's books."""
    w = words
    return mixed(
        rng, count, (w.CHILDREN, " and the ", w.ADJECTIVES, " ", w.CREATURES),
        ("The ", w.CREATURES, " ", w.ANTICS), (w.CHILDREN, " and ", w.CHILDREN, " at ", w.PLACES),
        ("Goodnight, ", w.ADJECTIVES, " ", w.CREATURES), ("There's a ", w.CREATURES, " ", w.ANTICS),
        ("The ", w.CREATURES, "'s ", w.SEASONS), (w.CHILDREN, "'s ", w.ADJECTIVES, " ", w.NOUNS),
    )  # fmt: skip


def studies(rng: np.random.Generator, numbers: Ints) -> Texts:
    """Titles of books on the subjects with these numbers."""
    forms = pick(rng, words.ON_SUBJECTS, len(numbers))
    pairs = zip(forms, numbers, strict=True)
    texts = [form.format(words.SUBJECTS[number][1]) for form, number in pairs]
    return np.array([text[:1].upper() + text[1:] for text in texts], object)


def make_titles(rng: np.random.Generator, collection: Ints) -> tuple[Texts, Texts, Texts]:
    """Dewey number, title and language of each title, after its collection."""
    count = len(collection)
    dewey, title = np.full(count, None, object), np.empty(count, object)
    language = np.full(count, "eng", object)
    numbers = rng.integers(0, len(words.SUBJECTS), count)
    classes = np.array([number for number, _ in words.SUBJECTS], object)
    young = np.flatnonzero(collection == 3)
    numbers[young] = rng.choice(np.flatnonzero(np.isin(classes, words.FOR_CHILDREN)), len(young))
    for rows in (np.flatnonzero(collection == 1), young):
        dewey[rows] = classes[numbers[rows]]
        title[rows] = studies(rng, numbers[rows])
    grown = np.flatnonzero(np.isin(collection, (0, 4, 5)))
    title[grown] = novels(rng, len(grown))
    dewey[collection == 0] = "823.92"
    small = np.flatnonzero(collection == 2)
    title[small] = stories(rng, len(small))
    papers = np.flatnonzero(collection == 6)
    title[papers] = fill(rng, len(papers), "The ", words.PLACES, " ", words.PERIODICALS)
    translate(rng, title, language, np.flatnonzero(collection == 0))
    return dewey, title, language


def translate(rng: np.random.Generator, title: Texts, language: Texts, rows: Ints) -> None:
    """Give a twelfth of the rows a title in another language."""
    abroad = rows[rng.random(len(rows)) < 1 / 12]
    codes = pick(rng, list(words.FOREIGN), len(abroad))
    places = pick(rng, words.PLACES, len(abroad))
    draw = rng.integers(0, 60, len(abroad))
    language[abroad] = codes
    title[abroad] = [
        words.FOREIGN[code][n % len(words.FOREIGN[code])].format(place)
        for code, n, place in zip(codes, draw, places, strict=True)
    ]


# Members -----------------------------------------------------------------------------------------


def make_members(rng: np.random.Generator, plan: Plan) -> Members:
    """People with a home branch; a few borrow much, some have stopped."""
    count = plan.members
    area = rng.choice(len(words.AREAS), count, p=area_shares())
    kind = rng.choice(len(MEMBER_TYPES), count, p=np.array(MEMBER_SHARES))
    joined = np.minimum(
        plan.days - 5 - (rng.gamma(1.3, 900, count)).astype(np.int64), plan.days - 5
    )
    joined = np.where(area % 12 == NEW_BRANCH, np.maximum(joined, plan.days - 700), joined)
    stopped = np.maximum(joined + 120, rng.integers(-400, plan.days, count))
    lapsed = np.where(rng.random(count) < 0.24, stopped, OUTSIDE)
    consent = np.where(
        rng.random(count) < 0.58,
        np.clip(joined + rng.integers(0, 300, count), joined, None),
        OUTSIDE,
    )
    first, last = pick(rng, words.FIRST_NAMES, count), pick(rng, words.SURNAMES, count)
    number = (rng.permutation(count) + 1).astype(str).astype(object)
    email = np.array([n.lower() for n in first + "." + last], object) + number + "@example.org"
    demand = rng.gamma(0.75, 1, count) * np.array([1, 1.15, 0.7, 1.3, 2.5])[kind]
    return Members(
        first + " " + last, email, birthdays(rng, plan, kind), area, area % 12, kind,
        joined, lapsed, np.where(consent < plan.days, consent, OUTSIDE), demand,
    )  # fmt: skip


def area_shares() -> Floats:
    """Shares of the 16 areas: twelve have a branch, four more are served by one of those."""
    branch = np.array([b[5] for b in BRANCHES])
    shares = np.concatenate([branch, branch[:4] * 0.4])
    normed: Floats = shares / shares.sum()
    return normed


def birthdays(rng: np.random.Generator, plan: Plan, kind: Ints) -> Ints:
    """Day of birth by type of member, in days from the sample's first day."""
    youngest = np.array([18, 4, 17, 62, 20])[kind]
    oldest = np.array([62, 16, 27, 95, 60])[kind]
    age = youngest + (oldest - youngest) * rng.random(len(kind))
    found: Ints = plan.days - (age * 365.25).astype(np.int64)
    return found
