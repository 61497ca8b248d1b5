"""An Evergreen of the tests' own: the parts of its PostgreSQL tables that matter here, and a year.

Names, types and inheritance are those of Evergreen 3; invented people, seeded. Chains of renewals,
aged circulations, use in the house, deleted and lost copies, copies without a record, payments of
every kind, holds on copies and on titles.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

import psycopg

SCHEMA = """
create schema actor; create schema action; create schema asset; create schema biblio;
create schema metabib; create schema money; create schema permission; create schema reporter;
create table actor.org_unit (id int primary key, parent_ou int, ou_type int not null,
    shortname text not null unique, name text not null unique, email text);
create table permission.grp_tree (id int primary key, name text not null unique);
create table actor.usr_address (id int primary key, usr int, street1 text, post_code text);
create table actor.usr (id int primary key, card int, profile int not null, usrname text not null,
    email text, passwd text, first_given_name text not null, family_name text not null, dob date,
    home_ou int not null, mailing_address int, billing_address int, juvenile bool not null
    default false, deleted bool not null default false, alert_message text,
    create_date timestamptz not null default now(), expire_date timestamptz not null);
create table actor.card (id int primary key, usr int, barcode text);
create table actor.usr_setting (id int primary key, usr int not null, name text not null,
    value text not null);
create table biblio.record_entry (id bigint primary key, marc text, deleted bool);
create table biblio.monograph_part (id int primary key, record bigint not null);
create table metabib.metarecord (id bigint primary key, master_record bigint);
create table asset.copy_location (id int primary key, name text not null);
create table asset.call_number (id bigint primary key, record bigint not null, owning_lib int,
    label text not null, label_class bigint not null default 1);
create table asset.copy (id bigint primary key, circ_lib int not null, call_number bigint not null,
    create_date timestamptz default now(), edit_date timestamptz default now(), status int not null,
    location int not null default 1, price numeric(8,2), barcode text not null, circ_modifier text,
    dummy_title text, dummy_author text, dummy_isbn text, deleted bool not null default false,
    status_changed_time timestamptz, active_date timestamptz, alert_message text);
create table reporter.materialized_simple_record (id bigint primary key, title text, author text,
    publisher text, pubdate text, isbn text[], issn text[]);
create view reporter.super_simple_record as select * from reporter.materialized_simple_record;
create table money.billable_xact (id bigint primary key, usr int not null,
    xact_start timestamptz not null default now(), xact_finish timestamptz, unrecovered bool);
create table money.grocery (billing_location int not null, note text)
    inherits (money.billable_xact);
create table money.billing (id bigint primary key, xact bigint not null,
    billing_ts timestamptz not null, voided bool not null default false,
    amount numeric(6,2) not null, billing_type text, note text);
create table money.payment (id bigint primary key, xact bigint not null,
    payment_ts timestamptz not null, voided bool not null default false,
    amount numeric(6,2) not null, note text);
create table money.cash_payment (accepting_usr int) inherits (money.payment);
create table money.forgive_payment (accepting_usr int) inherits (money.payment);
create table money.account_adjustment (accepting_usr int) inherits (money.payment);
create view money.payment_view as select p.*, c.relname as payment_type
    from money.payment p join pg_class c on p.tableoid = c.oid;
create table action.circulation (target_copy bigint not null, circ_lib int not null,
    circ_staff int, checkin_lib int, due_date timestamptz, checkin_time timestamptz,
    create_time timestamptz not null default now(), stop_fines text, checkin_scan_time timestamptz,
    parent_circ bigint) inherits (money.billable_xact);
alter table action.circulation add primary key (id);
create table action.aged_circulation (usr_post_code text, usr_birth_year int,
    like action.circulation);
alter table action.aged_circulation drop column usr;
create table action.in_house_use (id serial primary key, item bigint not null, staff int not null,
    org_unit int not null, use_time timestamptz not null);
create table action.hold_request (id int primary key, request_time timestamptz not null,
    capture_time timestamptz, fulfillment_time timestamptz, expire_time timestamptz,
    cancel_time timestamptz, cancel_cause int, cancel_note text, target bigint not null,
    current_copy bigint, usr int not null, pickup_lib int not null, hold_type text not null,
    phone_notify text, frozen bool not null default false, shelf_time timestamptz);
