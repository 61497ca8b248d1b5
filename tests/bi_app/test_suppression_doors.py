"""One person alone in an area: not to be found through the API, nor through a download.

The small library of tests/warehouse/test_lattice.py, published for good and read over HTTP. What a
door tells is first held against the published table, then given to the attack of
tests/warehouse/attack.py; then each way of asking is tried that could tell more than its rows.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bi_app.auth.accounts import create_account
from bi_app.models import store
from tests.bi_app import fix_api
from tests.bi_app.client import Client
from tests.bi_app.fix_api import UNBOUND
from tests.bi_app.fix_app import PASSWORD, Served
from tests.fix_warehouse import NONE, copied, use
from tests.warehouse import test_lattice
from tests.warehouse.attack import given_away
from tests.warehouse.test_lattice import ALONE, BRANCHES, lend, settled, tell
from warehouse.database import connect

ADMIN, LIBRARIAN, MEMBER = (f"{who}@town.example" for who in ("admin", "librarian", "member"))
GROUPS, MONTHS = "gold.library_member_groups", "gold.library_member_months"
COUNTS = {GROUPS: "active", MONTHS: "borrowers"}
LONE = {"area": "A9", "kind": "institution"}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def town(template: str) -> Iterator[str]:
    """The database of the small library, its counts published."""
    with copied("carrel_town", template) as name:
        use(name)
        with connect() as connection:
            tell(settled(connection))
        create_account(ADMIN, "Admin", "admin", password=PASSWORD)
        create_account(LIBRARIAN, "Lin", "librarian", BRANCHES[:1], None, PASSWORD)
        create_account(MEMBER, "Mo", "member", (), ALONE, PASSWORD)
        use(NONE)
        yield name


@pytest.fixture(scope="module")
def served(town: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with fix_api.serving(town, tmp_path_factory.mktemp("town"), **UNBOUND) as found:
        yield found


@pytest.fixture(scope="module")
def clients(served: Served) -> Iterator[dict[str, httpx.Client]]:
    with fix_api.clients(served, {email: email for email in (ADMIN, LIBRARIAN, MEMBER)}) as made:
        yield made


@pytest.fixture
def at_town(town: str) -> Iterator[str]:
    use(town)
    store.forget()
    yield town
    store.forget()
    use(NONE)


def published(table: str) -> Rows:
    """The table as its owner reads it."""
    with connect() as connection:
        found: Rows = test_lattice.table(connection, table.removeprefix("gold."))
    return found


def as_json(rows: Rows) -> Rows:
    found: Rows = json.loads(json.dumps(rows, default=str))
    return sorted(found, key=str)


def all_rows(client: httpx.Client, table: str, limit: int = 500, **asked: str) -> Rows:
    """Every row, page by page; no cursor holds a count."""
    found: Rows = []
    after: dict[str, str] = {}
    while True:
        answer = client.get(f"/datasets/{table}/rows", params={"limit": limit, **asked, **after})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        found += told["items"]
        if told["next"] is None:
            return found
        after = {"after": parse_qs(urlsplit(told["next"]).query)["after"][0]}
        key = json.loads(base64.urlsafe_b64decode(after["after"] + "=="))
        assert key == [str(v) for v in list(found[-1].values())[: len(key)]]


def withheld(table: str) -> Rows:
    return [r for r in published(table) if r["suppressed"]]


def test_the_person_is_in_the_library_and_alone(at_town: str) -> None:
    for dimension, category in LONE.items():
        hidden = [r for r in withheld(GROUPS) if r["category"] == category]
        assert len(hidden) > 3, dimension
        assert all(r["active"] is None for r in hidden)


@pytest.mark.parametrize("table", COUNTS)
def test_the_api_tells_what_is_published_and_each_role_the_same(
    at_town: str, clients: dict[str, httpx.Client], table: str
) -> None:
    wanted = as_json(published(table))
    seen = set(wanted[0])
    for email in (ADMIN, LIBRARIAN):
        found = all_rows(clients[email], table, limit=7)
        assert as_json(found) == [{k: r[k] for k in found[0]} for r in wanted]
        assert seen - set(found[0]) <= {"_load_id"}
        file = clients[email].get(f"/datasets/{table}/file.csv").text.lstrip("\ufeff")
        saved = list(csv.DictReader(io.StringIO(file, newline="")))
        assert sorted(r[COUNTS[table]] for r in saved) == sorted(
            "" if r[COUNTS[table]] is None else str(r[COUNTS[table]]) for r in wanted
        )
    assert clients[MEMBER].get(f"/datasets/{table}/rows").status_code == 404


def test_nobody_is_given_away_by_what_the_api_tells(
    at_town: str, clients: dict[str, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def table(_: Any, name: str) -> Rows:
        rows = all_rows(clients[LIBRARIAN], f"gold.{name}")
        dates = ("quarter", "month")
        return [
            {k: dt.date.fromisoformat(v) if k in dates else v for k, v in r.items()} for r in rows
        ]

    with connect() as connection:
        monkeypatch.setattr(test_lattice, "table", table)
        knowledge, truth, hidden = test_lattice.learned(connection)
    alone = [n for n in hidden if n[-1] in LONE.values() and truth[n] == 1]
    assert len(alone) > 8
    assert given_away(knowledge, truth, 5, alone) == []


@pytest.mark.parametrize("table", COUNTS)
def test_a_filter_finds_no_withheld_count(
    at_town: str, clients: dict[str, httpx.Client], table: str
) -> None:
    count, client = COUNTS[table], clients[ADMIN]
    hidden = as_json(withheld(table))
    keys = [{k: r[k] for k in ("quarter", "dimension", "category", "month") if k in r}
            for r in hidden]  # fmt: skip

    def found(*filters: str) -> Rows:
        return all_rows(client, table, filter=list(filters))  # type: ignore[arg-type]

    def among(rows: Rows) -> bool:
        return any(all(r[k] == v for k, v in key.items()) for r in rows for key in keys)

    for asked in ("ge:0", "lt:5", "le:1000000", "ne:0", "eq:1", "eq:2", "like:%", "null:false"):
        assert not among(found(f"{count}:{asked}")), asked
    null = found(f"{count}:null:true")
    assert {str([r[k] for k in keys[0]]) for r in null} >= {str([*k.values()]) for k in keys}
    for key in keys[:5]:
        named = [f"{k}:eq:{v}" for k, v in key.items()]
        assert found(*named, f"{count}:ge:0") == []
        assert len(found(*named)) == 1


def test_an_order_tells_nothing_of_what_is_withheld(at_town: str, doors: str) -> None:
    """A file in the order of the counts: the withheld ones come last, by their key."""
    for email in (ADMIN, LIBRARIAN):
        person = Client(doors)
        assert person.sign_in(email, PASSWORD).status_code == 303
        for table, count in COUNTS.items():
            for down in ("", "1"):
                asked = {"table": table, "sort": count, "down": down}
                answer = person.http.get("/download/explore/rows.csv", params=asked)
                text = answer.text.lstrip("\ufeff")
                rows = list(csv.DictReader(io.StringIO(text, newline="")))
                wanted = as_json(published(table))
                assert len(rows) == len(wanted)
                none = [r[count] == "" for r in rows]
                assert none == sorted(none)
                key = [k for k in ("quarter", "dimension", "category", "month") if k in rows[0]]
                last = [[r[k] for k in key] for r in rows if r[count] == ""]
                assert last == sorted(last)
            asked = {"table": table, "by": count}
            answer = person.http.get("/download/explore/summary.csv", params=asked)
            assert "(none)" in answer.text
            asked = {"table": table, "by": "-", "measure": f"sum:{count}"}
            answer = person.http.get("/download/explore/summary.csv", params=asked)
            assert not re.search("[0-9]", answer.text), "a sum over what is withheld is withheld"
        person.close()


def test_a_lone_member_is_not_looked_for_by_what_is_private(
    at_town: str, clients: dict[str, httpx.Client]
) -> None:
    for column, value in (("area_code", "A9"), ("member_type", "institution"),
                          ("joined_on", "2024-02-03"), ("member_key", ALONE)):  # fmt: skip
        for path in ("rows", "file.csv"):
            for asked in ({"filter": f"{column}:eq:{value}"}, {"columns": column}):
                for table in ("silver.library_members", "silver.library_loan_events"):
                    answer = clients[ADMIN].get(f"/datasets/{table}/{path}", params=asked)
                    assert answer.status_code == 422, (column, path, asked)


def choices(client: httpx.Client) -> list[dict[str, str]]:
    """Every choice that the members' groups offer."""
    listed = {m["name"]: m for m in client.get("/measures").json()["items"]}
    offered = listed["members.groups"]["choices"]
    assert {"by", "quarter"} <= set(offered)
    return [{"by": b, "quarter": q} for b in offered["by"] for q in offered["quarter"]]


