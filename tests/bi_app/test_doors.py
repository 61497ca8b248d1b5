"""Every door of every page, for every role, over real HTTP and real websockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bi_app import serve
from bi_app.auth import roles
from bi_app.auth.roles import PAGES, may_open, page_of
from deployments.postgres import Server
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS, PASSWORD, Served
from warehouse.errors import ConfigurationError

EVERYBODY = ("admin", "librarian", "member")
Visitor = Callable[..., Client]


def status_of(visit: Callable[[], Any]) -> int:
    """The status with which a websocket was refused; 101 when it opened."""
    try:
        visit().close()
    except InvalidStatus as refused:
        return refused.response.status_code
    return 101


@pytest.mark.parametrize("path", ["/nowhere", "/", "/overview2", "/ws", "", "//overview"])
def test_a_page_that_is_not_named_is_closed(path: str) -> None:
    assert not any(may_open(path, role) for role in EVERYBODY)  # type: ignore[arg-type]


def test_doors_belong_to_their_page() -> None:
    assert {page_of(f"/explore{d}") for d in ("", "/", "/ws", "/autoload.js", "/metadata")} == {
        "/explore"
    }


@pytest.mark.parametrize("page", list(PAGES))
@pytest.mark.parametrize("role", EVERYBODY)
def test_each_door_opens_for_its_roles_only(visitor: Visitor, page: str, role: str) -> None:
    client = visitor(role)
    allowed = role in PAGES[page].roles
    expected = 200 if allowed else 403
    assert client.http.get(page).status_code == expected
    assert client.http.get(f"{page}/metadata").status_code == expected
    script = f"{page}/autoload.js?bokeh-autoload-element=x"
    assert client.http.get(script).status_code == 404
    replayed = client.token("/overview")  # a good token, of a page that everyone may open
    assert status_of(lambda: client.socket(page, replayed)) == (101 if allowed else 403)
    if not allowed:
        assert "not yours to open" in client.http.get(page).text


@pytest.mark.parametrize("page", list(PAGES))
def test_a_stranger_is_sent_to_the_form_and_gets_no_socket(visitor: Visitor, page: str) -> None:
    stranger, token = visitor(), visitor("admin").token("/overview")
    answer = stranger.http.get(page)
    assert answer.status_code == 302
    assert "/sign-in?next=" in answer.headers["location"]
    assert stranger.http.get(f"{page}/metadata").status_code == 302
    assert status_of(lambda: stranger.socket(page, token)) == 403
    assert stranger.http.get("/download/overview/daily.csv").status_code == 302


def test_a_document_belongs_to_the_session_that_opened_it(visitor: Visitor) -> None:
    owner, thief = visitor("admin"), visitor("admin")
    token = owner.token("/overview")
    assert status_of(lambda: thief.socket("/overview", token)) == 403
    socket = owner.socket("/overview", token)
    socket.pull()
    assert status_of(lambda: thief.socket("/overview", token)) == 403
    socket.close()


def test_a_token_that_was_changed_is_refused(visitor: Visitor) -> None:
    client = visitor("admin")
    token = client.token("/overview")
    forged = ("A" if token[0] != "A" else "B") + token[1:]
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        client.socket("/overview", forged)


def test_another_origin_gets_no_socket(visitor: Visitor) -> None:
    client = visitor("admin")
    token = client.token("/overview")
    assert status_of(lambda: client.socket("/overview", token, origin="http://evil.example")) == 403


def test_the_cookie_is_closed_and_not_in_the_page(visitor: Visitor) -> None:
    client = visitor()
    answer = client.sign_in(EMAILS["admin"], PASSWORD)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if "carrel_session" in c)
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    value = client.http.cookies["carrel_session"].strip('"')
    page = client.http.get("/overview")
    assert value not in page.text
    assert value.split(".")[0] not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    token = client.token("/overview")
    assert "carrel" not in _payload(token).get("cookies", {})


def _payload(token: str) -> dict[str, Any]:
    from bokeh.util.token import get_token_payload

    return dict(get_token_payload(token))  # type: ignore[arg-type]


def test_a_new_sign_in_has_a_new_token_and_ends_the_one_before(visitor: Visitor) -> None:
    client = visitor("admin")
    before = client.cookie
    second = Client(client.base)
    second.http.cookies.update(client.http.cookies)
    del client.http.cookies["carrel_session"]
    client.sign_in(EMAILS["admin"], PASSWORD)
    assert client.cookie != before
    assert second.http.get("/overview").status_code == 200  # another browser's session lives on
    second.close()


def test_wrong_and_unknown_look_the_same(visitor: Visitor) -> None:
    answers = [
        visitor().sign_in(email, "not the password")
        for email in (EMAILS["librarian"], "nobody@carrel.example")
    ]
    assert [a.status_code for a in answers] == [401, 401]
    texts = [a.text.split('role="alert">')[1].split("<")[0] for a in answers]
    assert texts[0] == texts[1] == "E-mail or password is not right."


def test_a_form_without_its_token_is_refused(visitor: Visitor) -> None:
    client = visitor()
    good = {"email": EMAILS["admin"], "password": PASSWORD}
    assert client.http.post("/sign-in", data=good).status_code == 403
    client.http.get("/sign-in")
    assert client.http.post("/sign-in", data={**good, "token": "0" * 64}).status_code == 403
    assert "carrel_session" not in client.http.cookies


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:x",
    ],
)
def test_the_way_after_sign_in_stays_here(visitor: Visitor, elsewhere: str) -> None:
    answer = visitor().sign_in(EMAILS["admin"], PASSWORD, elsewhere)
    assert answer.headers["location"] == "/"


def test_sign_out_ends_the_session_and_closes_its_pages(visitor: Visitor) -> None:
    client = visitor("admin")
    kept = Client(client.base)
    kept.http.cookies.update(client.http.cookies)
    socket = client.socket("/overview")
    socket.pull()
    assert client.http.post("/sign-out", data={"token": "0"}).status_code == 403
    assert client.http.get("/overview").status_code == 200
    assert client.sign_out().status_code == 303
    with pytest.raises(ConnectionClosed):
        socket.receive(5)
    assert kept.http.get("/overview").status_code == 302  # the old cookie is worth nothing
    kept.close()


def test_repeated_failures_are_slowed_down(visitor: Visitor) -> None:
    client = visitor()
    codes = [client.sign_in("slow2@carrel.example", "wrong password").status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    assert visitor("admin").http.get("/overview").status_code == 200


def test_home_leads_to_the_first_page(visitor: Visitor) -> None:
    assert visitor().http.get("/").headers["location"] == "/sign-in"
    assert visitor("member").http.get("/").headers["location"] == "/overview"


def test_health_tells_the_state_and_nothing_else(app: Served, visitor: Visitor) -> None:
    answer = visitor().http.get("/health")
    assert answer.status_code == 200
    assert answer.json().keys() == {"app", "database", "up_seconds"}
    assert answer.json()["database"] == "ok"


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("member", "/download/explore/rows.csv?table=silver.library_members", 403),
        ("member", "/download/overview/branches.csv", 200),
        ("admin", "/download/my_loans/loans.csv", 403),
        ("admin", "/download/overview/secrets.csv", 404),
        ("admin", "/download/overview/daily.exe", 404),
        ("librarian", "/download/explore/rows.csv?table=app.accounts", 404),
        ("librarian", "/download/explore/rows.csv?table=gold.library_titles", 200),
    ],
)
def test_downloads_keep_to_the_role(visitor: Visitor, role: str, path: str, status: int) -> None:
    assert visitor(role).http.get(path).status_code == status


def test_a_librarians_download_holds_the_own_branches_only(visitor: Visitor) -> None:
    path = "/download/overview/branches.csv?period=all&branch=ASH"
    text = visitor("librarian").http.get(path).content.decode("utf-8-sig")
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["BEL", "CEN"]
    everything = visitor("admin").http.get(path).content.decode("utf-8-sig")
    assert len(everything.splitlines()) == 5


def test_an_address_without_a_page_is_told(visitor: Visitor) -> None:
    for client in (visitor(), visitor("admin")):
        answer = client.http.get("/my-loans")
        assert answer.status_code == 404
        assert "There is no such page" in answer.text
        assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/deep", 404), ("GET", "/%ff", 404), ("GET", "/assets/none.css", 404),
        ("GET", "/download/overview/daily.exe", 404), ("GET", "/download/people/accounts.csv", 403),
        ("GET", "/overview/autoload.js?bokeh-autoload-element=x", 404), ("TRACE", "/account", 405),
        ("PUT", "/overview", 405), ("GET", "/assets/carrel.js", 200), ("GET", "/health", 200),
    ],
)  # fmt: skip
def test_refusals_and_files_have_the_headers_of_pages(
    visitor: Visitor, method: str, path: str, status: int
) -> None:
    page = visitor("member").http
    answer, wanted = page.request(method, path), page.get("/overview").headers
    assert answer.status_code == status
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options",
                 "Referrer-Policy", "Cross-Origin-Resource-Policy", "Server"):  # fmt: skip
        assert answer.headers.get(name) == wanted[name], name
    assert "tornado" not in str(answer.headers).lower()


def test_a_static_file_of_ours_has_no_neighbours(visitor: Visitor) -> None:
    client = visitor()
    assert client.http.get("/assets/carrel.css").status_code == 200
    assert client.http.get("/assets/page.html").status_code == 404
    assert client.http.get("/assets/../serve.py").status_code == 404
    assert client.http.get("/assets/%2e%2e/serve.py").status_code == 404


def test_a_stranger_cannot_have_a_module_imported(visitor: Visitor) -> None:
    assert visitor().http.get("/components/antigravity/x/__css__/y").status_code == 404


def test_a_large_body_of_a_stranger_is_not_held(visitor: Visitor) -> None:
    body = b"email=" + b"x" * 2**21
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    with suppress(httpx.WriteError, httpx.ReadError):  # it hangs up while we send
        answer = visitor().http.post("/sign-in", content=body, headers=head)
        assert answer.status_code == 400
    assert visitor().http.post("/sign-in", content=body[:1000], headers=head).status_code == 403


def test_health_is_503_while_the_database_is_away_and_pages_say_so(
    library: str, postgres: Server, visitor: Visitor
) -> None:
    client = visitor("admin")
    with away(library, postgres):
        answer = client.http.get("/health")
        assert (answer.status_code, answer.json()["database"]) == (503, "away")
        page = client.http.get("/overview")
        assert (page.status_code, "out of reach" in page.text) == (503, True)
    assert client.http.get("/health").status_code == 200
    assert client.http.get("/overview").status_code == 200


@contextmanager
def away(library: str, postgres: Server) -> Iterator[None]:
    """Nobody can connect to the database."""
    with postgres._as_superuser() as admin:
        admin.execute(f'alter database "{library}" with allow_connections false'.encode())
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [library]
        )
        try:
            yield
        finally:
            admin.execute(f'alter database "{library}" with allow_connections true'.encode())


def test_a_page_of_the_project_states_its_roles(
    tmp_path: Path, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "PAGES", dict(roles.PAGES))
    setting(project=tmp_path)
    page = tmp_path / "pages" / "visits.py"
    page.parent.mkdir()
    page.write_text('TITLE = "Visits"\nROLES = ("admin",)\nraise SystemExit("read, not run")\n')
    roles.add_own_pages()
    assert may_open("/visits/ws", "admin")
    assert not may_open("/visits", "librarian")
    assert page in serve.pages()
    for text in ("", "ROLES = ()", 'ROLES = ("guest",)'):
        page.write_text(text)
        with pytest.raises(ConfigurationError, match="who may open"):
            roles.read_rule(page)
    page.with_name("overview.py").write_text('ROLES = ("member",)')
    with pytest.raises(ConfigurationError, match="already"):
        roles.read_rule(page.with_name("overview.py"))


def test_the_command_serves_every_page_that_has_a_rule() -> None:
    served = {f"/{p.stem}" for p in serve.pages()}
    assert served == set(PAGES)
    command = serve.command(5006)
    assert command[2:4] == ["panel", "serve"]
    assert "--disable-index" in command
    assert serve.environment()["BOKEH_SIGN_SESSIONS"] == "true"
    assert not any(serve.environment()["BOKEH_SECRET_KEY"] in part for part in command)