"""
UNITS = [(1, None, 1, "CONS", "Consortium"), (4, 1, 3, "BR1", "Branch 1"),
         (5, 1, 3, "BR2", "Branch 2"), (6, 1, 3, "BM1", "Bookmobile")]  # fmt: skip
LAST = ["Quillfeather", "Østergaard", "Vandersloot", "Mbekweni"]
PRIVATE = ["-Priv", "@example.org", "CARD9900", "login-", "Elm Street", "555-", "Zsófia"]
DAY = dt.timedelta(days=1)


@dataclass
class Evergreen:
    """A running Evergreen database: `run` changes it, `ask` counts in it (in London's time)."""

    url: str

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url) as opened:
            for statement in statements:
                opened.execute(statement.encode())

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as opened:
            opened.execute("set timezone = 'Europe/London'")
            return opened.execute(query.encode()).fetchall()

    def fill(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        with psycopg.connect(self.url) as opened, opened.cursor() as cursor:
            for place, values in rows.items():
                marks = ", ".join(["%s"] * len(values[0]))
                cursor.executemany(f"insert into {place} values ({marks})", values)


def make(url: str, seed: int = 1) -> Evergreen:
    """An Evergreen in an empty database, filled."""
    found = Evergreen(url)
    found.run(SCHEMA)
    made = Making(random.Random(seed))
    found.fill(made.rows())
    return found


class Making:
    """The rows of an Evergreen."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=2)
        self.circ: list[tuple[Any, ...]] = []
        self.aged: list[tuple[Any, ...]] = []
        self.used: list[tuple[Any, ...]] = []

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        for copy in range(1, 301):
            self._life(copy)
        return {
            "actor.org_unit (id, parent_ou, ou_type, shortname, name)": UNITS,
            "permission.grp_tree": [(1, "Users"), (2, "Patrons"), (3, "Student Patrons")],
            "actor.usr_address": [(n, n, f"{n} Elm Street", f"9{n:04}-12") for n in range(1, 201)],
            "actor.usr (id, card, profile, usrname, email, first_given_name, family_name, dob,"
            " home_ou, mailing_address, juvenile, deleted, create_date, expire_date)":
                [self._person(n) for n in range(1, 201)],
            "actor.card": [(n, n, f"CARD9900{n:07}") for n in range(1, 201)],
            "actor.usr_setting": [(n, n, "history.circ.retention_start", '"2025-02-03"')
                                  for n in range(1, 40)],
            "asset.copy_location": [(1, "Stacks"), (2, "Juvenile Fiction")],
            "asset.call_number": [(-1, -1, 1, "UNCATALOGED", 1)] + [
                (n, n, 4, [f"{n:03}.{n} ABC", "QA 76.9", "J 398.2 X", "PZ7 100"][n % 4],
                 3 if n % 4 in (1, 3) else 2) for n in range(1, 101)],
            "reporter.materialized_simple_record": [
                (n, f"Title {n} 日本", LAST[n % 4], "Press", ["2011", "c1999.", None][n % 3],
                 ["9780140449136"] if n % 2 else None, None) for n in range(1, 101)],
            "asset.copy (id, circ_lib, call_number, create_date, edit_date, status, location,"
            " price, barcode, circ_modifier, dummy_title, deleted, status_changed_time,"
            " active_date)":
                [self._copy(n) for n in range(1, 301)],
            "action.circulation (id, usr, target_copy, circ_lib, xact_start, create_time, due_date,"
            " checkin_time, checkin_scan_time, checkin_lib, stop_fines, parent_circ)": self.circ,
            "action.aged_circulation (usr_birth_year, id, target_copy, circ_lib, xact_start,"
            " create_time, due_date, checkin_time, checkin_scan_time, checkin_lib, stop_fines,"
            " parent_circ)": self.aged,
            "action.in_house_use (item, staff, org_unit, use_time)": self.used,
            **self._holds(), **self._money(),
        }  # fmt: skip

    def _person(self, n: int) -> tuple[Any, ...]:
        name = f"{LAST[n % 4]}-Priv{n}"
        born = None if n % 17 == 0 else dt.date(1935 + n % 70, 1 + n % 12, 1 + n % 28)
        return (n, n, 2 + (n % 9 == 0), f"login-{n}", f"{name}@example.org", "Zsófia", name, born,
                4, None if n % 12 == 0 else n, n % 8 == 0, n % 25 == 0, self.now - n * 2 * DAY,
                self.now + 300 * DAY)  # fmt: skip

    def _copy(self, n: int) -> tuple[Any, ...]:
        precat = n % 50 == 0
        status = 3 if n % 21 == 0 else 13 if n % 41 == 0 else 0
        return (n, 4 + n % 3, -1 if precat else 1 + n % 100, self.now - (500 + n) * DAY,
                self.now - 10 * DAY, status, 1 + n % 2, None if n % 3 else 9.5, f"3330{n:06}",
                "book", f"Brief {n}" if precat else None, n % 29 == 0, self.now - 15 * DAY,
                None if n % 7 else self.now - (490 + n) * DAY)  # fmt: skip

    def _life(self, copy: int) -> None:
        """A year of a copy: loans with chains of renewals, use in the house."""
        at = self.now - self.chance.randint(300, 400) * DAY
        while True:
            at += dt.timedelta(seconds=self.chance.randint(86400, 86400 * 40))
            if at > self.now - 4 * DAY:
                return
            lib = self.chance.choice([4, 5, 6])
            if self.chance.random() < 0.1:
                self.used.append((copy, 1, lib, at))
            else:
                at = self._loan(at, lib, copy, self.chance.randint(1, 200))

    def _loan(self, at: dt.datetime, lib: int, copy: int, person: int) -> dt.datetime:
        parent, renewals = None, self.chance.choice([0, 0, 1, 2])
        aged = self.chance.random() < 0.2
        for step in range(renewals + 1):
            number = len(self.circ) + len(self.aged) + 1
            length = dt.timedelta(seconds=self.chance.randint(3600, 86400 * 20))
            end: dt.datetime | None = at + length
            why: str | None = "RENEW" if step < renewals else "CHECKIN"
            if at + length > self.now - DAY:
                end, why, aged = None, None, False
            circ = (number, person, copy, lib, at, at, at + 21 * DAY, end, end,
                    lib if end else None, why, parent)  # fmt: skip
            if aged:
                self.aged.append((1970, circ[0], *circ[2:]))
            else:
                self.circ.append(circ)
            if end is None:
                return self.now
            at, parent = end, number
        return at + dt.timedelta(hours=1)

    def _holds(self) -> dict[str, list[tuple[Any, ...]]]:
        holds = []
        for n in range(1, 121):
            placed = self.now - (30 + n) * DAY
            kind = "TCVT"[n % 4]
            done = placed + 3 * DAY if n % 3 == 0 else None
            gone = placed + 4 * DAY if n % 3 == 1 else None
            shelf = placed + 2 * DAY if n % 6 == 0 or n % 6 == 5 else None
            holds.append((n, placed, done, None, gone, 2 if gone and n % 2 else 6 if gone else None,
                          1 + n % 100, n if shelf else None, 1 + n % 200, 5, kind, n % 10 == 0,
                          shelf, f"555-{n}"))  # fmt: skip
        return {"action.hold_request (id, request_time, fulfillment_time, expire_time, cancel_time,"
                " cancel_cause, target, current_copy, usr, pickup_lib, hold_type, frozen,"
                " shelf_time, phone_notify)": holds}  # fmt: skip

    def _money(self) -> dict[str, list[tuple[Any, ...]]]:
        first = [c[0] for c in self.circ[:90]]
        bills = [(n, xact, self.now - n * DAY, n % 10 == 0, -1 if n % 13 == 0 else n / 4, "Overdue")
                 for n, xact in enumerate([*first, 900001], 1)]  # fmt: skip
        paid = [(n, xact, self.now - n * DAY, n % 15 == 0, 0.25) for n, xact in enumerate(first, 1)]
        into = "(id, xact, payment_ts, voided, amount)"
        return {
            "money.grocery (id, usr, billing_location)": [(900001, 7, 6)],
            "money.billing (id, xact, billing_ts, voided, amount, billing_type)": bills,
            f"money.cash_payment {into}": paid[:50],
            f"money.forgive_payment {into}": paid[50:70],
            f"money.account_adjustment {into}": paid[70:],
        }
