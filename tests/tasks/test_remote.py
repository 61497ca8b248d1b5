"""Remote hosts: tried again, left alone, refused; secrets stay secret. On a real server."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import time
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from deployments.stack import failing_hosts
from tasks.breaker import breakers, guarded
from tasks.remote import Client, Refused, public, retry_after
from tests.tasks.conftest import ask
from tests.tasks.fix_web import Asked, Reply, Web
from warehouse.errors import (
    CircuitBreakerOpen,
    ConfigurationError,
    SourceUnavailable,
)
from warehouse.settings import secret, settings

pytestmark = pytest.mark.usefixtures("database")


def get(web: Web, path: str = "/", **headers: str) -> bytes:
    with Client(web.url + path, 2) as client:
        if headers:
            client.trust(**headers)
        with client.get(web.url + path).body as body:
            return body.read()


def after(failures: int, status: int = 503, **extra: str) -> Any:
    """A page that answers only after so many failures."""
    left = [status] * failures

    def page(_: Asked) -> Reply:
        return (left.pop(), extra, b"") if left else (200, {}, b"ok")

    return page


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_passes_is_tried_again(web: Web, status: int) -> None:
    web.pages["/"] = after(3, status)
    assert get(web) == b"ok"
    assert len(web.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_does_not_pass_is_not(web: Web, status: int) -> None:
    web.pages["/"] = after(1, status)
    with pytest.raises(Refused, match=str(status)):
        get(web)
    assert len(web.asked) == 1
    assert breakers() == []


def test_certificates_are_read_once_a_host(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.pages["/"] = after(0)
    made: list[object] = []
    plain = httpx.HTTPTransport
    monkeypatch.setattr(httpx, "HTTPTransport", lambda **how: made.append(how) or plain(**how))
    with Client(web.url) as client:
        for _ in range(3):
            client.get(web.url).body.close()
    assert len(web.asked) == 3
    assert len(made) == 1


def test_attempts_end(web: Web) -> None:
    web.pages["/"] = after(99)
    with pytest.raises(SourceUnavailable, match="503"):
        get(web)
    assert len(web.asked) == 4


def test_retry_after_is_honoured(web: Web) -> None:
    web.pages["/"] = after(1, 429, **{"Retry-After": "1"})
    began = time.monotonic()
    assert get(web) == b"ok"
    assert time.monotonic() - began >= 1


def test_a_host_that_asks_for_an_hour_is_not_waited_for(web: Web) -> None:
    web.pages["/"] = after(1, 429, **{"Retry-After": "3600"})
    with pytest.raises(SourceUnavailable, match="3600 s"):
        get(web)
    assert len(web.asked) == 1


def test_retry_after_may_be_a_date() -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
    assert 55 < (retry_after(format_datetime(soon, usegmt=True)) or 0) <= 60
    assert retry_after("Mon, 01 Jan 2001 00:00:00 GMT") == 0
    assert retry_after("soon") is retry_after(None) is None


def test_a_broken_connection_is_tried_again(web: Web) -> None:
    def half(_: Asked) -> Reply:
        if len(web.asked) == 1:
            raise ConnectionAbortedError
        if len(web.asked) == 2:
            return 200, {"Content-Length": "10"}, b"half"
        return 200, {}, b"whole"

    web.pages["/"] = half
    assert get(web) == b"whole"


def test_a_breaker_opens_fails_at_once_and_closes(web: Web, setting: Any) -> None:
    setting(breaker_failures=3, breaker_pause_s=0.5, remote_attempts=2)
    web.pages["/"] = after(3)
    with pytest.raises(SourceUnavailable, match="503"):
        get(web)
    with pytest.raises(CircuitBreakerOpen, match=r"failed 3 times.*not asked before 20"):
        get(web)
    asked = len(web.asked)
    with pytest.raises(CircuitBreakerOpen) as open_:
        get(web)
    assert len(web.asked) == asked == 3
    assert open_.value.host == web.host
    assert open_.value.exit_code == 3
    assert ask("select host, state, failures from ops.breakers") == [(web.host, "open", 3)]
    (line,) = failing_hosts()
    assert web.host in line
    assert "open: failed 3 times" in line
    time.sleep(0.5)
    assert get(web) == b"ok"
    assert ask("select state, failures, until from ops.breakers") == [("closed", 0, None)]
    assert failing_hosts() == []


def half_open(web: Web, setting: Any, failures: int) -> None:
    """A host that failed once, and whose pause of 0.2 s is over."""
    setting(breaker_failures=1, breaker_pause_s=0.2, remote_attempts=1)
    web.pages["/"] = after(failures)
    with pytest.raises(SourceUnavailable):
        get(web)
    time.sleep(0.2)


def test_only_one_tries_a_half_open_host(web: Web, setting: Any) -> None:
    half_open(web, setting, failures=2)
    with guarded(web.host):
        assert ask("select state from ops.breakers") == [("half-open",)]
        with pytest.raises(CircuitBreakerOpen):
            get(web)
    with pytest.raises(SourceUnavailable, match="503"):
        get(web)
    with pytest.raises(CircuitBreakerOpen):
        get(web)


def test_a_killed_try_does_not_close_the_door_for_ever(web: Web, setting: Any) -> None:
    half_open(web, setting, failures=1)
    guarded(web.host).__enter__()
    time.sleep(0.2)
    assert get(web) == b"ok"


@pytest.mark.parametrize("hosts", ["", "example.org", "*.0.0.1"])
def test_loopback_is_refused_unless_named(web: Web, hosts: str, setting: Any) -> None:
    setting(http_hosts=hosts)
    with pytest.raises(ConfigurationError, match="CARREL_HTTP_HOSTS"):
        get(web)
    assert web.asked == []


def test_a_name_that_resolves_to_loopback_is_refused(web: Web, setting: Any) -> None:
    setting(http_hosts="")
    url = web.url.replace("127.0.0.1", "localhost")
    with Client(url) as client, pytest.raises(ConfigurationError, match="private address"):
        client.get(url)
    setting(http_hosts="localhost")
    web.pages["/"] = lambda _: (200, {}, b"ok")
    with Client(url) as client, client.get(url).body as body:
        assert body.read() == b"ok"
    assert web.asked[0].headers["host"] == url.removeprefix("http://")


def test_a_redirect_to_another_door_is_refused(web: Web) -> None:
    for place in ("http://169.254.169.254/", "http://[::1]/", "http://10.0.0.1/", "file:///etc"):
        web.pages["/"] = lambda _, p=place: (302, {"Location": p}, b"")
        with pytest.raises((ConfigurationError, SourceUnavailable)):
            get(web)
    web.pages["/"] = lambda _: (302, {"Location": "/"}, b"")
    with pytest.raises(SourceUnavailable, match="redirects more than"):
        get(web)


def test_a_secret_does_not_follow_a_redirect_elsewhere(web: Web, setting: Any) -> None:
    setting(http_hosts="127.0.0.1,localhost")
    other = web.url.replace("127.0.0.1", "localhost")
    web.pages["/"] = lambda _: (302, {"Location": "/here"}, b"")
    web.pages["/here"] = lambda _: (307, {"Location": f"{other}/there"}, b"")
    web.pages["/there"] = lambda _: (200, {}, b"ok")
    sent = {"X_Api_Key": "s3cret", "Authorization": "Bearer s3cret"}  # pragma: allowlist secret
    assert get(web, **sent) == b"ok"
    assert [a.headers.get("x-api-key") for a in web.asked] == ["s3cret", "s3cret", None]
    assert [a.headers.get("authorization") is None for a in web.asked] == [False, False, True]


def test_a_huge_answer_is_cut_off_packed_or_not(web: Web, setting: Any) -> None:
    setting(http_max_mb=1)
    for extra, body in (
        ({}, b"x" * 1_100_000),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"x" * 30_000_000)),
    ):
        web.pages["/"] = lambda _, e=extra, b=body: (200, e, b)
        with pytest.raises(SourceUnavailable, match="more than 1 MB"):
            get(web)


PRIVATE = (
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 ::1 ::"
    " fe80::1%eth0 fd00::1 ::ffff:127.0.0.1 2002:7f00:1:: 64:ff9b::7f00:1"
)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_which_addresses_are_private(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_which_addresses_are_public(address: str) -> None:
    assert public(address)


WRONG = ["ftp://a/", "http://u:pa55@a/", "a", "http://"]  # pragma: allowlist secret


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_a_setting_to_mend(url: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Client(url)
    assert "pa55" not in str(error.value)


def test_a_secret_is_not_sent_unencrypted_to_just_anyone(setting: Any) -> None:
    setting(http_hosts="")
    with Client("http://example.org/") as client, pytest.raises(ConfigurationError, match="unencr"):
        client.trust(Authorization="Bearer s3cret")


def test_secrets_come_from_the_environment_or_a_file_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = settings().home / "secrets" / "api"
    with pytest.raises(ConfigurationError, match=r"CARREL_SECRET_API.*chmod 600"):
        secret("api")
    path.parent.mkdir(exist_ok=True)
    path.write_text("from file\n")
    os.chmod(path, 0o644)
    with pytest.raises(ConfigurationError, match="read by others") as error:
        secret("api")
    assert "from file" not in str(error.value)
    path.chmod(0o600)
    assert secret("api") == "from file"
    monkeypatch.setenv("CARREL_SECRET_API", "from env")
    assert secret("api") == "from env"
    path.unlink()
    with pytest.raises(ConfigurationError):
        secret("../settings")
