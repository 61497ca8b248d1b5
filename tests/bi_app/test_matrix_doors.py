"""The matrix through the doors that have a network in between: the REST API, and downloads.

The cells are those of matrix.yml; the servers are the real ones, on the rows of test_matrix.py.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bi_app.api.rest.measures import known
from bi_app.api.tables import TABLES
from bi_app.auth import sessions
from bi_app.auth.accounts import create_account
from bi_app.auth.roles import may_open
from tests.bi_app import fix_api
from tests.bi_app.fix_api import UNBOUND
from tests.bi_app.fix_app import PASSWORD, Served, served_on
from tests.bi_app.test_matrix import (
    CELLS,
    MATRIX,
    OWN,
    RULES,
    SEES,
    VIEWERS,
    columns_of,
    expected,
    filled,
)  # fmt: skip
from tests.bi_app.test_people import execute
from tests.fix_warehouse import NONE, use
from warehouse.access import ROLES, acting_as

__all__ = ["filled"]


@pytest.fixture(scope="module")
def peopled(filled: str) -> str:
    """The database of the matrix with an account a role."""
    use(filled)
    execute("update gold.library_fine_months set kind = 'charged'")  # of the kinds that there are
    for role, viewer in VIEWERS.items():
        create_account(viewer.user, role, viewer.role, viewer.branches, viewer.member_key, PASSWORD)
    use(NONE)
    return filled


@pytest.fixture(scope="module")
def rest(peopled: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with fix_api.serving(peopled, tmp_path_factory.mktemp("rest"), **UNBOUND) as served:
        yield served


@pytest.fixture(scope="module")
def callers(rest: Served) -> Iterator[dict[str, httpx.Client]]:
    """A client of the API a role, signed in."""
    with fix_api.clients(rest, {role: v.user for role, v in VIEWERS.items()}) as made:
        yield made


@pytest.fixture(scope="module")
def desk(peopled: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app."""
    with served_on(peopled, tmp_path_factory.mktemp("desk")) as served:
        yield served


@pytest.fixture(scope="module")
def cookies(peopled: str, desk: Served) -> dict[str, str]:
    """The cookie of a signed-in person a role, as a browser sends it."""
    from tests.bi_app.client import Client

    found = {}
    for role, viewer in VIEWERS.items():
        client = Client(desk.base)
        assert client.sign_in(viewer.user, PASSWORD).status_code == 303
        found[role] = client.http.cookies[sessions.COOKIE]
        client.close()
    return found


@pytest.fixture
def download(desk: Served) -> Callable[..., httpx.Response]:
    """Fetch a file as somebody with a cookie."""

    def fetch(cookie: str | None, path: str, **asked: str) -> httpx.Response:
        head = {"Cookie": f"{sessions.COOKIE}={cookie}"} if cookie is not None else {}
        address = f"{desk.base}/download/{path}?{urlencode(asked)}"
        return httpx.get(address, headers=head, timeout=60)

    return fetch


def read_csv(body: bytes) -> tuple[list[str], list[list[str]]]:
    head, *rows = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
    return head, rows


def listed(table: str, role: str) -> list[str]:
    """The columns that the catalogue lists: those of the matrix but for a key that is made up."""
    return [c for c in columns_of(table, role) if c != "content_key"]


# The REST API -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "viewer"), CELLS)
def test_by_the_api(filled: str, callers: dict[str, httpx.Client], table: str, viewer: str) -> None:
    use(filled)
    client, wanted = callers[viewer], expected(table, viewer)
    address = f"/datasets/{table}"
    doors = (address, f"{address}/rows", f"{address}/file.csv", f"{address}/file.xlsx")
    answers = {path: client.get(path) for path in doors}
    if wanted is None:  # what is not yours is not told from what is not there
        for path, answer in answers.items():
            assert (path, answer.status_code) == (path, 404)
            assert answer.json() == client.get(f"{address}_x").json()
        return
    assert {a.status_code for a in answers.values()} == {200}
    seen = listed(table, viewer)
    assert [c["name"] for c in answers[address].json()["columns"]] == seen
    rows = answers[f"{address}/rows"].json()["items"]
    assert len(rows) == wanted
    assert all(sorted(r) == sorted(seen) for r in rows)
    head, saved = read_csv(answers[f"{address}/file.csv"].content)
    assert (head, len(saved)) == (seen, wanted)


