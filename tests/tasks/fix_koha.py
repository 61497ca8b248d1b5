"""A Koha of the tests' own: the parts of its MySQL tables that matter here, and two busy years.

Names, types and what may be null are those of Koha 23.05; invented people, seeded. What makes real
ones hard is there: zero dates, events written twice, borrowers and copies that were deleted (their
loans lose the link), borrowers that were forgotten, renewals without a branch, voided payments.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql

SCHEMA = """
create table branches (branchcode varchar(10) primary key, branchname longtext not null,
    branchaddress1 longtext, branchzip varchar(25), branchemail longtext, opacinfo longtext);
create table categories (categorycode varchar(10) primary key, description longtext,
    category_type varchar(1) not null default 'A');
create table {deleted}borrowers (borrowernumber int primary key, cardnumber varchar(32) unique,
    surname longtext, firstname mediumtext, email longtext, phone mediumtext, userid varchar(75),
    password varchar(60), address longtext, zipcode tinytext, dateofbirth date,
    branchcode varchar(10) not null default '', categorycode varchar(10) not null default '',
    dateenrolled date, dateexpiry date, privacy int not null default 1, borrowernotes longtext);
create table {deleted}biblio (biblionumber int primary key, frameworkcode varchar(4) not null
    default '', author longtext, title longtext, copyrightdate smallint,
    timestamp timestamp not null default current_timestamp());
create table {deleted}biblioitems (biblioitemnumber int primary key, biblionumber int not null,
    itemtype varchar(10), isbn longtext, publicationyear mediumtext);
create table {deleted}items (itemnumber int primary key, biblionumber int not null default 0,
    biblioitemnumber int not null default 0, barcode varchar(20), dateaccessioned date,
    homebranch varchar(10), price decimal(8,2), itemlost tinyint(1) not null default 0,
    itemlost_on datetime, withdrawn tinyint(1) not null default 0, withdrawn_on datetime,
    itemcallnumber varchar(255), cn_source varchar(10), ccode varchar(80), itype varchar(10),
    timestamp timestamp not null default current_timestamp());
create table statistics (datetime datetime, branch varchar(10), value double(16,4),
    type varchar(16), other longtext, itemnumber int, itemtype varchar(10), location varchar(80),
    borrowernumber int, ccode varchar(80), categorycode varchar(10), interface varchar(30),
    key timeidx (datetime), key itemnumber_idx (itemnumber));
create table {old_}issues (issue_id int primary key, borrowernumber int, issuer_id int,
    itemnumber int, date_due datetime, branchcode varchar(10), returndate datetime,
    lastreneweddate datetime, issuedate datetime, onsite_checkout int not null default 0,
    note longtext, key itemidx (itemnumber));
create table {old_}reserves (reserve_id int primary key, borrowernumber int, reservedate date,
    biblionumber int, branchcode varchar(10), cancellationdate date, reservenotes longtext,
    found varchar(1), timestamp timestamp not null default current_timestamp(), itemnumber int,
    waitingdate date, expirationdate date, suspend tinyint(1) not null default 0);
create table accountlines (accountlines_id int primary key, issue_id int, borrowernumber int,
    itemnumber int, date timestamp null, amount decimal(28,6), description longtext,
    credit_type_code varchar(80), debit_type_code varchar(80), status varchar(16),
    amountoutstanding decimal(28,6), note mediumtext, branchcode varchar(10));