def test_no_measure_and_no_choice_tells_of_the_person(
    at_town: str, clients: dict[str, httpx.Client]
) -> None:
    cells = {(str(r["quarter"]), r["dimension"], r["category"]): r for r in published(GROUPS)}
    tried = 0
    for choice in choices(clients[ADMIN]):
        asked = {"choose": [f"{k}:{v}" for k, v in choice.items()]}
        answers = [
            clients[e].get("/measures/members.groups", params=asked) for e in (ADMIN, LIBRARIAN)
        ]
        rows = [a.json()["rows"] for a in answers]
        assert rows[0] == rows[1], "no role sees more"
        for row in rows[0]:
            cell = cells.get((choice["quarter"], choice["by"], row["name"]))
            if cell and cell["suppressed"]:
                tried += 1
                assert (row["value"], row["share"]) == (None, None), (choice, row)
            elif cell:
                assert row["value"] == cell["active"]
    assert tried > 10
    for name in ("active", "where", "cohorts", "figures", "groups"):
        assert clients[MEMBER].get(f"/measures/members.{name}").status_code == 403
        file = clients[MEMBER].get(f"/measures/members.{name}/file.csv")
        assert file.status_code == 403


def test_an_answer_stays_the_same_when_only_the_person_did_something(
    at_town: str, clients: dict[str, httpx.Client]
) -> None:
    """An ETag changes with a publication, and with what it told; not with what is withheld."""
    paths = [f"/measures/members.{n}" for n in ("active", "groups", "cohorts", "figures")]
    client = clients[LIBRARIAN]
    before = {p: client.get(p) for p in paths}
    rows = {table: all_rows(client, table) for table in COUNTS}
    with connect() as connection:
        quarter = dt.datetime(2024, 5, 7, 9)
        lend(connection, [(ALONE, quarter + dt.timedelta(days=n), "N") for n in range(4)])
    same = {p: client.get(p, headers={"If-None-Match": before[p].headers["etag"]}) for p in paths}
    assert {a.status_code for a in same.values()} == {304}
    with connect() as connection:
        tell(connection)  # a load, and a publication of what was told already
    assert {table: all_rows(client, table) for table in COUNTS} == rows
    for path in paths:
        assert client.get(path).json()["rows"] == before[path].json()["rows"]
