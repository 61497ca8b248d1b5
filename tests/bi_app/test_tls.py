"""TLS, real addresses behind proxies, safe headers, and starts that are refused."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

from bi_app.api.rest import problems
from bi_app.auth import exposure, origin
from bi_app.serve import command, environment
from deployments import stack
from deployments.cli import app as carrel
from tests.bi_app.client import TOKEN, Client
from tests.bi_app.fix_app import EMAILS, PASSWORD
from tests.bi_app.fix_tls import PROXY, Sealed, certificate, sealed
from tests.certificates import Files, self_signed
from tests.ports import free_port
from warehouse.audit_chain import Wanted, entries
from warehouse.errors import ConfigurationError
from warehouse.settings import ROOT, settings

__all__ = ["certificate", "sealed"]
POSTGRES = "postgresql://postgres:{}@db.example:5432/carrel"
Setting = Callable[..., None]


def sign_in(client: httpx.Client) -> httpx.Response:
    token = TOKEN.search(client.get("/sign-in").text)
    data = {"email": EMAILS["librarian"], "password": PASSWORD, "token": token[1] if token else ""}
    return client.post("/sign-in", data=data)


def came_from() -> str:
    return str(next(entries(Wanted(act="sign_in"), newest=1))["address"])


def test_cookies_are_secure_and_browsers_told_to_stay(here: str, sealed: Sealed) -> None:
    with sealed.client() as client:
        answer = sign_in(client)
        assert answer.status_code == 303
        cookie = next(c for c in answer.headers.get_list("set-cookie") if "carrel_session" in c)
        assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {p.strip() for p in cookie.split(";")}
        page = client.get("/overview")
        assert page.status_code == 200
        for headers in (answer.headers, page.headers, client.get("/").headers):
            assert headers["strict-transport-security"] == "max-age=63072000"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert "Tornado" not in headers["server"]
            policy = headers["content-security-policy"]
            assert "object-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert " ws:" not in policy


def test_a_page_opens_over_its_websocket(here: str, sealed: Sealed) -> None:
    with sealed.client() as http:
        assert sign_in(http).status_code == 303
        client = Client(sealed.base)
        client.http.close()
        client.http = http
        token = client.token("/overview")

        def socket(origin: str) -> Any:
            return open_socket(
                sealed.base.replace("https", "wss") + "/overview/ws",
                subprotocols=["bokeh", token],  # type: ignore[list-item]
                additional_headers={"Cookie": client.cookie},
                origin=origin,  # type: ignore[arg-type]
                ssl=sealed.trust,
                max_size=None,
            )

        with pytest.raises(InvalidStatus):
            socket("https://elsewhere.example")
        with socket(sealed.base) as opened:
            assert "ACK" in str(opened.recv(30))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(sealed: Sealed, version: ssl.TLSVersion) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        old.minimum_version = old.maximum_version = version
    with pytest.raises(ssl.SSLError):
        _handshake(sealed, old)
    newer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    newer.check_hostname, newer.verify_mode = False, ssl.CERT_NONE
    newer.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _handshake(sealed, newer) == "TLSv1.2"


def _handshake(sealed: Sealed, context: ssl.SSLContext) -> str | None:
    port = int(sealed.base.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain) as s,
    ):
        return s.version()


def test_nothing_is_told_without_tls(sealed: Sealed) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(sealed.base.replace("https", "http") + "/health", timeout=10)


@pytest.mark.parametrize(
    ("source", "said", "real"),
    [
        ("127.0.0.1", "203.0.113.5", "127.0.0.1"),  # made up by a browser
        (PROXY, "203.0.113.5", "203.0.113.5"),
        (PROXY, "9.9.9.9, 203.0.113.5", "203.0.113.5"),  # 9.9.9.9 is what the browser made up
        (PROXY, "<script>", PROXY),
    ],
)
def test_addresses_are_believed_from_declared_proxies(
    here: str, sealed: Sealed, source: str, said: str, real: str
) -> None:
    with sealed.client(source, **{"X-Forwarded-For": said, "X-Real-IP": "6.6.6.6"}) as client:
        assert sign_in(client).status_code == 303
    assert came_from() == real


@pytest.mark.parametrize(
    ("trusted", "peer", "hops", "real"),
    [
        ("", "10.0.0.5", "1.2.3.4", "10.0.0.5"),
        ("10.0.0.0/8", "10.0.0.5", "1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.0.0.5", "10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", "10.0.0.5", "10.0.0.5"),
        ("::1, 10.0.0.5", "::1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.5", "10.0.0.5", "1.2.3.4:5678", "1.2.3.4"),
        ("10.0.0.5", "10.0.0.5", "1.2.3.4, unknown", "10.0.0.5"),
        ("10.0.0.5", "", "1.2.3.4", ""),
    ],
)
def test_the_browsers_address(
    setting: Setting, trusted: str, peer: str, hops: str, real: str
) -> None:
    setting(trusted_proxies=trusted)
    assert origin.real_address(peer, {"X-Forwarded-For": hops} if hops else {}) == real


def test_the_api_believes_declared_proxies_alone(setting: Setting) -> None:
    said = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4")]
    request = Request({"type": "http", "client": ("127.0.0.1", 1), "headers": said})
    assert problems.address(request) == "127.0.0.1"
    setting(trusted_proxies="127.0.0.1")
    assert problems.address(request) == "1.2.3.4"


def test_a_proxys_tls_counts_as_ours(setting: Setting) -> None:
    setting(trusted_proxies="10.0.0.5")
    sealed = {"X-Forwarded-Proto": "https"}
    assert origin.real_scheme("10.0.0.5", "http", sealed) == "https"
    assert origin.real_scheme("10.0.0.6", "http", sealed) == "http"
    assert origin.real_scheme("10.0.0.5", "http", {"X-Forwarded-Proto": "https, http"}) == "http"
    setting(trusted_proxies="the proxy")
    with pytest.raises(ConfigurationError, match="CARREL_TRUSTED_PROXIES"):
        origin.is_trusted("10.0.0.5")


def test_our_own_proxy_speaks_tls_and_knows_declared_ones(
    certificate: Files, setting: Setting
) -> None:
    """Before a real web server that echoes what it is told."""
    setting(trusted_proxies=PROXY)
    ports = [free_port(), free_port()]
    backend = subprocess.Popen(
        [*PYTHON, "-m", "tests.deployments.fix_backend", str(ports[1]), "one"], cwd=ROOT
    )
    files = ["--ssl-certfile", str(certificate.certificate), "--ssl-keyfile", str(certificate.key)]
    to = ["--port", str(ports[0]), "--to", str(ports[1])]
    proxy = subprocess.Popen([*PYTHON, "-m", "deployments.proxy", *to, *files], cwd=ROOT)
    trust = ssl.create_default_context(cafile=str(certificate.certificate))
    served = Sealed(f"https://127.0.0.1:{ports[0]}", trust, Path())
    try:
        told = {source: _echo(served, source) for source in ("127.0.0.1", PROXY)}
    finally:
        for one in (proxy, backend):
            one.terminate()
            one.wait(20)
    assert "127.0.0.1" in told["127.0.0.1"]
    assert "203.0.113.5" not in told["127.0.0.1"]
    assert "203.0.113.5" in told[PROXY]
    assert all("https" in one for one in told.values())


PYTHON = [command(1)[0]]


def _echo(served: Sealed, source: str) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            with served.client(source, **{"X-Forwarded-For": "203.0.113.5"}) as client:
                answer = client.get("/echo")
        except httpx.TransportError:
            assert time.monotonic() < end
        else:
            if answer.status_code != 503:
                return answer.text
        time.sleep(0.1)


# Starts that are refused -------------------------------------------------------------------------


def refused(*, demo: bool = False) -> str:
    return " ".join(fault for fault, _ in exposure.found(demo=demo))


def test_loopback_starts(setting: Setting) -> None:
    assert refused() == ""
    assert refused(demo=True) == ""


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.1", "desk.example.org"])
def test_beyond_loopback_needs_tls_and_no_demo(
    setting: Setting, certificate: Files, listen: str
) -> None:
    setting(app_listen=listen)
    assert "unsealed" in refused()
    assert "CARREL_APP_URL" in str(_refusal())
    setting(app_url="https://desk.example.org")
    assert "unsealed" in refused()
    setting(trusted_proxies="10.0.0.5")
    assert refused() == ""
    setting(trusted_proxies="")
    setting(tls_certificate=certificate.certificate, tls_key=certificate.key)
    assert refused() == ""
    assert "demo" in refused(demo=True)


def _refusal() -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        exposure.check(demo=False)
    return caught.value


@pytest.mark.parametrize("password", ["postgres", "Password", "changeme", "POSTGRES"])
def test_well_known_passwords_are_refused_outside_a_demo(setting: Setting, password: str) -> None:
    setting(database_url=POSTGRES.format(password))
    assert "CARREL_DATABASE_URL" in refused()
    assert refused(demo=True) == ""
    assert password not in str(_refusal()).replace("Give postgres another", "")
    setting(app_listen="0.0.0.0", app_url="https://x.example", trusted_proxies="10.0.0.5")
    assert "CARREL_DATABASE_URL" in refused(demo=True)


def test_passwords_of_ones_own_are_not(setting: Setting) -> None:
    setting(database_url=POSTGRES.format("kX9-wq_27fhLm"))
    assert refused() == ""
    setting(database_url="postgresql:///carrel")  # the system says who one is
    assert refused() == ""


@pytest.mark.parametrize("name", ["secrets.json", "settings.env"])
def test_secrets_that_others_read_are_refused(setting: Setting, tmp_path: Path, name: str) -> None:
    setting(home=tmp_path)
    path = tmp_path / name
    path.write_text("{}" if name.endswith("json") else "")
    path.chmod(0o640)
    assert name in refused()
    path.chmod(0o600)
    assert refused() == ""


def test_certificates_that_do_not_work_are_refused(
    setting: Setting, certificate: Files, tmp_path: Path
) -> None:
    other = self_signed(tmp_path)
    setting(tls_certificate=certificate.certificate)
    assert "its key" in refused()
    setting(tls_key=other.key)
    assert "no certificate with its key" in refused()
    setting(tls_key=tmp_path / "absent.pem")
    assert "no certificate with its key" in refused()
    setting(tls_certificate=other.certificate, tls_key=other.key)
    assert refused() == ""
    other.key.chmod(0o644)
    assert "read by everybody" in refused()


def test_nothing_is_started_that_is_refused(setting: Setting, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    setting(home=tmp_path, app_listen="0.0.0.0")
    done = CliRunner().invoke(carrel, ["up", "--demo"])
    assert done.exit_code == 2
    assert "known to everybody" in done.stderr
    assert not (tmp_path / "stack.json").exists()
    assert CliRunner().invoke(carrel, ["doctor"]).stdout.count("FAIL  exposure") == 1


@pytest.mark.full  # Panel is imported before it can be asked
def test_the_app_refuses_too_when_it_is_started_by_hand(here: str, setting: Setting) -> None:
    variables = os.environ | environment() | {"CARREL_APP_LISTEN": "0.0.0.0"}
    done = subprocess.run(
        command(free_port()),
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "unsealed" in done.stderr


def test_the_stack_asks_the_app_over_tls(here: str, sealed: Sealed, certificate: Files,
                                         setting: Setting, tmp_path: Path) -> None:  # fmt: skip
    setting(tls_certificate=certificate.certificate, tls_key=certificate.key)
    assert stack.app_answers(sealed.base)
    assert settings().app_address.startswith("https://")
    other = self_signed(tmp_path)
    setting(tls_certificate=other.certificate, tls_key=other.key)
    assert not stack.app_answers(sealed.base)  # somebody else's certificate
