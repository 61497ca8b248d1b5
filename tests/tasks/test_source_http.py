"""REST APIs on a real server: every way of paging and signing in, end to end into silver."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tasks.load import load
from tasks.sources.http import read
from tests.tasks.conftest import Make, counts, rows
from tests.tasks.fix_web import OK, Asked, Reply, Web
from warehouse.errors import CarrelError, ConfigurationError, SourceMalformed, SourceUnavailable
from warehouse.settings import settings
from warehouse.spec import Dataset

COLUMNS = {
    "id": "bigint",
    "name": {"type": "text", "from": "who.name", "optional": True},
    "price": {"type": "numeric", "scale": 10, "optional": True},
    "tags": {"type": "text", "optional": True},
}
RECORDS = [
    {"id": n, "who": {"name": f"N{n} ä"}, "price": n / 8, "tags": ["a", n]} for n in range(1, 8)
]
SECRET = "s3cr3t-value"  # pragma: allowlist secret
Source = Callable[..., Dataset]


@pytest.fixture
def source(make: Make, web: Web) -> Source:
    def made(mode: str = "merge", **changes: Any) -> Dataset:
        settings_of = {"kind": "http", "url": f"{web.url}/things", "path": None} | changes
        return make(source=settings_of, key=["id"], columns=COLUMNS, mode=mode)

    return made


def js(value: Any, **extra: str) -> Reply:
    return 200, OK | extra, json.dumps(value).encode()


def table(dataset: Dataset) -> list[dict[str, Any]]:
    return [record for part in read(dataset, None) for record in part.to_pylist()]


def ids(dataset: Dataset) -> list[int]:
    return [int(r["id"]) for r in table(dataset)]


def test_json_loads_into_silver(source: Source, web: Web) -> None:
    dataset = source(records="data.things")
    web.pages["/things"] = lambda _: js({"data": {"things": RECORDS}})
    assert [counts(r)[:2] for r in load(dataset)] == [(7, 7)]
    assert rows(dataset)[0] == (1, "N1 ä", Decimal("0.125"), '["a", 1]')
    assert load(dataset) == []


def test_numbers_keep_their_digits(source: Source, web: Web) -> None:
    body = b'[{"id": 9007199254740993, "price": 0.1000000001, "n": 1e3, "b": true, "z": null}]'
    web.pages["/things"] = lambda _: (200, OK, body)
    assert table(source()) == [
        {"id": "9007199254740993", "price": "0.1000000001", "n": "1e3", "b": "true", "z": None}
    ]


def test_columns_may_come_late_and_be_absent(source: Source, web: Web) -> None:
    web.pages["/things"] = lambda _: js([{"id": 1}, {"id": 2, "late": {"a": [{}]}}, 3])
    assert table(source()) == [
        {"id": "1", "late.a": None, "_fault": None},
        {"id": "2", "late.a": "[{}]", "_fault": None},
        {"id": None, "late.a": None, "_fault": "The record is no object"},
    ]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (b'{"a.b": 1, "a": {"b": 2}}', "has two values for 'a.b'"),
        (b'{"id": 1, "id": 2}', "names a key twice"),
        (b'{"id": "\\ud800"}', "holds half a character (a lone surrogate)"),
        (b'"m1"', "The record is no object"),
    ],
)
def test_a_record_that_would_lose_something_is_held_back(
    record: bytes, fault: str, source: Source, web: Web
) -> None:
    web.pages["/things"] = lambda _: (200, OK, b'[{"id": 7},' + record + b"]")
    assert table(source()) == [{"id": "7", "_fault": None}, {"id": None, "_fault": fault}]


def paged(asked: Asked) -> Reply:
    """Pages by number, offset or cursor, two records each whatever is asked for."""
    start = int(asked.params.get("offset") or asked.params.get("after") or 0)
    if "page" in asked.params:
        start = 2 * (int(asked.params["page"]) - 1)
    found = RECORDS[start : start + 2]
    following = start + 2 if start + 2 < len(RECORDS) else None
    link = f'</things?after={following}>; rel="next", </things>; rel="first"'
    meta = {"next": following, "url": f"/things?after={following}" if following else None}
    return js({"things": found, "meta": meta}, **({"Link": link} if following else {}))


@pytest.mark.parametrize(
    "changes",
    [
        {"paging": "page", "size_param": "size", "page_size": 5},
        {"paging": "offset", "page_param": "offset"},
        {"paging": "cursor", "page_param": "after", "next": "meta.next"},
        {"paging": "cursor", "page_param": "after", "next": "meta.url"},
        {"paging": "link"},
    ],
    ids=lambda c: "-".join(c.values() if isinstance(c, dict) and "next" in c else [c["paging"]]),
)
def test_every_way_of_paging_reads_everything_once(changes: Any, source: Source, web: Web) -> None:
    web.pages["/things"] = paged
    dataset = source(records="things", params={"kind": "book"}, **changes)
    assert ids(dataset) == [r["id"] for r in RECORDS]
    assert web.asked[0].params["kind"] == "book"
    if "size_param" in changes:
        assert {a.params["size"] for a in web.asked} == {"5"}


def test_pages_that_end_with_404(source: Source, web: Web) -> None:
    web.pages["/things"] = lambda a: paged(a) if int(a.params["page"]) < 5 else (404, {}, b"")
    assert len(ids(source(records="things", paging="page"))) == 7


def test_a_first_page_of_404_is_an_error(source: Source) -> None:
    with pytest.raises(SourceUnavailable, match="404"):
        read_all(source(records="things", paging="page"))


def read_all(dataset: Dataset) -> None:
    for _ in read(dataset, None):
        pass


@pytest.mark.parametrize(
    "changes",
    [
        {"paging": "page"},
        {"paging": "offset", "page_param": "start"},
        {"paging": "cursor", "next": "meta.next"},
        {"paging": "link"},
    ],
)
def test_a_page_that_comes_for_ever_is_noticed(changes: Any, source: Source, web: Web) -> None:
    web.pages["/things"] = lambda a: js(
        {"things": RECORDS[:2], "meta": {"next": "same"}, "asked": a.params},
        Link='</things?x=1>; rel="next"',
    )
    with pytest.raises(SourceMalformed, match="never end"):
        read_all(source(records="things", **changes))
    assert len(web.asked) <= 3


def test_more_pages_than_allowed_is_an_error(source: Source, web: Web) -> None:
    web.pages["/things"] = paged
    with pytest.raises(SourceUnavailable, match="more than 3 pages"):
        read_all(source(records="things", paging="page", max_pages=3))


def test_a_next_page_elsewhere_is_refused(source: Source, web: Web) -> None:
    web.pages["/things"] = lambda _: js(RECORDS, Link='<http://127.0.0.1:9/x>; rel="next"')
    with pytest.raises(SourceMalformed, match="elsewhere"):
        read_all(source(paging="link"))


def test_csv_is_read_and_ragged_records_are_named(source: Source, web: Web) -> None:
    body = '\ufeffid;who.name\r\n1;"a\r\nb;c"\r\n2\r\n3;ä\r\n'.encode()
    web.pages["/things"] = lambda _: (200, {"Content-Type": "text/csv; charset=UTF-8"}, body)
    assert table(source()) == [
        {"id": "1", "who.name": "a\r\nb;c", "_fault": None},
        {
            "id": "2",
            "who.name": None,
            "_fault": "The record has 1 fields where the header has 2.",
        },
        {"id": "3", "who.name": "ä", "_fault": None},
    ]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"<html>", "text/html", "is no (whole )?JSON"),
        (b'[{"id": 1}, {"id"', "application/json", "is no (whole )?JSON"),
        (b"", "application/json", "is no (whole )?JSON"),
        (b'{"items": []}', "application/json", "holds nothing at `things`"),
        (b'{"things": 1}', "application/json", "holds nothing at `things`"),
        (b"a,b\n\xff\xfe,1\n", "text/csv", "answers no CSV"),
        (b"a,b\n1,2\n", "text/csv; charset=klingon", "answers no CSV"),
        (b'a,b\n1,"2\n', "text/csv", "answers no CSV"),
        (b"a,a\n1,2\n", "text/csv", "twice"),
    ],
)
def test_what_is_no_answer_is_named(
    body: bytes, kind: str, message: str, source: Source, web: Web
) -> None:
    web.pages["/things"] = lambda _: (200, {"Content-Type": kind}, body)
    with pytest.raises(SourceMalformed, match=message):
        read_all(source(records="things"))


def test_no_records_are_no_error(source: Source, web: Web) -> None:
    web.pages["/things"] = lambda _: js({"things": []})
    dataset = source(records="things")
    assert [counts(r)[0] for r in load(dataset)] == [0]


def signed(asked: Asked) -> Reply:
    token = base64.b64encode(f"me:{SECRET}".encode()).decode()
    if asked.path == "/token" and asked.body.startswith("{"):
        good = json.loads(asked.body) == {"username": "me", "password": SECRET}
        cookie = {"Set-Cookie": "access=t0k3n-of-an-hour; Max-Age=600; HttpOnly; SameSite=None"}
        return (201, OK | cookie, b"{}") if good else (422, {}, b"")
    if asked.path == "/token":
        assert asked.body == "grant_type=client_credentials"
        good = asked.headers["authorization"] == f"Basic {token}"
        return js({"access_token": "t0k3n-of-an-hour"}) if good else (401, {}, b"")
    fits = {f"Bearer {SECRET}", f"Basic {token}", "Bearer t0k3n-of-an-hour"}
    keys = {SECRET, "t0k3n-of-an-hour"}
    good = asked.headers.get("authorization") in fits or asked.headers.get("x-key") in keys
    return js(RECORDS) if good else (401, {}, SECRET.encode())


WAYS = {
    "bearer": ({}, SECRET),
    "basic": ({}, f"me:{SECRET}"),
    "key": ({"key_header": "X-Key"}, SECRET),
    "oauth": ({"token_url": "TOKEN"}, f"me:{SECRET}"),
    "login": (
        {"token_url": "TOKEN", "token": "access", "key_header": "X-Key"},
        f"https://me:{quote(SECRET, safe='')}@host/tenant",
    ),
}


@pytest.mark.parametrize("auth", WAYS)
def test_every_way_of_signing_in(
    auth: str, source: Source, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, value = WAYS[auth]
    if "token_url" in changes:
        changes = changes | {"token_url": f"{web.url}/token"}
    monkeypatch.setenv("CARREL_SECRET_THE_API", value)
    web.pages |= {"/things": signed, "/token": signed}
    assert len(ids(source(auth=auth, secret="the_api", **changes))) == 7  # pragma: allowlist secret


@pytest.mark.parametrize(
    "reply",
    [
        (201, OK | {"X-Token": "t0k3n"}, b"{}"),
        (201, OK, b'{"x-token": "t0k3n", "more": [1]}'),
        (201, OK | {"Set-Cookie": "other=1; x-token=2"}, b'["x-token"]'),
    ],
)
def test_a_token_is_found_in_header_or_body(
    reply: Reply, source: Source, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARREL_SECRET_THE_API", "me:pw")
    web.pages |= {"/in": lambda _: reply, "/things": lambda _: js(RECORDS)}
    named = {"auth": "login", "secret": "the_api", "token": "x-token"}  # pragma: allowlist secret
    dataset = source(**named, token_url=f"{web.url}/in", headers={"X-Tenant": "diku"})
    if b"[" in reply[2][:1]:
        with pytest.raises(SourceMalformed, match="answers no 'x-token'"):
            read_all(dataset)
        return
    assert len(ids(dataset)) == 7
    (asked,) = web.of("/things")
    assert (asked.headers["x-api-key"], asked.headers["x-tenant"]) == ("t0k3n", "diku")


@pytest.mark.parametrize("lasts", [2, 0])
def test_a_token_that_runs_out_is_renewed(
    lasts: int, source: Source, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARREL_SECRET_THE_API", "me:pw")
    given: dict[str, int] = {}

    def login(_: Asked) -> Reply:
        given[f"t{len(given)}"] = lasts
        return js({"token": f"t{len(given) - 1}"})

    def page(asked: Asked) -> Reply:
        token = asked.headers["x-api-key"]
        given[token] -= 1
        if given[token] < 0:
            return 401, {}, b""
        at = int(asked.params["page"])
        return js([{"id": n} for n in range(at * 2, at * 2 + 2)] if at < 6 else [])

    web.pages |= {"/in": login, "/things": page}
    named = {"auth": "login", "secret": "the_api"}  # pragma: allowlist secret
    dataset = source(**named, token_url=f"{web.url}/in", paging="page", first_page=0)
    if lasts:
        assert len(ids(dataset)) == 12
        assert len(given) == 4
    else:
        with pytest.raises(SourceUnavailable, match="401"):
            ids(dataset)


@pytest.fixture
def seen(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[], str]:
    """What was printed or logged, at any level."""
    monkeypatch.setenv("CARREL_SECRET_THE_API", "")
    caplog.set_level(logging.DEBUG)
    return lambda: "\n".join([caplog.text, *capfd.readouterr()])


@pytest.mark.parametrize("auth", WAYS)
@pytest.mark.parametrize("status", [401, 500, 200])
def test_secrets_stay_out_of_errors_logs_and_files(
    status: int,
    auth: str,
    source: Source,
    web: Web,
    seen: Callable[[], str],
) -> None:
    changes, value = WAYS[auth]
    if "token_url" in changes:
        changes = changes | {"token_url": f"{web.url}/token"}
    os.environ["CARREL_SECRET_THE_API"] = value
    web.pages["/token"] = signed
    web.pages["/things"] = lambda a: (status, {}, f'["{a.headers}'.encode())
    named = {"auth": auth, "secret": "the_api"}  # pragma: allowlist secret
    with pytest.raises(CarrelError) as error:
        load(source(**named, records="x", **changes))
    written = [p.read_text("utf-8", "replace") for p in _files(settings().home)]
    cause = f"{error.value!r} {error.value} {error.value.__cause__!r}"
    everything = "\n".join([seen(), cause, *written])
    hidden = (SECRET, "t0k3n", base64.b64encode(value.encode()).decode())
    assert not [word for word in hidden if word in everything]
    assert "127.0.0.1" in everything


def _files(home: Path) -> list[Path]:
    kinds = ("spool", "files", "answers", "logs")
    return [p for kind in kinds for p in (home / kind).rglob("*") if p.is_file()]


API, NONE = {"secret": "api"}, {"secret": "none"}  # pragma: allowlist secret


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (({"auth": "bearer"}, "x"), "needs `secret`"),
        (({"auth": "basic"} | API, "nocolon"), "name:password"),
        (({"auth": "oauth"} | API, "a:b"), "token_url"),
        (({"auth": "login"} | API, "a:b"), "token_url"),
        (({"auth": "login", "token_url": "http://127.0.0.1/in"} | API, "nocolon"), "name:password"),
        (({"auth": "login", "token_url": "http://other.example/in"} | API, "a:b"), "is sent to"),
        (({"auth": "bearer"} | API, "a\nb"), "no header may hold"),
        (({"auth": "bearer"} | NONE, "x"), "CARREL_SECRET_NONE"),
        (({"paging": "cursor"}, "x"), "needs `next`"),
    ],
)
def test_what_is_missing_is_named(
    case: Any, message: str, source: Source, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, value = case
    monkeypatch.setenv("CARREL_SECRET_API", value)
    web.pages["/things"] = lambda _: js(RECORDS)
    with pytest.raises(ConfigurationError, match=re.escape(message)) as error:
        read_all(source(**changes))
    assert "nocolon" not in str(error.value)


def test_an_unchanged_answer_is_not_sent_again(source: Source, web: Web) -> None:
    state = {"etag": '"1"', "records": RECORDS}
    sent: list[int] = []

    def page(asked: Asked) -> Reply:
        if asked.headers.get("if-none-match") == state["etag"]:
            return 304, {"ETag": str(state["etag"])}, b""
        sent.append(1)
        return js(state["records"], ETag=str(state["etag"]))

    web.pages["/things"] = page
    dataset = source(mode="snapshot")
    assert [counts(r)[:2] for r in load(dataset)] == [(7, 7)]
    assert load(dataset) == []
    assert (len(sent), len(web.asked)) == (1, 2)
    assert len(rows(dataset)) == 7
    state |= {"etag": '"2"', "records": RECORDS[:6]}
    assert [counts(r)[3] for r in load(dataset)] == [1]
    (kept,) = (settings().home / "answers" / dataset.table).iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()
    assert len(table(dataset)) == 6
    assert len(sent) == 3


def test_an_api_that_fails_half_way_changes_nothing(source: Source, web: Web) -> None:
    dataset = source(mode="snapshot", records="things", paging="page")
    web.pages["/things"] = paged
    load(dataset)
    web.pages["/things"] = lambda a: paged(a) if a.params["page"] == "1" else (500, {}, b"")
    with pytest.raises(SourceUnavailable, match="500"):
        load(dataset)
    assert len(rows(dataset)) == 7
