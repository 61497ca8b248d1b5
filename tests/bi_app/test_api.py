"""The REST API over HTTP: who may do what, the pages' numbers, and the manners of every answer."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from bi_app.api.rest.measures import Asked, figures, known, seen
from bi_app.api.tables import TABLES
from bi_app.auth import callers, second_factor, short_tokens
from bi_app.auth.accounts import account, create_account
from bi_app.auth.sql import run
from bi_app.models.explore import catalogue
from bi_app.models.export import shown
from bi_app.models.figures import work
from bi_app.models.staffing import REPORT
from bi_app.models.summary import ask
from deployments.postgres import Server
from tests.bi_app.fix_api import PREFIX, UNBOUND, serving, sign_in
from tests.bi_app.fix_app import EMAILS, MEMBER, OTHER, OWN, PASSWORD, Served
from tests.bi_app.test_doors import away
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError

Caller = Callable[..., httpx.Client]
ROLES = ("admin", "librarian", "member", None)
READS = "filter=branch_code:eq:CEN"
# One line an endpoint: method, path, body, and the status for an admin, a librarian, a member and
# a stranger. 403 is PostgreSQL's word: no route asks for a role.
MATRIX = (
    ("GET", "/me", None, (200, 200, 200, 401)),
    ("GET", "/sessions", None, (200, 200, 200, 401)),
    ("GET", "/api-keys", None, (200, 200, 200, 401)),
    ("GET", "/users", None, (200, 403, 403, 401)),
    ("GET", "/users/2", None, (200, 403, 403, 401)),
    ("GET", "/users/2/sessions", None, (200, 403, 403, 401)),
    ("DELETE", "/users/99999/sessions", None, (200, 403, 403, 401)),
    ("PATCH", "/users/99999", {"branches": []}, (404, 403, 403, 401)),
    ("POST", "/users", {"email": EMAILS["member"], "name": "x", "role": "member"},
     (409, 403, 403, 401)),
    ("GET", "/datasets", None, (200, 200, 200, 401)),
    ("GET", "/datasets/gold.library_titles", None, (200, 200, 200, 401)),
    ("GET", "/datasets/gold.library_circulation", None, (200, 200, 404, 401)),
    ("GET", f"/datasets/gold.library_circulation/rows?{READS}", None, (200, 200, 404, 401)),
    ("GET", "/datasets/silver.library_loan_events/rows", None, (200, 200, 200, 401)),
    ("GET", "/datasets/gold.library_circulation/summary", None, (200, 200, 404, 401)),
    ("GET", "/datasets/silver.library_members/summary", None, (422, 404, 422, 401)),
    ("GET", "/datasets/gold.library_titles/file.csv", None, (200, 200, 200, 401)),
    ("GET", "/measures", None, (200, 200, 200, 401)),
    ("GET", "/measures/overview.figures", None, (200, 200, 200, 401)),
    ("GET", "/measures/overview.daily/file.csv", None, (200, 200, 200, 401)),
    ("GET", "/measures/circulation.over_time", None, (200, 200, 403, 401)),
    ("GET", "/measures/busy_hours.week", None, (200, 200, 200, 401)),
    ("GET", "/measures/sign_ins.sessions", None, (200, 403, 403, 401)),
    ("GET", "/measures/activity.active", None, (200, 403, 403, 401)),
    ("GET", "/measures/my_loans.loans", None, (404, 404, 200, 401)),
    ("GET", "/measures/quality.datasets", None, (200, 200, 403, 401)),
    ("GET", "/measures/quality.failing", None, (200, 200, 403, 401)),
    ("GET", "/measures/quality.rules", None, (200, 200, 403, 401)),
    ("GET", "/measures/pipelines.pipelines", None, (200, 200, 403, 401)),
    ("GET", "/measures/pipelines.failures", None, (200, 200, 403, 401)),
    ("GET", "/measures/pipelines.streams", None, (200, 200, 403, 401)),
    ("GET", "/runs", None, (200, 200, 403, 401)),
    ("GET", "/runs/nothing", None, (404, 404, 403, 401)),
    ("GET", "/run-requests", None, (200, 403, 403, 401)),
    ("GET", "/run-requests/99999", None, (404, 403, 403, 401)),
    ("POST", "/run-requests", {"dataset": "library_branches"}, (202, 403, 403, 401)),
    ("GET", "/quality", None, (200, 200, 403, 401)),
    ("GET", "/quality/library_loan_events", None, (200, 200, 403, 401)),
    ("GET", "/quality/library_loan_events/checks", None, (200, 200, 403, 401)),
    ("GET", "/alerts", None, (200, 200, 403, 401)),
    ("GET", "/alerts/1", None, (200, 200, 403, 401)),
    ("POST", "/alerts/99999/acknowledge", {}, (404, 404, 403, 401)),
    ("POST", "/alerts/1/acknowledge", {"note": "seen"}, (200, 403, 403, 401)),
    ("POST", "/alerts/1/snooze", {"until": "2020-01-01T00:00:00Z"}, (409, 403, 403, 401)),
    ("POST", "/alerts/1/wake", {}, (200, 403, 403, 401)),
    ("POST", "/alerts/1/assign", {"person": "nobody@carrel.example"}, (409, 403, 403, 401)),
    ("POST", "/alerts/1/resolve", {"reason": "fixed"}, (200, 403, 403, 401)),
    ("POST", "/alerts/1/reopen", {}, (200, 403, 403, 401)),
    ("GET", "/openapi.json", None, (200, 200, 200, 401)),
    ("GET", "/docs", None, (200, 200, 200, 401)),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "statuses"), MATRIX)
def test_each_role_gets_what_is_its_own(
    caller: Caller, method: str, path: str, body: Any, statuses: tuple[int, ...]
) -> None:
    for role, wanted in reversed(list(zip(ROLES, statuses, strict=True))):
        answer = caller(role).request(method, path, json=body)
        assert (role, answer.status_code) == (role, wanted), answer.text
        if wanted >= 400:
            assert answer.headers["content-type"] == "application/problem+json"


def test_the_matrix_has_every_address(caller: Caller) -> None:
    document = caller("admin").get("/openapi.json").json()
    named = {(m.upper(), p) for p, ms in document["paths"].items() for m in ms}
    tried = {
        (m, p)
        for m, p in named
        for method, path, *_ in MATRIX
        if m == method
        and re.fullmatch(re.sub(r"\{\w+\}", r"[^/?]+", p), PREFIX + path.split("?")[0])
    }
    elsewhere = {"/token", "/token/refresh", "/sessions/current", "/sessions/{session_id}",
                 "/api-keys", "/api-keys/{key_id}", "/datasets/{name}/rows"}  # fmt: skip
    left = {p for _, p in named - tried} - {PREFIX + p for p in elsewhere}
    assert left == {"/health", "/live", "/ready"}


# The figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["admin", "librarian", "member"])
def test_figures_are_those_of_the_page(at_api: str, caller: Caller, role: str) -> None:
    viewer = VIEWERS[role]
    told = caller(role).get("/measures/overview.figures", params={"period": "90d"}).json()
    view = seen(viewer, Asked(period="90d"))
    cards = {c["name"]: (c["value"], c["change"]) for c in view.cards()}
    rows = {r["name"]: r for r in told["rows"]}
    assert {n: (r["text"], r["change"]) for n, r in rows.items()} == cards
    assert f"{rows['checkouts']['value']:,}" == cards["checkouts"][0]
    assert rows["checkouts"]["value"] > 0
    assert figures(view).data["value"][0] == rows["checkouts"]["value"]
    assert told["freshness"]["statement"].startswith("all changes before")
    for name in ("daily", "busy", "branches", "titles"):
        table = view.table(name)
        answer = caller(role).get(f"/measures/overview.{name}", params={"period": "90d"}).json()
        keys = [c.key for c in table.columns]
        wanted = [dict(zip(keys, r, strict=True)) for r in shown(table)]
        assert answer["rows"] == json.loads(json.dumps(wanted, default=str))


VIEWERS = {
    "admin": Viewer(EMAILS["admin"], "admin"),
    "librarian": Viewer(EMAILS["librarian"], "librarian", OWN),
    "member": Viewer(EMAILS["member"], "member", (), MEMBER),
}


def test_every_measure_of_the_list_answers_and_every_page_is_in_it(caller: Caller) -> None:
    listed = {
        role: {m["name"]: m for m in caller(role).get("/measures").json()["items"]}
        for role in ("admin", "librarian", "member")
    }
    assert set().union(*listed.values()) == set(known())
    pages = {m.page for m in known().values()} | {
        "explore",
        "dataset",
        "alerts",
        "people",
        "my_data",
    }  # own addresses
    assert pages == set(TABLES)
    assert not {n for n in listed["member"] if n.startswith(("quality", "pipelines", "sign_ins"))}
    for role, found in listed.items():
        for name, one in found.items():
            answer = caller(role).get(f"/measures/{name}")
            if not one["columns"]:  # nothing is there yet, or it is about the caller
                assert answer.status_code in {200, 404}
                continue
            assert answer.status_code == 200, answer.text
            assert one["definition"]
            assert answer.json()["columns"] == one["columns"]


def test_a_reports_own_choices_are_asked_for_by_name(at_api: str, caller: Caller) -> None:
    path, asked = "/measures/busy_hours.week", {"measure": "returns", "choose": "each:opened"}
    told = caller("librarian").get(path, params=asked | {"period": "90d"}).json()
    query = {"measure": [b"returns"], "each": [b"opened"], "period": [b"90d"]}
    table = REPORT.table(VIEWERS["librarian"], "week", query)
    assert [r["value"] for r in told["rows"]] == list(table.data["value"])
    assert told["chosen"]["more"]["each"] == "opened"
    for wrong in ("each:nothing", "nothing:each"):
        answer = caller("librarian").get(path, params={"choose": wrong})
        assert (answer.status_code, "each" in answer.json()["choices"]) == (422, True)


def test_a_librarian_sees_the_own_branches_and_is_told_of_no_other(caller: Caller) -> None:
    told = caller("librarian").get("/measures/overview.branches").json()
    assert [r["code"] for r in told["rows"]] == list(OWN)
    answer = caller("librarian").get("/measures/overview.daily", params={"branch": "ASH"})
    assert (answer.status_code, answer.json()["known"]) == (404, list(OWN))
    rows = caller("librarian").get("/datasets/gold.library_circulation/rows?limit=500").json()
    assert {r["branch_code"] for r in rows["items"]} <= set(OWN)


def test_a_members_loans_are_the_own_and_kept_nowhere(caller: Caller) -> None:
    answer = caller("member").get("/measures/my_loans.loans")
    assert [r["title"] for r in answer.json()["rows"]] == ["=1+1", "Quiet Rooms"]
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    events = caller("member").get("/datasets/silver.library_loan_events/rows").json()["items"]
    assert {e["member_key"] for e in events} == {MEMBER}
    asked = {"filter": f"member_key:eq:{OTHER}"}
    others = caller("member").get("/datasets/silver.library_loan_events/rows", params=asked)
    assert others.json()["items"] == []


def test_an_unchanged_answer_is_not_sent_again(caller: Caller, api_library: str) -> None:
    path = "/measures/overview.daily?period=30d"
    first = caller("admin").get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    asked = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}
    again = caller("admin").get(path, headers=asked)
    assert (again.status_code, again.content) == (304, b"")
    assert caller("librarian").get(path, headers=asked).status_code == 200


def test_a_load_that_was_published_changes_the_answer(at_api: str, caller: Caller) -> None:
    path = "/measures/overview.figures"
    before = caller("admin").get(path)
    with connect() as db:
        db.execute("update ops.publications set published_at = clock_timestamp()")
    end = time.monotonic() + 9  # publications are looked up every few seconds
    while caller("admin").get(path).headers["etag"] == before.headers["etag"]:
        assert time.monotonic() < end
        time.sleep(0.2)


# Rows ------------------------------------------------------------------------------------------


def test_pages_of_rows_are_all_rows_once(caller: Caller, at_api: str) -> None:
    client, found = caller("admin"), []
    asked = "filter=branch_code:eq:CEN&filter=day:ge:2026-10-25&limit=17&columns=day,hour"
    link: str | None = f"{PREFIX}/datasets/gold.library_circulation/rows?{asked}"
    pages = 0
    while link:
        told = client.get(f"{client.base_url.copy_with(path='/')}".rstrip("/") + link).json()
        found += [(r["day"], r["hour"]) for r in told["items"]]
        link, pages = told["next"], pages + 1
    with connect() as db:
        wanted = db.execute(
            "select day::text, hour from gold.library_circulation"
            " where branch_code = 'CEN' and day >= '2026-10-25' order by branch_code, day, hour"
        ).fetchall()
    assert found == wanted
    assert pages == -(-len(wanted) // 17)


def test_rows_without_a_readable_key_are_paged_too(caller: Caller) -> None:
    entry = caller("admin").get("/datasets/silver.library_members")
    assert "member_key" not in {c["name"] for c in entry.json()["columns"]}
    path = "/datasets/silver.library_members/rows"
    first = caller("admin").get(path, params={"limit": 1}).json()
    after = first["next"].partition("after=")[2]
    second = caller("admin").get(path, params={"limit": 1, "after": after}).json()
    assert (len(first["items"]), len(second["items"]), second["next"]) == (1, 1, None)


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "member_key:eq:x"},  # not a librarian's column
        {"filter": "branch_code;drop:eq:x"},
        {"filter": "day:eq:never"},
        {"filter": "hour:like"},
        {"columns": "branch_code,nothing"},
        {"after": "x"},
        {"after": "WyIxIl0"},
        {"limit": "0"},
        {"colums": "day"},
    ],
)
def test_what_cannot_be_asked_is_refused(caller: Caller, asked: dict[str, str]) -> None:
    answer = caller("librarian").get("/datasets/gold.library_circulation/rows", params=asked)
    assert answer.status_code == 422, answer.text


def test_a_summary_is_that_of_the_explore_page(at_api: str, caller: Caller) -> None:
    path = "/datasets/gold.library_circulation/summary"
    asked = {
        "measure": ["sum:checkouts", "median:checkouts"], "by": ["branch_code"], "sort": "-m0",
        "filter": ["day:last:60", "checkouts:ge:1"],
    }  # fmt: skip
    for role in ("admin", "librarian"):
        told = caller(role).get(path, params={**asked, "top": 1}).json()
        entry = catalogue(VIEWERS[role])["gold.library_circulation"]
        page = work(VIEWERS[role], ask(entry, {**asked, "sort": "m0", "down": True, "top": 500}))
        assert [list(r.values()) for r in told["rows"]] == [list(page.shown[0])]
        assert list(told["total"].values()) == list(page.total)
        assert told["others"]["m0"] == page.total[0] - page.shown[0][1]
        assert told["others"]["m1"] is None
        assert (told["groups"], told["fitting"]) == (page.groups, page.rows)
    groups = "/datasets/gold.library_member_groups/summary?measure=sum:active&by=dimension"
    told = caller("librarian").get(groups).json()
    assert told["withheld"]["m0"] > 0
    assert told["total"] == {"m0": None}


@pytest.mark.parametrize(
    "asked",
    [
        {"measure": "sum:branch_code"},
        {"measure": "sum"},
        {"measure": "distinct:member_key"},
        {"by": "member_key"},
        {"by": "day:hour"},
        {"by": "branch_code:month"},
        {"by": ["day", "hour", "branch_code", "checkouts"]},
        {"filter": "member_key:null:false"},
        {"filter": "day:eq:never"},
        {"filter": "branch_code:eq:ann@library.example"},
        {"sort": "m3"},
        {"top": "501"},
        {"group": "day"},
    ],
)
def test_a_summary_that_makes_no_sense_is_refused(caller: Caller, asked: dict[str, Any]) -> None:
    answer = caller("librarian").get("/datasets/gold.library_circulation/summary", params=asked)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "asked",
    [
        "period=7d&start=2026-01-01",
        "start=2026-02-01&end=2026-01-01",
        "end=2026-01-01",
        "period=9d",
    ],
)
def test_no_period_becomes_the_default_in_silence(caller: Caller, asked: str) -> None:
    assert caller("admin").get(f"/measures/overview.daily?{asked}").status_code == 422


# Signing in ------------------------------------------------------------------------------------


def test_wrong_and_unknown_are_refused_alike(api: Served) -> None:
    answers = [sign_in(api, e, "not the password") for e in ("admin", "nobody@carrel.example")]
    assert [a.status_code for a in answers] == [401, 401]
    assert answers[0].json() == answers[1].json()
    assert "Bearer" in answers[0].headers["www-authenticate"]


def test_repeated_failures_are_slowed_down(api: Served) -> None:
    answers = [sign_in(api, "slow@carrel.example", "wrong") for _ in range(6)]
    assert [a.status_code for a in answers] == [401] * 5 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 15


def test_a_refresh_token_is_good_once_and_its_second_use_ends_the_family(
    api: Served, caller: Caller
) -> None:
    pair = sign_in(api, "admin").json()
    renewed = caller().post("/token/refresh", json={"refresh_token": pair["refresh_token"]}).json()
    client = caller(token=renewed["access_token"])
    assert client.get("/me").status_code == 200
    again = caller().post("/token/refresh", json={"refresh_token": pair["refresh_token"]})
    assert again.status_code == 401
    assert client.get("/me").status_code == 401
    after = {"refresh_token": renewed["refresh_token"]}
    assert caller().post("/token/refresh", json=after).status_code == 401


def test_a_session_that_ends_while_it_is_renewed_stays_ended(at_api: str) -> None:
    who = account(run("account", email=EMAILS["member"])[0])
    pair = callers.start(who, address="", client="")
    found = callers.find(pair.access)
    assert found
    with connect() as db, ThreadPoolExecutor(1) as pool:
        db.execute("update app.sessions set ended_at = now() where session_id = %s",
                   [found.session_id])  # fmt: skip
        renewed = pool.submit(callers.renew, pair.refresh)
        time.sleep(0.3)
        db.commit()
        assert renewed.result(10) is None
    callers.forget()
    assert callers.find(pair.access) is None


def test_passwords_that_are_tried_at_once_are_counted_one_by_one(api: Served) -> None:
    email = f"many{time.time()}@carrel.example"
    with ThreadPoolExecutor(16) as pool:
        answers = [a.status_code for a in pool.map(lambda _: sign_in(api, email, "x"), range(16))]
    assert set(answers) == {401, 429}
    assert answers.count(401) <= 6


def test_sign_out_ends_the_token_at_once(api: Served, caller: Caller) -> None:
    pair = sign_in(api, "member").json()
    client = caller(token=pair["access_token"])
    mine = client.get("/sessions").json()["items"]
    assert client.delete("/sessions/current").status_code == 204
    assert client.get("/me").status_code == 401
    asked = {"refresh_token": pair["refresh_token"]}
    assert caller().post("/token/refresh", json=asked).status_code == 401
    session = mine[0]["session_id"]
    assert caller("librarian").delete(f"/sessions/{session}").status_code == 404


@pytest.mark.parametrize("change", ["disabled_at = now()", "branches = '{ASH}'", "role = 'admin'"])
def test_a_change_of_rights_ends_what_was_opened(
    at_api: str, api: Served, caller: Caller, change: str
) -> None:
    email = f"moving{abs(hash(change))}@carrel.example"
    number = create_account(email, "Moving", "librarian", OWN, None, PASSWORD)
    pair = sign_in(api, email).json()
    key, _ = callers.make_key(number, "job", ["read"], 1)
    client = caller(token=pair["access_token"])
    assert client.get("/me").status_code == 200
    with connect() as db:
        db.execute(f"update app.accounts set {change} where account_id = {number}".encode())
    time.sleep(1.05)
    assert client.get("/me").status_code == 401
    asked = {"refresh_token": pair["refresh_token"]}
    assert caller().post("/token/refresh", json=asked).status_code == 401
    disabled = "disabled" in change
    assert caller(token=key).get("/me").status_code == (401 if disabled else 200)


def test_tokens_of_another_make_are_refused(at_api: str, api: Served, caller: Caller) -> None:
    good = sign_in(api, "admin").json()["access_token"]
    assert caller(token=good).get("/me").status_code == 200
    for name, forged in forgeries(good).items():
        answer = caller(token=forged).get("/me")
        assert (name, answer.status_code) == (name, 401)


def forgeries(good: str) -> dict[str, str]:
    """Tokens that are wrong in one respect each, for the session of a good one."""
    from joserfc import jwt
    from joserfc.jwk import OKPKey

    from bi_app.auth.token_keys import token_keys

    keys = token_keys()
    key, kid = keys.by_id[keys.current], keys.current
    said = jwt.decode(good, key, algorithms=["Ed25519"])

    def made(algorithm: str = "Ed25519", with_: Any = key, /, **changed: Any) -> str:
        head = {"alg": algorithm, "typ": "at+jwt", "kid": kid} | changed.pop("head", {})
        head = {k: v for k, v in head.items() if v is not None}
        claims = {k: v for k, v in {**said.claims, **changed}.items() if v is not None}
        return jwt.encode(head, claims, with_, algorithms=[algorithm])

    public = key.as_pem(private=False)
    now = int(time.time())
    head, body, signature = good.split(".")
    return {
        "audience": made(aud="another-api"),
        "issuer": made(iss="another"),
        "no audience": made(aud=None),
        "no expiry": made(exp=None),
        "expired": made(exp=now - 60),
        "not yet": made(nbf=now + 600),
        "no id": made(jti=None),
        "type": made(head={"typ": "JWT"}),
        "unknown key": made(head={"kid": "x"}),
        "no key": made(head={"kid": None}),
        "another's key": made("Ed25519", OKPKey.generate_key("Ed25519")),
        "hs256 with the public key": by_hand(said.claims, {"alg": "HS256", "kid": kid}, public),
        "none": unsigned(said.claims, kid),
        "another session": made(sid="00000000-0000-4000-8000-000000000000"),
        "another account": made(sub="2"),
        "another body": f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{signature}",
        "no signature": f"{head}.{body}.",
        "long": good + "A" * 5000,
    }  # fmt: skip


def by_hand(claims: dict[str, Any], head: dict[str, str], secret: bytes) -> str:
    """A token signed with a shared secret, which our library would not do with a public key."""
    parts = [base64url(json.dumps(p).encode()) for p in ({"typ": "at+jwt", **head}, claims)]
    text = ".".join(parts)
    return f"{text}.{base64url(hmac.digest(secret, text.encode(), 'sha256'))}"


def unsigned(claims: dict[str, Any], kid: str) -> str:
    return by_hand(claims, {"alg": "none", "kid": kid}, b"x").rpartition(".")[0] + "."


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_keys_are_rotated_while_the_api_runs(at_api: str, api: Served, caller: Caller) -> None:
    from bi_app.auth.token_keys import rotate

    before = sign_in(api, "admin").json()["access_token"]
    rotate()
    after = sign_in(api, "admin").json()["access_token"]
    assert json.loads(tokens_head(before))["kid"] != json.loads(tokens_head(after))["kid"]
    assert caller(token=before).get("/me").status_code == 200
    assert caller(token=after).get("/me").status_code == 200


def test_a_key_verifies_until_the_second_rotation(
    tmp_path: Path, setting: Callable[..., None]
) -> None:
    from bi_app.auth.token_keys import rotate

    setting(home=tmp_path)
    session = "00000000-0000-4000-8000-000000000000"
    token = short_tokens.issue(1, session)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    first = rotate()
    assert short_tokens.read(token)
    assert rotate() != first
    assert short_tokens.read(token) is None
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def tokens_head(token: str) -> bytes:
    head = token.partition(".")[0]
    return base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))


def test_a_key_does_what_its_scopes_say(at_api: str, caller: Caller) -> None:
    person = caller("admin")
    made = person.post("/api-keys", json={"name": "job", "scopes": ["read"], "days": 1})
    assert made.status_code == 201
    kept, key = made.json(), made.json()["key"]
    assert key.startswith(kept["prefix"])
    program = caller(token=key)
    assert program.get("/me").json()["scopes"] == ["read"]
    assert program.get("/measures/overview.figures").status_code == 200
    for method, path, body in (
        ("GET", "/users", None), ("GET", "/measures/overview.daily/file.csv", None),
        ("POST", "/run-requests", {"dataset": "library_branches"}),
        ("POST", "/api-keys", {"name": "another"}), ("GET", "/sessions", None),
    ):  # fmt: skip
        assert program.request(method, path, json=body).status_code == 403, path
    with connect() as db:
        (row,) = db.execute(
            "select k::text, last_used_at is not null from app.api_keys k where key_id = %s",
            [kept["key_id"]],
        ).fetchall()
    assert key not in row[0]
    assert row[1]
    assert person.delete(f"/api-keys/{kept['key_id']}").status_code == 204
    assert program.get("/me").status_code == 401
    assert person.delete(f"/api-keys/{kept['key_id']}").status_code == 404


def test_a_key_ends_with_its_time(at_api: str, caller: Caller) -> None:
    key, kept = callers.make_key(1, "old", ["read"], 1)
    with connect() as db:
        db.execute("update app.api_keys set expires_at = now() where key_id = %s", [kept["key_id"]])
    assert caller(token=key).get("/me").status_code == 401


# Acting ----------------------------------------------------------------------------------------


def test_a_request_with_a_key_of_its_own_is_done_once(caller: Caller) -> None:
    client, head = caller("admin"), {"Idempotency-Key": f"once-{time.time()}"}
    asked = {"dataset": "library_items"}
    first = client.post("/run-requests", json=asked, headers=head)
    again = client.post("/run-requests", json=asked, headers=head)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    other = client.post("/run-requests", json={"dataset": "library_fines"}, headers=head)
    assert other.status_code == 422
    found = client.get(f"/run-requests/{first.json()['request_id']}").json()
    assert (found["dataset"], found["asked_by"]) == ("library_items", EMAILS["admin"])
    refused = caller("librarian").post("/run-requests", json=asked, headers=head)
    assert refused.status_code == 403  # another's key, and not theirs to do


def test_what_is_shown_once_is_not_kept(at_api: str, caller: Caller) -> None:
    client, head = caller("admin"), {"Idempotency-Key": f"user-{time.time()}"}
    asked = {"email": f"new{time.time()}@carrel.example", "name": "New", "role": "member"}
    first = client.post("/users", json=asked, headers=head).json()
    again = client.post("/users", json=asked, headers=head).json()
    token = first["link"].rpartition("/")[2]
    assert len(token) > 30
    assert again == {k: v for k, v in first.items() if k != "link"}
    with connect() as db:
        kept = db.execute("select string_agg(a::text, '') from app.answers a").fetchone()
    assert token not in str(kept)


def test_an_admin_changes_accounts_and_their_sessions_end(
    at_api: str, api: Served, caller: Caller
) -> None:
    client, email = caller("admin"), f"sam{time.time()}@carrel.example"
    number = create_account(email, "Sam", "librarian", ["CEN"], None, PASSWORD)
    theirs = caller(token=sign_in(api, email).json()["access_token"])
    assert theirs.get("/me").json()["branches"] == ["CEN"]
    (session,) = client.get(f"/users/{number}/sessions").json()["items"]
    assert session["method"] == "api"
    changed = client.patch(f"/users/{number}", json={"branches": ["ASH"]}).json()
    assert (changed["branches"], changed["sessions"]) == (["ASH"], 0)
    assert theirs.get("/me").status_code == 401
    assert client.patch(f"/users/{number}", json={"disabled": True}).json()["state"] == "disabled"
    assert sign_in(api, email).status_code == 401


def test_who_has_a_second_factor_needs_its_code(at_api: str, api: Served) -> None:
    email = f"two{time.time()}@carrel.example"
    number = create_account(email, "Two", "member", (), None, PASSWORD)
    assert sign_in(api, email).status_code == 200
    recovery = second_factor.confirm(number, pyotp.TOTP(second_factor.begin(number)).now())
    assert recovery
    assert sign_in(api, email).status_code == 401
    assert sign_in(api, email, code="000000").status_code == 401
    assert sign_in(api, email, code=recovery[0]).status_code == 200
    assert sign_in(api, email, code=recovery[0]).status_code == 401  # good once
    assert sign_in(api, email, "not the password", recovery[1]).status_code == 401


def test_what_is_changed_through_the_api_is_on_record_once_and_as_such(
    at_api: str, api: Served, caller: Caller
) -> None:
    email = f"rec{time.time()}@carrel.example"
    number = create_account(email, "Rec", "librarian", ["CEN"], None, PASSWORD)
    assert caller("admin").patch(f"/users/{number}", json={"branches": ["ASH"]}).status_code == 200
    pair = sign_in(api, email).json()
    theirs = caller(token=pair["access_token"])
    made = theirs.post("/api-keys", json={"name": "job"}).json()
    assert theirs.delete(f"/api-keys/{made['key_id']}").status_code == 204
    other = sign_in(api, email).json()["access_token"]
    (session,) = [
        s["session_id"] for s in theirs.get("/sessions").json()["items"]
        if s["session_id"] == short_tokens.read(other).session_id  # type: ignore[union-attr]
    ]  # fmt: skip
    assert theirs.delete(f"/sessions/{session}").status_code == 204
    for status in (200, 401):
        asked = {"refresh_token": pair["refresh_token"]}
        assert caller().post("/token/refresh", json=asked).status_code == status
    query = (
        "select act, outcome, details ->> 'what', address, door from audit.entries"
        " where subject = %s order by entry_id"
    )
    end = time.monotonic() + 5
    while True:  # what is refused is written a moment later
        with connect() as db:
            found = db.execute(query, [f"account {number}"]).fetchall()
        if len(found) >= 7 or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert [(act, outcome, what) for act, outcome, what, *_ in found] == [
        ("account", "done", "change"),
        ("sign_in", "done", None),
        ("account", "done", "API key"),
        ("account", "done", "API key ended"),
        ("sign_in", "done", None),
        ("sign_out", "done", "one session"),
        ("sign_in_refused", "refused", None),
    ]
    assert {tuple(row[3:]) for row in found} == {("127.0.0.1", "api")}


def test_a_key_of_who_must_have_a_second_factor_waits_for_it(
    at_api: str, setting: Callable[..., None]
) -> None:
    """A key of somebody who was given the role later does not go round what the role demands."""
    number = create_account(f"k{time.time()}@carrel.example", "", "librarian", password=PASSWORD)
    key, _ = callers.make_key(number, "job", ["read"], 1)
    assert callers.find(key)
    setting(second_factor="librarian", database=at_api)
    assert callers.find(key) is None
    with pytest.raises(ConfigurationError, match="second factor first"):
        callers.make_key(number, "another", ["read"], 1)
    assert second_factor.confirm(number, pyotp.TOTP(second_factor.begin(number)).now())
    assert callers.find(key)


def test_the_audit_log_tells_of_the_door(at_api: str, api: Served, caller: Caller) -> None:
    caller("librarian").get("/users")
    caller("admin").get("/measures/overview.daily/file.csv")
    sign_in(api, "member")
    wanted = {("sign_in", "done"), ("refusal", "refused"), ("export", "done"), ("view", "done")}
    end = time.monotonic() + 5
    while True:
        with connect() as db:
            found = db.execute(
                "select act, outcome from audit.entries where door = 'api'"
            ).fetchall()
        if wanted <= set(found) or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert wanted <= set(found)


def test_users_are_paged(caller: Caller) -> None:
    first = caller("admin").get("/users", params={"limit": 2}).json()
    assert len(first["items"]) == 2
    after = first["next"].partition("after=")[2]
    second = caller("admin").get("/users", params={"limit": 2, "after": after}).json()
    assert second["items"][0]["account_id"] > first["items"][1]["account_id"]


def test_runs_are_paged_and_have_steps(caller: Caller) -> None:
    client = caller("librarian")
    first = client.get("/runs", params={"limit": 3, "dataset": "library_loan_events"}).json()
    after = first["next"].partition("after=")[2]
    asked = {"limit": 3, "dataset": "library_loan_events", "after": after}
    second = client.get("/runs", params=asked).json()
    numbers = [r["run_id"] for page in (first, second) for r in page["items"]]
    assert len(set(numbers)) == 6
    steps = client.get(f"/runs/{numbers[0]}").json()["steps"]
    assert len(steps) == first["items"][0]["steps"]


# Manners ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/me", 405), ("GET", "/token", 405), ("GET", "/me/", 404)],
)
def test_problems_have_one_shape(caller: Caller, method: str, path: str, status: int) -> None:
    answer = caller("admin").request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code == status
    assert {"type", "title", "detail"} <= answer.json().keys()
    if status == 405:
        assert answer.headers["allow"]


def test_every_answer_is_guarded(caller: Caller) -> None:
    head = {"Origin": "https://evil.example", "X-Request-ID": "given-by-me-1"}
    for client, path in ((caller("admin"), "/me"), (caller(), "/me"), (caller(), "/nothing")):
        answer = client.get(path, headers=head)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"] == "given-by-me-1"
        assert not [h for h in answer.headers if h.startswith("access-control")]
        assert "server" not in answer.headers
    preflight = caller().options("/me", headers=head | {"Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 405


def test_a_large_body_is_refused_whether_announced_or_not(api: Served, caller: Caller) -> None:
    body, head = b'{"email": "' + b"x" * 70_000, {"Content-Type": "application/json"}
    assert caller().post("/token", content=body, headers=head).status_code == 413
    parts = (body[i : i + 10_000] for i in range(0, len(body), 10_000))
    assert caller().post("/token", content=parts, headers=head).status_code == 413


def test_health_and_readiness_say_nothing_else(
    api: Served, api_library: str, postgres: Server, caller: Caller
) -> None:
    for path in ("/live", "/ready"):
        assert httpx.get(api.base + path).json() == {"status": "ok"}
    whole = httpx.get(f"{api.base}/health").json()
    assert whole["components"] == {"api": "ok", "database": "ok", "stream": "off"}
    with away(api_library, postgres):
        assert httpx.get(f"{api.base}/live").status_code == 200
        whole = httpx.get(f"{api.base}/health")
        assert (whole.status_code, whole.json()["components"]) == (
            503, {"api": "ok", "database": "away", "stream": "away"},
        )  # fmt: skip
        answer = httpx.get(f"{api.base}/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "away"})
        time.sleep(1.05)
        refused = caller("admin").get("/me")  # nobody is let in while nobody can say who is there
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
    assert httpx.get(f"{api.base}/ready").status_code == 200


def test_who_asks_too_often_waits(api_library: str, tmp_path: Path) -> None:
    with serving(api_library, tmp_path, **UNBOUND | {"CARREL_API_RATE": "60"}) as slow:
        pair = sign_in(slow, "admin").json()
        head = {"Authorization": f"Bearer {pair['access_token']}"}
        with httpx.Client(base_url=slow.base + PREFIX, headers=head) as client:
            answers = [client.get("/me") for _ in range(12)]
        assert [a.status_code for a in answers[:10]] == [200] * 10
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"] == "1"
        other = sign_in(slow, "member").json()["access_token"]
        theirs = {"Authorization": f"Bearer {other}"}
        assert httpx.get(f"{slow.base}{PREFIX}/me", headers=theirs).status_code == 200


def test_who_comes_through_a_declared_proxy_is_counted_apart(
    api_library: str, tmp_path: Path
) -> None:
    """The API listens on loopback, so that everybody from elsewhere comes through a proxy."""
    asked = {"CARREL_API_ADDRESS_RATE": "1", "CARREL_TRUSTED_PROXIES": "127.0.0.1"}
    with serving(api_library, tmp_path, **UNBOUND | asked) as served:

        def told(address: str) -> int:
            head = {"X-Forwarded-For": f"198.51.100.1, {address}"}
            return httpx.get(f"{served.base}/health", headers=head).status_code

        assert [told("192.0.2.7") for _ in range(11)] == [200] * 10 + [429]
        assert told("192.0.2.8") == 200


def test_the_log_has_each_request_and_no_secret(api: Served, caller: Caller) -> None:
    pair = sign_in(api, "librarian").json()
    name = f"log-{time.time()}"
    caller(token=pair["access_token"]).get(
        "/datasets/gold.library_titles/rows?filter=title:eq:a%20secret%20wish",
        headers={"X-Request-ID": name},
    )
    text = api.log.read_text()
    (line,) = [json.loads(one) for one in text.splitlines() if name in one]
    assert (line["status"], line["account"], line["method"]) == (200, 2, "GET")
    for secret in (pair["access_token"], pair["refresh_token"], PASSWORD, "secret wish"):
        assert secret not in text


def test_docs_open_for_who_is_signed_in_on_a_page(api: Served, at_api: str) -> None:
    from bi_app.auth import sessions

    assert httpx.get(f"{api.base}{PREFIX}/docs").status_code == 401
    who = account(run("account", email=EMAILS["member"])[0])
    cookie = sessions.start(who, address="", client="")
    answer = httpx.get(f"{api.base}{PREFIX}/docs", cookies={sessions.COOKIE: cookie})
    assert answer.status_code == 200
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)
    assert httpx.get(f"{api.base}{PREFIX}/me", cookies={sessions.COOKIE: cookie}).status_code == 401


def test_a_token_read_without_a_database() -> None:
    moment = time.time()
    session = "00000000-0000-4000-8000-000000000000"
    token = short_tokens.issue(7, session, now=moment)
    assert short_tokens.read(token) == short_tokens.Token(
        7, session, int(moment) + short_tokens.SECONDS
    )
    late = moment - short_tokens.SECONDS - short_tokens.LEEWAY - 1
    assert short_tokens.read(short_tokens.issue(7, session, now=late)) is None


def test_dates_are_whole() -> None:
    from bi_app.api.rest.answers import written

    told = json.loads(written({"at": dt.date(2026, 1, 2), "x": float("nan"), "n": [1.5]}))
    assert told == {"at": "2026-01-02", "x": None, "n": [1.5]}