@pytest.mark.parametrize("table", MATRIX["private"])
def test_a_private_column_is_neither_shown_nor_asked_for_by_the_api(
    filled: str, callers: dict[str, httpx.Client], table: str
) -> None:
    for role in ("admin", "librarian"):
        if SEES[table, role] == "refused":
            continue
        for column in MATRIX["private"][table]:
            for asked in (
                {"columns": column}, {"filter": f"{column}:eq:x"}, {"filter": f"{column}:null:true"}
            ):  # fmt: skip
                answer = callers[role].get(f"/datasets/{table}/rows", params=asked)
                assert (column, asked, answer.status_code) == (column, asked, 422)
                assert column not in answer.json()["known"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", MATRIX["closed"])
def test_what_is_closed_is_not_there_for_the_api(
    callers: dict[str, httpx.Client], table: str, role: str
) -> None:
    for path in ("", "/rows", "/file.csv"):
        assert callers[role].get(f"/datasets/{table}{path}").status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_the_catalogue_lists_what_the_matrix_lets_a_role_see(
    callers: dict[str, httpx.Client], role: str
) -> None:
    listed = {d["name"] for d in callers[role].get("/datasets?limit=500").json()["items"]}
    assert listed == {
        table for table, who in SEES if who == role and SEES[table, role] != "refused"
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_measure_is_refused_where_postgresql_refuses_one_of_its_tables(
    filled: str, callers: dict[str, httpx.Client], role: str
) -> None:
    """403 where a table is not the role's; public twins stand in for members where there are."""
    use(filled)
    for name, one in known().items():
        if not one.made or one.page == "overview":
            continue
        refused = [t for t in one.reads(VIEWERS[role]) if SEES[t, role] == "refused"]
        twins = all(f"{t}_public" in RULES for t in refused)
        answer = callers[role].get(f"/measures/{name}")
        wanted = {200, 404} if twins else {403}
        assert answer.status_code in wanted, (name, answer.text)
        if answer.status_code == 403:
            assert answer.headers["content-type"] == "application/problem+json"
            assert callers[role].get(f"/measures/{name}/file.csv").status_code == 403
            question = text(f"select 1 from {refused[0]}")
            with acting_as(VIEWERS[role]) as connection, pytest.raises(ProgrammingError):
                connection.execute(question)


# Downloads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "viewer"), CELLS)
def test_by_a_download(
    filled: str, cookies: dict[str, str], download: Callable[..., httpx.Response],
    table: str, viewer: str,
) -> None:  # fmt: skip
    use(filled)
    answer = download(cookies[viewer], "explore/rows.csv", table=table)
    wanted = expected(table, viewer)
    if "explore" not in MATRIX["members_pages"] and viewer == "member":
        assert answer.status_code == 403
        return
    if wanted is None:
        assert answer.status_code == 404
        assert OWN not in answer.text
        return
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    head, rows = read_csv(answer.content)
    assert (head, len(rows)) == (listed(table, viewer), wanted)


def test_a_file_goes_by_the_cookie_and_by_nothing_else(
    filled: str, cookies: dict[str, str], download: Callable[..., httpx.Response]
) -> None:
    """The same address for one after the other: each the own rows, whoever asked before."""
    table = "gold.library_circulation"
    for _ in range(2):
        for role, wanted in (("admin", 4), ("librarian", 2), ("member", None)):
            answer = download(cookies[role], "explore/rows.csv", table=table)
            if wanted is None:
                assert answer.status_code == 403
            else:
                assert len(read_csv(answer.content)[1]) == wanted
    both = f"{cookies['librarian']}; {sessions.COOKIE}={cookies['admin']}"
    answer = download(both, "explore/rows.csv", table=table)  # two at once: one of them, not a sum
    assert len(read_csv(answer.content)[1]) in (2, 4)


def test_a_file_needs_a_good_cookie(
    filled: str, desk: Served, cookies: dict[str, str], download: Callable[..., httpx.Response]
) -> None:
    good = cookies["admin"]
    forged = good[:-2] + ("AA" if not good.endswith("AA") else "BB")
    guesses = {
        "missing": None, "empty": "", "forged": forged, "cut": good[:-1], "longer": good + "A",
        "another's number": VIEWERS["admin"].user, "injected": "' or 1=1 --", "not ascii": "%00%FF",
        "large": "x" * 4000,
    }  # fmt: skip
    for page in ("explore/rows.csv", "overview/daily.csv", "sign_ins/sessions.xlsx"):
        for name, cookie in guesses.items():
            answer = download(cookie, page, table="gold.library_circulation")
            assert (name, answer.status_code) == (name, 302)
            assert answer.headers["location"] == "/sign-in"
            assert answer.content == b""


@pytest.mark.parametrize("end", ["ended", "expired", "disabled"])
def test_a_file_needs_a_session_that_lives(
    filled: str, desk: Served, download: Callable[..., httpx.Response], end: str
) -> None:
    from tests.bi_app.client import Client

    use(filled)
    email = f"{end}@matrix.example"
    create_account(email, end, "librarian", (OWN,), None, PASSWORD)
    client = Client(desk.base)
    client.sign_in(email, PASSWORD)
    cookie = client.http.cookies[sessions.COOKIE]
    client.close()
    asked = {"table": "gold.library_circulation"}
    assert download(cookie, "explore/rows.csv", **asked).status_code == 200
    whose = "account_id = (select account_id from app.accounts where email = %s)"
    change = {
        "ended": f"update app.sessions set ended_at = now() where {whose}",
        "expired": f"update app.sessions set expires_at = now() where {whose}",
        "disabled": "update app.accounts set disabled_at = now() where email = %s",
    }[end]
    execute(change, email)
    assert download(cookie, "explore/rows.csv", **asked).status_code == 302


@pytest.mark.parametrize("role", ROLES)
def test_a_page_that_is_not_the_role_s_saves_nothing(
    filled: str, cookies: dict[str, str], download: Callable[..., httpx.Response], role: str
) -> None:
    for page in TABLES:
        status = download(cookies[role], f"{page}/no_such_table.csv").status_code
        assert (page, status) == (page, 404 if may_open(f"/{page}", role) else 403)  # type: ignore[arg-type]
        if role == "member" and page not in MATRIX["members_pages"]:
            assert status == 403