"""
BRANCHES = ["CPL", "FFL", "MPL"]
CATEGORIES = [("PT", "Patron", "A"), ("K", "Kid", "C"), ("ST", "Student", "A"),
              ("IL", "Library", "I"), ("SX", "Statistics", "X")]  # fmt: skip
FIRST = ["Zsófia", "Bartholomew", "Anneliese", "Ngozi", "Xiulan", "Ragnhild"]
LAST = ["Quillfeather", "Østergaard", "Vandersloot", "Mbekweni", "Przybylska", "Tanizaki"]
TITLES = ["Kéz a kézben", "Die Spatzenfänger /", "日本の庭", "The Clock \U0001f600 Maker",
          "Comma, \"quote\"\nand line", ""]  # fmt: skip
PRIVATE = ["-Priv", "@example.org", "CARD2900", "login-", "Elm Street", "-phone", "Note on", *FIRST]
DAY = dt.timedelta(days=1)
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Koha:
    """A running Koha database: `run` changes it, `ask` counts in it."""

    url: str
    port: int
    database: str

    def _open(self) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=self.database,
            autocommit=True, init_command="set sql_mode = ''",
        )  # fmt: skip

    def run(self, *statements: str) -> None:
        with self._open() as opened, opened.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fill(self, rows: Rows) -> None:
        with self._open() as opened, opened.cursor() as cursor:
            for place, values in rows.items():
                marks = ", ".join(["%s"] * len(values[0]))
                cursor.executemany(f"insert into {place} values ({marks})", values)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self._open() as opened, opened.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def make(port: int, database: str, seed: int = 1) -> Koha:
    """A new Koha in the server at this port, filled."""
    with pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True) as opened:
        opened.cursor().execute(f"drop database if exists {database}")
        opened.cursor().execute(f"create database {database} character set utf8mb4")
    koha = Koha(f"mysql://root@127.0.0.1:{port}/{database}", port, database)
    koha.run(*_schema())
    made = Making(random.Random(seed))
    koha.fill(made.rows())
    return koha


def _schema() -> Iterator[str]:
    for statement in filter(str.strip, SCHEMA.split(";")):
        yield statement.format(deleted="", old_="")
        if "{" in statement:
            yield statement.format(deleted="deleted", old_="old_")


class Making:
    """The rows of a Koha."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = dt.datetime.now().replace(microsecond=0) - dt.timedelta(hours=2)
        self.statistics: list[tuple[Any, ...]] = []
        self.loans: list[tuple[Any, ...]] = []
        self.old: list[tuple[Any, ...]] = []
        self.gone_people, self.gone_items = set(range(281, 301)), set(range(571, 601))

    def rows(self) -> Rows:
        people = [self._person(n) for n in range(1, 301)]
        items = [self._item(n) for n in range(1, 601)]
        for n in range(1, 601):
            self._life(n)
        self._oddities()
        return {
            "branches (branchcode, branchname, branchzip)": [
                (c, f"{c} Library", f"AB{i} 1XY") for i, c in enumerate(BRANCHES)
            ],
            "categories (categorycode, description, category_type)": CATEGORIES,
            "borrowers": [p for p in people if p[0] not in self.gone_people],
            "deletedborrowers": [p for p in people if p[0] in self.gone_people],
            "biblio (biblionumber, author, title, copyrightdate)": self._titles(1, 190),
            "deletedbiblio (biblionumber, author, title, copyrightdate)": self._titles(191, 200),
            "biblioitems": self._editions(1, 190),
            "deletedbiblioitems": self._editions(191, 200),
            "items": [i for i in items if i[0] not in self.gone_items],
            "deleteditems": [i for i in items if i[0] in self.gone_items],
            "statistics (datetime, branch, value, type, itemnumber, borrowernumber)":
                self.statistics,
            "issues (issue_id, borrowernumber, itemnumber, date_due, issuedate, returndate)":
                self.loans,
            "old_issues (issue_id, borrowernumber, itemnumber, date_due, issuedate, returndate)":
                self.old,
            **self._holds(),
            "accountlines (accountlines_id, issue_id, borrowernumber, itemnumber, date, amount,"
            " credit_type_code, debit_type_code, status, branchcode, description)": self._money(),
        }  # fmt: skip

    def _person(self, n: int) -> tuple[Any, ...]:
        pick = self.chance.choice
        last, first, card = f"{pick(LAST)}-Priv{n}", pick(FIRST), f"CARD2900{n:08}"
        email = f"{first}.{last}@example.org".lower()
        born = "0000-00-00" if n % 50 == 0 else dt.date(1930 + n % 80, 1 + n % 12, 1 + n % 28)
        joined = None if n % 40 == 0 else self.now.date() - n * 3 * DAY
        category = CATEGORIES[min(n % 11, 4)][0] if n % 11 < 5 else "PT"
        return (
            n, card, last, first, email, f"0{n}-phone", f"login-{n}", "!", f"{n} Elm Street",
            None if n % 13 == 0 else f"CB{n % 9} 2QT", born, "" if n % 30 == 0 else pick(BRANCHES),
            category, joined, self.now.date() + 200 * DAY, n % 3, f"Note on {last}",
        )  # fmt: skip

    def _item(self, n: int) -> tuple[Any, ...]:
        pick, day = self.chance.choice, self.now.date()
        lost, out = int(n % 29 == 0), int(n % 31 == 0)
        numbers = [f"{n % 1000:03}.{n % 97} QUI", "QA76.9", "J 398.2 ABC", None, ""]
        number = numbers[n % 5]
        return (
            n, 1 + n % 200, 1 + n % 200, None if n % 23 == 0 else f"3100{n:08}",
            "0000-00-00" if n % 37 == 0 else day - (n % 1500 + 800) * DAY, pick(BRANCHES),
            None if n % 4 == 0 else n % 90 + 0.5, lost, None if n % 58 == 0 else day - 90 * DAY,
            out, day - 60 * DAY, number, "lcc" if number == "QA76.9" else "ddc",
            None if n % 6 == 0 else pick(["FIC", "NFIC", "REF"]), pick(["BK", "CD"]),
            self.now - 30 * DAY,
        )  # fmt: skip

    def _titles(self, first: int, last: int) -> list[tuple[Any, ...]]:
        return [
            (n, self.chance.choice(LAST), TITLES[n % 6] and f"{TITLES[n % 6]}",
             [1999, 2015, None, 0][n % 4])
            for n in range(first, last + 1)
        ]  # fmt: skip

    def _editions(self, first: int, last: int) -> list[tuple[Any, ...]]:
        numbers = ["9780140449136 | 0140449132", "0-14-044913-2 (pbk)", None, "none"]
        return [(n, n, "BK", numbers[n % 4], "c1987.") for n in range(first, last + 1)]

    def _life(self, item: int) -> None:
        """What happens to a copy in two years."""
        at = self.now - self.chance.randint(400, 730) * DAY
        while at < self.now - 3 * DAY:
            person = self.chance.randint(1, 300)
            branch = self.chance.choice(BRANCHES)
            at += dt.timedelta(seconds=self.chance.randint(3600, 86400 * 60))
            if at >= self.now - 3 * DAY:
                return
            if self.chance.random() < 0.15:
                self._event(at, branch, self.chance.choice(["localuse", "onsite_checkout"]), item)
                continue
            at = self._loan(at, branch, item, person)

    def _loan(self, at: dt.datetime, branch: str, item: int, person: int) -> dt.datetime:
        number = len(self.loans) + len(self.old) + 1
        forgotten = number % 17 == 0
        self._event(at, branch, "issue", item, None if forgotten else person)
        due, now = at + 21 * DAY, at
        for _ in range(self.chance.choice([0, 0, 1, 2])):
            if now + 14 * DAY < self.now:
                now += 14 * DAY + dt.timedelta(seconds=self.chance.randint(1, 9999))
                where = self.chance.choice([branch, None, "OPACRenew"])
                self._event(now, where, "renew", item, None if forgotten else person)
                due = now + 21 * DAY
        back = now + dt.timedelta(seconds=self.chance.randint(3600, 86400 * 20))
        if back > self.now - DAY:
            if item in self.gone_items or person in self.gone_people:
                back = self.now - DAY
            else:
                self.loans.append((number, person, item, due, at, None))
                return self.now
        self._event(back, branch, "return", item, None if forgotten else person)
        known = None if person in self.gone_people or forgotten else person
        there = None if item in self.gone_items else item
        self.old.append((number, known, there, due, at, back))
        return back + dt.timedelta(hours=1)

    def _event(self, at: Any, branch: Any, kind: str, item: Any, person: Any = None) -> None:
        self.statistics.append((at, branch, 0, kind, item, person))

    def _oddities(self) -> None:
        self.statistics += self.statistics[:40]  # written twice
        self._event(None, "CPL", "issue", 5, 5)
        self._event("0000-00-00 00:00:00", "CPL", "return", 5, 5)
        self._event(self.now - 9 * DAY, "CPL", "issue", None, 5)
        self._event(self.now - 9 * DAY, "CPL", "payment", None, 5)

    def _holds(self) -> Rows:
        day, running, old = self.now.date(), [], []
        for n in range(1, 401):
            placed = day - (n % 300 + 20) * DAY
            person, title = 1 + n % 280, None if n % 33 == 0 else 1 + n % 190
            if n % 5 == 0:
                running.append((n, person, placed, 1 + n % 190, "" if n % 30 == 0 else "CPL",
                                "W" if n % 10 == 0 else None, n if n % 20 == 0 else None,
                                placed if n % 10 == 0 else None, int(n % 15 == 0)))  # fmt: skip
                continue
            ended = [None, placed + 5 * DAY, "0000-00-00"][n % 3]
            expires = placed + 3 * DAY if n % 7 == 0 else None
            old.append((n, None if n % 21 == 0 else person, placed, title, "MPL", ended, "F",
                        self.now - DAY, n, None, expires))  # fmt: skip
        return {
            "reserves (reserve_id, borrowernumber, reservedate, biblionumber, branchcode, found,"
            " itemnumber, waitingdate, suspend)": running,
            "old_reserves (reserve_id, borrowernumber, reservedate, biblionumber, branchcode,"
            " cancellationdate, found, timestamp, itemnumber, waitingdate, expirationdate)": old,
        }

    def _money(self) -> list[tuple[Any, ...]]:
        lines = []
        for n in range(1, 301):
            who = None if n % 19 == 0 else 1 + n % 280
            at, item = self.now - n * DAY, None if n % 3 == 0 else 1 + n % 560
            credit, debit, status = [
                (None, "OVERDUE", "RETURNED"), ("PAYMENT", None, None), ("WRITEOFF", None, None),
                (None, "LOST", None), ("PAYMENT", None, "VOID"), (None, "VOID", None),
            ][n % 6]  # fmt: skip
            amount = n % 50 + 0.25
            branch = None if n % 9 == 0 else "FFL"
            lines.append((n, None, who, item, at, -amount if credit else amount, credit, debit,
                          status, branch, f"Fine of {LAST[n % 6]}"))  # fmt: skip
        return lines
