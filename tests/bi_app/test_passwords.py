"""Which passwords are taken, how old hashes are read, and that nothing tells who has an account."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import argon2._password_hasher as inner
import pytest

from bi_app.auth import accounts, passwords
from bi_app.auth.accounts import check_password, create_account
from bi_app.auth.passwords import is_breached, refuse_weak, verify_pbkdf2
from bi_app.auth.sql import run
from tests.bi_app.fix_app import EMAILS, PASSWORD
from tests.bi_app.test_people import execute
from warehouse.errors import ConfigurationError

SALT = "some salt"


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "Password2024!",
        "P@ssw0rd2024",
        "1234567890",
        "09876543210987",
        "qwertyuiop",
        "poiuytrewq",
        "abcdefghijklm",
        "aaaaaaaaaaaa",
        "abababababab",
        "monkeymonkey",
        "iloveyou!!!!",
        "..Sunshine..1",
        "sunshine sunshine ",
    ],
)
def test_common_passwords_are_refused(password: str) -> None:
    with pytest.raises(ConfigurationError, match="first that others try"):
        refuse_weak(password)


@pytest.mark.parametrize(
    "password",
    ["ann.miller1999", "Annmiller!!", "2024-Miller-2024", "Carrel2026!!", "librarian123", "9" * 0],
)
def test_the_persons_own_words_are_no_password(password: str) -> None:
    with pytest.raises(ConfigurationError):
        refuse_weak(password, ("ann.miller@example.org", "Ann Miller"))


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "correct horse battery",
        "x" * 5 + "yzabcdefgh q" * 20,
        "        ten spaces and more",
        "пароль из слов",
        "umbrella velvet",
        "7391 8265 1047",
        "3f9a0c27d1",  # pragma: allowlist secret
    ],
)
def test_other_passwords_are_taken_whatever_they_are_made_of(password: str) -> None:
    refuse_weak(password, ("ann.miller@example.org", "Ann Miller"))


@pytest.fixture
def stolen(tmp_path: Path, setting: Callable[..., None]) -> Path:
    """Hashes as Have I Been Pwned lists them: sorted, with counts, lines ended in either way."""
    path = tmp_path / "stolen.txt"
    hashes = [hashlib.sha1(f"stolen {n}".encode()).hexdigest().upper() for n in range(500)]
    path.write_bytes("".join(f"{h}:{n}\r\n" for n, h in enumerate(sorted(hashes))).encode())
    setting(breached_passwords=path)
    return path


def test_an_own_list_of_stolen_passwords_is_searched(stolen: Path) -> None:
    assert all(is_breached(f"stolen {n}") for n in range(500))
    assert not any(is_breached(f"stolen {n}") for n in range(500, 1000))
    with pytest.raises(ConfigurationError, match="list of stolen"):
        refuse_weak("stolen 499".ljust(10))
    stolen.write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be searched"):
        refuse_weak(PASSWORD)
    stolen.unlink()
    with pytest.raises(ConfigurationError, match="CARREL_BREACHED_PASSWORDS"):
        refuse_weak(PASSWORD)


def _hashed(kind: str, password: str, rounds: int = 1000) -> str:
    name = "sha512" if "512" in kind else "sha256"
    key = hashlib.pbkdf2_hmac(name, password.encode(), SALT.encode(), rounds)
    plain = base64.b64encode(key).decode()
    return {
        "django": f"pbkdf2_sha256${rounds}${SALT}${plain}",
        "werkzeug": f"pbkdf2:sha256:{rounds}${SALT}${key.hex()}",
        "passlib": f"$pbkdf2-sha256${rounds}${_ab64(SALT.encode())}${_ab64(key)}",
        "passlib512": f"$pbkdf2-sha512${rounds}${_ab64(SALT.encode())}${_ab64(key)}",
    }[kind]


def _ab64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


@pytest.mark.parametrize(
    ("hashed", "password"),
    [  # published examples of the three programs
        (
            "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
            "password",
        ),
        ("pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=", "lètmein"),
    ],
)
def test_hashes_of_other_programs_are_read(hashed: str, password: str) -> None:
    assert verify_pbkdf2(password, hashed)
    assert not verify_pbkdf2(password + "x", hashed)


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        "pbkdf2_md5$1$a$YQ==",
        "pbkdf2_sha256$0$salt$YQ==",
        "pbkdf2_sha256$1$salt$",
        "pbkdf2_sha256$1$salt$not base64",
        "pbkdf2:sha256:1$salt$abc",
        f"pbkdf2_sha256${10**9}$salt$YQ==",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$pbkdf2-sha256$1$salt$a",
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_no_such_hash_lets_nobody_in(hashed: str) -> None:
    assert not verify_pbkdf2("a", hashed)
    with pytest.raises(ConfigurationError, match="no PBKDF2"):
        create_account("z@carrel.example", "Z", "member", old_hash=hashed)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", ["django", "werkzeug", "passlib", "passlib512"])
def test_an_old_hash_is_good_once_and_then_kept_anew(kind: str) -> None:
    email = f"{kind}@carrel.example"
    create_account(email, "Old", "member", old_hash=_hashed(kind, "was long ago"))
    assert check_password(email, "wrong one") is None
    assert run("account", email=email)[0].password_hash == _hashed(kind, "was long ago")
    assert check_password(email, "was long ago")
    assert run("account", email=email)[0].password_hash.startswith("$argon2id$")
    assert check_password(email, "was long ago")
    execute("delete from app.accounts where email = %s", email)


@pytest.mark.usefixtures("here")
def test_a_hash_with_old_parameters_is_made_anew() -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    create_account("weak@carrel.example", "Weak", "member", password=PASSWORD)
    execute("update app.accounts set password_hash = %s where email = 'weak@carrel.example'", weak)
    assert check_password("weak@carrel.example", "wrong one") is None
    assert run("account", email="weak@carrel.example")[0].password_hash == weak
    assert check_password("weak@carrel.example", PASSWORD)
    assert "m=48128" in run("account", email="weak@carrel.example")[0].password_hash
    execute("delete from app.accounts where email = 'weak@carrel.example'")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many hashes were worked out, by kind."""
    accounts.decoy()
    counted: Counter[str] = Counter()
    pbkdf2 = hashlib.pbkdf2_hmac

    def count(kind: str, function: Callable[..., object]) -> Callable[..., object]:
        def called(*values: object, **options: object) -> object:
            counted[kind] += 1
            return function(*values, **options)

        return called

    for name in ("hash_secret", "verify_secret"):
        monkeypatch.setattr(inner, name, count("argon2id", getattr(inner, name)))
    monkeypatch.setattr(passwords.hashlib, "pbkdf2_hmac", count("pbkdf2", pbkdf2))
    return counted


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("old_ones", [False, True])
def test_as_many_hashes_are_worked_out_for_nobody_as_for_somebody(
    work: Counter[str], old_ones: bool
) -> None:
    create_account("away@carrel.example", "Gone", "member", password=PASSWORD)
    execute("update app.accounts set disabled_at = now() where email = 'away@carrel.example'")
    invited = "insert into app.accounts (email, name, role) values (%s, 'X', 'member')"
    execute(invited, "invited@carrel.example")
    if old_ones:
        create_account(
            "old@carrel.example", "Old", "member", old_hash=_hashed("django", "was long ago")
        )
    tried = [
        (EMAILS["admin"], PASSWORD),
        (EMAILS["admin"], "wrong one"),
        ("nobody@carrel.example", "wrong one"),
        ("away@carrel.example", PASSWORD),
        ("invited@carrel.example", ""),
        ("old@carrel.example", "wrong one"),
    ]
    seen = []
    for email, password in tried:
        work.clear()
        check_password(email, password)
        seen.append(dict(work))
    execute("delete from app.accounts where email in ('away@carrel.example',"
            " 'old@carrel.example', 'invited@carrel.example')")  # fmt: skip
    expected = {"argon2id": 1, "pbkdf2": 1} if old_ones else {"argon2id": 1}
    assert seen == [expected] * len(tried)
