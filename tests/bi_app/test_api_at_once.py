"""The REST API while much goes on at once: loads, keys that end, new signing keys, a kill."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bi_app.auth import callers, short_tokens
from bi_app.auth.callers import find, forget, known
from bi_app.auth.token_keys import rotate
from tests.bi_app import fix_api
from tests.bi_app.fix_api import PREFIX, UNBOUND
from tests.bi_app.fix_app import Served, filled
from tests.bi_app.test_ending import locked, until, waiting
from tests.bi_app.test_people import execute
from tests.fix_warehouse import NONE, use

CIRCULATION = "gold.library_circulation"


@pytest.fixture(scope="module")
def busy(template: str) -> Iterator[str]:
    """A library of its own: what is published here, others would see."""
    with filled("carrel_busy", template) as name:
        yield name


@pytest.fixture
def at_busy(busy: str) -> Iterator[str]:
    use(busy)
    yield busy
    use(NONE)


@pytest.fixture(scope="module")
def served(busy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with fix_api.serving(busy, tmp_path_factory.mktemp("busy"), **UNBOUND) as found:
        yield found


def client_of(served: Served, credential: str) -> httpx.Client:
    head = {"Authorization": f"Bearer {credential}"}
    return httpx.Client(base_url=served.base + PREFIX, headers=head, timeout=60)


@pytest.fixture
def admin(served: Served) -> Iterator[httpx.Client]:
    token = fix_api.sign_in(served, "admin").json()["access_token"]
    with client_of(served, token) as client:
        yield client


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread, for the length of the `with`."""
    over = threading.Event()
    faults: list[BaseException] = []

    def again() -> None:
        try:
            while not over.is_set():
                work()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
    assert not faults, faults


# Loads --------------------------------------------------------------------------------------------


def test_an_etag_stands_for_one_answer_while_loads_land(
    at_busy: str, served: Served, admin: httpx.Client
) -> None:
    # Ten seconds, since the API looks up publications every few.
    path, bodies, faults = "/measures/overview.figures?period=all", dict[str, bytes](), list[str]()

    def publish() -> None:
        execute(f"update {CIRCULATION} set checkouts = checkouts + 1 where day = (select max(day)"
                f" from {CIRCULATION}) and branch_code = 'CEN'")  # fmt: skip
        execute("update ops.publications set published_at = clock_timestamp()")
        time.sleep(0.4)

    def total(body: bytes) -> int:
        found = re.search(rb'"name": "checkouts".*?"value": (\d+)', body)
        assert found
        return int(found[1])

    def read(_: int) -> None:
        last, etag, end = 0, "", time.monotonic() + 10
        while time.monotonic() < end:
            head = {"If-None-Match": etag} if etag else {}
            answer = admin.get(path, headers=head)
            if answer.status_code == 304:
                if answer.headers["etag"] != etag or answer.content:
                    faults.append("304 for what was not asked")
                continue
            etag, body = answer.headers["etag"], answer.content
            if bodies.setdefault(etag, body) != body:
                faults.append("one ETag for two answers")
            if total(body) < last:
                faults.append("an older answer after a newer one")
            last = total(body)

    with meanwhile(publish), ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    assert faults == []
    assert len(bodies) > 1
    (wanted,) = execute(f"select sum(checkouts)::bigint from {CIRCULATION}")[0]
    until(lambda: total(admin.get(path).content) == wanted, 15)


def test_pages_are_whole_while_a_load_lands(at_busy: str, admin: httpx.Client) -> None:
    """Rows that stay are read once and in order, whatever comes and goes around them."""
    columns = "branch_code, day, hour"
    where = "where branch_code in ('ASH', 'BEL') and day >= (select max(day) - 20 from"
    where += f" {CIRCULATION} where branch_code = 'CEN')"
    keys = f"select {columns} from {CIRCULATION} {where}"
    stay = [tuple(map(str, r)) for r in execute(f"{keys} order by 1, 2, 3")]
    first = execute(f"select (max(day) - 20)::text from {CIRCULATION} where branch_code='CEN'")[0][
        0
    ]
    turn = iter(range(10**6))

    def load() -> None:
        """The rows written anew, as a load does, with others among them or not."""
        extra = (
            f"insert into {CIRCULATION} select 'BEA', day, hour, checkouts, renewals, returns,"
            f" in_house_uses from {CIRCULATION} where branch_code = 'BEL' on conflict do nothing"
            if next(turn) % 2 else f"delete from {CIRCULATION} where branch_code = 'BEA'"
        )  # fmt: skip
        execute(f"update {CIRCULATION} set checkouts = checkouts; {extra}")

    asked = {"filter": [f"day:ge:{first}", "branch_code:ne:CEN"], "limit": "40", "columns":
             columns.replace(" ", "")}  # fmt: skip
    found, path = [], f"/datasets/{CIRCULATION}/rows"
    with meanwhile(load):
        told = admin.get(path, params=asked).json()
        while True:
            found += [tuple(str(r[c]) for c in columns.split(", ")) for r in told["items"]]
            if told["next"] is None:
                break
            told = admin.get(told["next"].removeprefix(PREFIX)).json()
    seen = [r for r in found if r[0] in ("ASH", "BEL")]
    assert seen == stay
    assert found == sorted(found, key=lambda r: (r[0], r[1], int(r[2])))


