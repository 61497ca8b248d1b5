"""Signing in through a real provider of OpenID Connect, and through one that lies."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from bi_app.auth import oidc, people
from bi_app.auth.oidc import NotLetIn, role_of
from tests.bi_app.client import Client
from tests.bi_app.test_people import ADMIN, execute
from tests.ports import free_port
from warehouse.errors import ConfigurationError
from warehouse.pseudonyms import pseudonym
from warehouse.settings import settings

VERSION = "9.13.3"
PEOPLE: dict[str, dict[str, object]] = {
    "ann": {"email": "ann@desk.example", "email_verified": True, "name": "Ann"},
    "bo": {"email": "bo@desk.example", "email_verified": False, "name": "Bo"},
    "cy": {
        "email": "cy@desk.example",
        "email_verified": True,
        "name": "Cy Reader",
        "groups": ["desk", "choir"],
        "branches": ["CEN", "BEL"],
        "card": " c99 ",
    },
}
Guest = Callable[..., Client]


@pytest.fixture(scope="session")
def program() -> Path:
    """The folder of the provider's program, installed once; skips without node or its package."""
    folder = Path(tempfile.gettempdir()) / f"carrel-oidc-provider-{VERSION}"
    try:
        if not (folder / "node_modules" / "oidc-provider").exists():
            folder.mkdir(exist_ok=True)
            package = f"oidc-provider@{VERSION}"
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", package]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=180)
        subprocess.run(["node", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CARREL_STRICT"):
            raise
        pytest.skip(f"no provider of OpenID Connect: {error}")
    return folder


@pytest.fixture(scope="module")
def issuer(program: Path, doors: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running provider."""
    folder = tmp_path_factory.mktemp("provider")
    (folder / "node_modules").symlink_to(program / "node_modules")
    shutil.copy(Path(__file__).with_name("provider.mjs"), folder)
    (folder / "people.json").write_text(json.dumps(PEOPLE))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        command = ["node", "provider.mjs", str(port), doors + oidc.RETURN]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                httpx.get(f"{address}/.well-known/openid-configuration", timeout=2)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def connected(
    issuer: str, doors: str, here: str, setting: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:  # fmt: skip
    """Carrel knows the provider; more settings may be given."""
    monkeypatch.setenv("CARREL_SECRET_OIDC_CLIENT_SECRET", "a secret of two")

    def change(**more: object) -> None:
        setting(
            oidc_issuer=issuer,
            oidc_client_id="carrel",
            oidc_scope="openid email profile desk",
            app_url=doors,
            database=here,
            **more,
        )

    change()
    execute("delete from app.accounts where email in ('bo@desk.example', 'cy@desk.example')")
    return change


def arrive(client: Client, name: str, next_page: str = "/account") -> httpx.Response:
    """Go to the provider, sign in there as a person does, and come back; Carrel's answer."""
    leaving = client.http.get("/sign-in/provider", params={"next": next_page})
    assert leaving.status_code == 302
    with httpx.Client(follow_redirects=True, timeout=30) as there:
        page = there.get(leaving.headers["location"])
        there.follow_redirects = False
        for _ in range(12):
            if page.status_code in (302, 303):
                target = str(page.url.join(page.headers["location"]))
                if target.startswith(client.base):
                    return client.http.get(target)
                page = there.get(target)
            else:
                page = _filled(there, page, name)
    raise AssertionError(page.text)


def _filled(there: httpx.Client, page: httpx.Response, name: str) -> httpx.Response:
    """The provider's sign-in or consent form, sent."""
    action = re.search(r'action="([^"]+)"', page.text)
    prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
    assert action
    assert prompt, page.text
    fields = {"prompt": prompt[1], "login": name, "password": "any"}
    return there.post(str(page.url.join(action[1])), data=fields)


def test_a_known_person_comes_in(guest: Guest, connected: Any, ann: str) -> None:
    client = guest()
    assert "Sign in with your organisation" in client.http.get("/sign-in").text
    answer = arrive(client, "ann")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    page = client.http.get("/account").text
    assert ann in page
    assert "with your organisation" in page
    person = people.find_account(ADMIN, ann)
    assert (person.role, person.signs_in_elsewhere) == ("admin", True)
    again = guest()
    assert arrive(again, "ann").status_code == 303
    assert execute("select count(*) from app.identities") == [(1,)]


def test_an_unknown_person_is_refused_or_becomes_a_member(
    guest: Guest, connected: Callable[..., None]
) -> None:
    refused = arrive(guest(), "cy")
    assert (refused.status_code, "no account here" in refused.text) == (403, True)
    assert execute("select 1 from app.accounts where email = 'cy@desk.example'") == []
    connected(oidc_unknown="member")
    client = guest()
    assert arrive(client, "cy").status_code == 303
    person = people.find_account(ADMIN, "cy@desk.example")
    assert (person.role, person.name, person.state) == ("member", "Cy Reader", "active")
    assert person.member_key is None
    assert guest().sign_in("cy@desk.example", "x").status_code == 401  # there is no password


def test_an_address_that_is_not_verified_is_nobodys(
    guest: Guest, connected: Callable[..., None]
) -> None:
    connected(oidc_unknown="member")
    refused = arrive(guest(), "bo")
    assert (refused.status_code, "not verified" in refused.text) == (403, True)
    assert execute("select 1 from app.accounts where email = 'bo@desk.example'") == []


def test_claims_say_role_branches_and_member(guest: Guest, connected: Callable[..., None]) -> None:
    connected(
        oidc_unknown="member",
        oidc_role_claim="groups",
        oidc_roles="desk=librarian,it=admin",
        oidc_branch_claim="branches",
        oidc_member_claim="card",
    )
    client = guest()
    assert arrive(client, "cy").status_code == 303
    person = people.find_account(ADMIN, "cy@desk.example")
    assert (person.role, person.branches) == ("librarian", ("CEN", "BEL"))
    assert person.member_key == pseudonym("C99")
    connected(oidc_role_claim="groups", oidc_roles="it=admin")
    assert arrive(guest(), "cy").status_code == 303
    assert people.find_account(ADMIN, "cy@desk.example").role == "member"
    assert client.http.get("/account").status_code == 303  # its rights changed


def test_the_last_admin_is_not_taken_away(
    guest: Guest, connected: Callable[..., None], ann: str
) -> None:
    execute("update app.accounts set disabled_at = now() where role = 'admin' and email <> %s", ann)
    try:
        connected(oidc_role_claim="groups", oidc_roles="it=admin")
        refused = arrive(guest(), "ann")
        assert (refused.status_code, "administrator" in refused.text) == (503, True)
        assert execute("select role from app.accounts where email = %s", ann) == [("admin",)]
    finally:
        execute("update app.accounts set disabled_at = null where role = 'admin'")


def test_a_disabled_person_stays_out(guest: Guest, connected: Any, ann: str) -> None:
    assert arrive(guest(), "ann").status_code == 303
    people.disable(ADMIN, people.find_account(ADMIN, ann).account_id)
    refused = arrive(guest(), "ann")
    assert (refused.status_code, "disabled" in refused.text) == (403, True)


def test_a_way_back_that_we_did_not_send_is_refused(
    guest: Guest, connected: Any, issuer: str, ann: str
) -> None:
    client = guest()
    for query in ({}, {"code": "x", "state": "x"}, {"error": "access_denied"}):
        assert client.http.get(oidc.RETURN, params=query).status_code == 403
    leaving = client.http.get("/sign-in/provider")
    state = re.search(r"state=([^&]+)", leaving.headers["location"])
    assert state
    assert "code_challenge_method=S256" in leaving.headers["location"]
    assert "a secret" not in leaving.headers["location"]
    other = {"code": "x", "state": state[1], "iss": "https://evil.example"}
    assert client.http.get(oidc.RETURN, params=other).status_code == 403  # RFC 9207
    client.http.get("/sign-in/provider")
    made_up = client.http.get(oidc.RETURN, params={"code": "made up", "state": state[1]})
    assert made_up.status_code == 403
    assert "carrel_session" not in client.http.cookies


def test_without_a_provider_there_is_no_such_door(guest: Guest) -> None:
    for page in ("/sign-in/provider", oidc.RETURN):
        assert guest().http.get(page).status_code == 404
    assert "/sign-in/provider" not in guest().http.get("/sign-in").text


def test_a_provider_that_is_away_or_another_is_told(
    guest: Guest, connected: Callable[..., None], issuer: str, setting: Callable[..., None]
) -> None:
    setting(oidc_issuer=f"http://127.0.0.1:{free_port()}")
    answer = guest().http.get("/sign-in/provider")
    assert (answer.status_code, "try again later" in answer.text) == (503, True)
    for wrong in (issuer + "/", "http://idp.example.org"):
        setting(oidc_issuer=wrong)
        answer = guest().http.get("/sign-in/provider")
        assert (answer.status_code, "tell an administrator" in answer.text) == (503, True)


# A provider that lies -----------------------------------------------------------------------------

GOOD = {"iss": "https://idp.example", "aud": "carrel", "sub": "s", "nonce": "n"}


@pytest.fixture
def lying(setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> ECKey:
    """The key of a provider whose tokens the test writes."""
    key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
    setting(oidc_issuer=GOOD["iss"], oidc_client_id="carrel")
    monkeypatch.setattr(oidc, "provider", lambda: {"jwks_uri": "https://idp.example/keys"})
    oidc._keys.cache_clear()
    public = {"keys": [key.as_dict(private=False)]}
    monkeypatch.setattr(oidc, "_fetched", lambda *_, **__: public)
    return key


def written(key: Any, header: dict[str, str] | None = None, **changes: object) -> str:
    now = int(time.time())
    claims = {k: v for k, v in (GOOD | {"iat": now, "exp": now + 60} | changes).items() if v}
    header = {"alg": "ES256", "kid": "k1"} | (header or {})
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def test_a_token_that_holds_is_believed(lying: ECKey) -> None:
    assert oidc.checked(written(lying), "n")["sub"] == "s"
    assert oidc.checked(written(lying, aud=["carrel", "x"], azp="carrel"), "n")["sub"] == "s"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"nonce": "x"}, {"nonce": None}, {"sub": None}, {"exp": 1}, {"exp": None},
        {"iat": None}, {"iat": 9999999999}, {"aud": ["carrel", "x"], "azp": "x"},
        {"nbf": 9999999999},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_whose_claims_do_not_hold_is_not(lying: ECKey, changes: dict[str, Any]) -> None:
    with pytest.raises(NotLetIn):
        oidc.checked(written(lying, **changes), "n")


def test_a_token_that_another_signed_or_nobody_is_not(lying: ECKey) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "k1"})
    shared = OctKey.import_key(json.dumps(lying.as_dict(private=False)))
    good = written(lying)
    head, body, signature = good.split(".")
    unsigned = "eyJhbGciOiJub25lIn0." + body + "."
    for token in (
        written(stranger),
        written(shared, {"alg": "HS256"}),
        unsigned,
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}",
        "None",
        "",
        "a.b.c",
    ):
        with pytest.raises(NotLetIn):
            oidc.checked(token, "n")


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, "member"),
        ({"groups": []}, "member"),
        ({"groups": "desk other"}, "librarian"),
        ({"groups": ["it", "desk"]}, "admin"),
        ({"groups": [{"it": 1}, 3]}, "member"),
        ({"groups": {"it": "it"}}, "member"),
    ],
)
def test_the_highest_role_counts(
    setting: Callable[..., None], claims: dict[str, Any], role: str
) -> None:
    assert role_of(claims) is None  # no claim is named
    setting(oidc_role_claim="groups", oidc_roles=" desk=librarian, it=admin, x=owner")
    assert role_of(claims) == role


def test_an_issuer_must_be_sealed(setting: Callable[..., None]) -> None:
    setting(oidc_issuer="http://idp.example.org")
    with pytest.raises(ConfigurationError, match="https"):
        oidc.provider()
    assert settings().oidc_unknown == "refuse"