# Requests that act --------------------------------------------------------------------------------


def keys_named(name: str) -> int:
    return int(execute("select count(*) from app.api_keys where name = %s", name)[0][0])


def test_two_equal_requests_at_once_are_done_once(at_busy: str, admin: httpx.Client) -> None:
    name = f"once {time.time()}"
    asked, head = {"name": name, "scopes": ["read"]}, {"Idempotency-Key": f"k{time.time()}"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: admin.post("/api-keys", json=asked, headers=head), range(8))
        )
    assert {a.status_code for a in answers} <= {201, 409}
    assert keys_named(name) == 1
    made = [a.json() for a in answers if a.status_code == 201]
    assert len({m["key_id"] for m in made}) == 1
    assert sum(m.get("key") is not None for m in made) == 1, "it is shown once"
    again = admin.post("/api-keys", json=asked, headers=head)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")


def test_a_request_that_a_kill_cut_off_is_not_done_twice(
    at_busy: str, admin: httpx.Client, tmp_path: Path
) -> None:
    name, head = f"cut {time.time()}", {"Idempotency-Key": f"c{time.time()}"}
    asked = {"name": name, "scopes": ["read"]}
    with fix_api.serving(at_busy, tmp_path, **UNBOUND) as other, ThreadPoolExecutor(1) as pool:
        token = fix_api.sign_in(other, "admin").json()["access_token"]
        with client_of(other, token) as doomed, locked("app.api_keys") as lock:
            sent = pool.submit(doomed.post, "/api-keys", json=asked, headers=head)
            until(lambda: waiting(lock) > 0)
            other.process.kill()
            other.process.wait()
        assert isinstance(sent.exception(60), httpx.TransportError)
    again = admin.post("/api-keys", json=asked, headers=head)
    assert (again.status_code, "under way" in again.text) == (409, True)
    row = "where key = %s"
    execute(f"update app.answers set at = at - interval '2 minutes' {row}", head["Idempotency-Key"])
    later = admin.post("/api-keys", json=asked, headers=head)
    assert (later.status_code, "another key" in later.text) == (409, True)
    assert keys_named(name) <= 1
    before = keys_named(name)
    execute(f"update app.answers set at = at - interval '1 day' {row}", head["Idempotency-Key"])
    assert admin.post("/api-keys", json=asked, headers=head).status_code == 201
    assert keys_named(name) == before + 1


# Who calls ----------------------------------------------------------------------------------------


def test_a_key_that_ends_under_load_ends_at_once(
    at_busy: str, served: Served, admin: httpx.Client
) -> None:
    made = admin.post("/api-keys", json={"name": "short", "scopes": ["read"]}).json()
    ended: list[float] = []
    late: list[tuple[float, int]] = []

    def read(_: int) -> None:
        with client_of(served, made["key"]) as client:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                began = time.monotonic()
                late.append((began, client.get("/me").status_code))

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read, n) for n in range(6)]
        until(lambda: sum(status == 200 for _, status in late) > 30)
        assert admin.delete(f"/api-keys/{made['key_id']}").status_code == 204
        ended.append(time.monotonic())
        for reader in readers:
            reader.result()
    after = {status for began, status in late if began > ended[0]}
    assert after == {401}


def test_what_was_looked_up_before_a_change_is_not_kept_after_it(
    at_busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = callers.make_key(1, "race", ["read"], 1)
    look = callers._of_key

    def slow(digest: bytes) -> Any:
        found = look(digest)
        forget()  # in another thread a key ends while this one is still being looked up
        return found

    monkeypatch.setattr(callers, "_of_key", slow)
    assert find(key)
    assert known(key) is None
    monkeypatch.undo()
    assert find(key)
    assert known(key)


def test_signing_keys_are_changed_while_requests_run(at_busy: str, served: Served) -> None:
    statuses: list[int] = []

    def sign_in_and_read(_: int) -> None:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            made = fix_api.sign_in(served, "member")
            statuses.append(made.status_code)
            if made.status_code == 200:
                with client_of(served, made.json()["access_token"]) as client:
                    statuses.extend(client.get("/me").status_code for _ in range(5))

    before = fix_api.sign_in(served, "admin").json()["access_token"]
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(sign_in_and_read, n) for n in range(3)]
        time.sleep(1.5)
        rotate()
        for reader in readers:
            reader.result()
    assert set(statuses) == {200}
    assert len(statuses) > 10
    with client_of(served, before) as client:
        assert client.get("/me").status_code == 200


@pytest.mark.parametrize(
    ("skew", "good"),
    [
        (0, True),
        (short_tokens.LEEWAY - 2, True),
        (short_tokens.LEEWAY + 3, False),
        (-short_tokens.SECONDS - short_tokens.LEEWAY + 2, True),
        (-short_tokens.SECONDS - short_tokens.LEEWAY - 2, False),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(skew: int, good: bool) -> None:
    session = "00000000-0000-4000-8000-000000000000"
    token = short_tokens.issue(7, session, now=time.time() + skew)
    assert (short_tokens.read(token) is not None) == good
