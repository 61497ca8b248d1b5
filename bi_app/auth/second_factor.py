"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and ten recovery codes.

The secret is kept sealed with AES-256-GCM under a key that is not in the database. A code is
accepted once: the time step of the newest accepted one is kept, and no older one counts.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Literal

from bi_app.auth.accounts import Account
from bi_app.auth.sql import run
from bi_app.auth.tokens import digest
from bi_app.words import _
from warehouse.access import Role
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CODES = 10
STEP_SECONDS = 30
DRIFT = 1  # steps before and after, for clocks that are not quite right
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # 32: five bits each  # pragma: allowlist secret
NONCE = 12

Kind = Literal["code", "recovery"]


def is_on(account_id: int) -> bool:
    """Whether the account has a second factor."""
    return bool(run("second_factor", account_id=account_id, confirmed=True))


def is_required(role: Role) -> bool:
    """Whether the settings want people of this role to have one."""
    return role in {part.strip() for part in settings().second_factor.split(",")}


def begin(account_id: int) -> str:
    """The secret to put into an app, base32; the same until it is confirmed by a code.

    Raises:
        ConfigurationError: the account has a second factor already.
    """
    import pyotp

    made = _seal(account_id, pyotp.random_base32())
    rows = run("begin_second_factor", account_id=account_id, secret=made)
    if not rows:
        raise ConfigurationError(_("This account has a second factor already."))
    return _open(account_id, rows[0].secret)


def address(who: Account, secret: str) -> str:
    """The `otpauth:` address of a secret, which apps read from the picture."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=who.email, issuer_name="Carrel")


def picture(text: str) -> str:
    """A QR code as SVG, drawn here: the secret goes to no service."""
    import segno

    code = segno.make(text, error="m")
    return str(code.svg_inline(omitsize=True, border=3, dark="#111", light="#fff", svgclass="qr"))


def confirm(account_id: int, code: str) -> list[str] | None:
    """Switch the second factor on and return its recovery codes; None when the code is wrong."""
    rows = run("second_factor", account_id=account_id, confirmed=False)
    step = _step_of(account_id, rows[0].secret, code) if rows else None
    if step is None or not run("confirm_second_factor", account_id=account_id, step=step):
        return None
    return renew_recovery(account_id)


def accept(account_id: int, code: str) -> Kind | None:
    """Which kind of code this is, when it is right; from now on it is used up."""
    rows = run("second_factor", account_id=account_id, confirmed=True)
    if not rows:
        return None
    step = _step_of(account_id, rows[0].secret, code)
    if step is not None:
        taken = run("use_code", account_id=account_id, step=step)
        return "code" if taken else None
    kept = digest(_plain(code))
    return "recovery" if run("use_recovery", account_id=account_id, code_sha256=kept) else None


def remove(account_id: int) -> None:
    """Switch the second factor off; its recovery codes go with it."""
    run("drop_second_factor", account_id=account_id)


def renew_recovery(account_id: int) -> list[str]:
    """Ten new recovery codes, of 120 random bits each; the ones before count no more."""
    codes = ["".join(secrets.choice(LETTERS) for _ in range(24)) for _ in range(CODES)]
    run("renew_recovery", account_id=account_id, codes=[digest(code) for code in codes])
    return ["-".join(code[i : i + 6] for i in range(0, 24, 6)) for code in codes]


def recovery_left(account_id: int) -> int:
    """How many recovery codes are not used yet."""
    return int(run("recovery_left", account_id=account_id)[0].left_over)


def _step_of(account_id: int, sealed: bytes, code: str) -> int | None:
    """The time step that a code belongs to; None when it is the code of no step about now."""
    import pyotp

    digits = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    app = pyotp.TOTP(_open(account_id, sealed))
    now = int(time.time()) // STEP_SECONDS
    found = [
        step
        for step in range(now - DRIFT, now + DRIFT + 1)
        if hmac.compare_digest(app.generate_otp(step), digits)
    ]
    return found[-1] if found else None


def _plain(code: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", code.upper())[:40]


def _seal(account_id: int, secret: str) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + _cipher().encrypt(nonce, secret.encode(), _bound_to(account_id))


def _open(account_id: int, sealed: bytes) -> str:
    """The secret.

    Raises:
        ConfigurationError: the key is another, or the secret was another account's.
    """
    from cryptography.exceptions import InvalidTag

    sealed = bytes(sealed)
    try:
        return _cipher().decrypt(sealed[:NONCE], sealed[NONCE:], _bound_to(account_id)).decode()
    except InvalidTag:
        raise ConfigurationError(
            _("A second factor cannot be read: its key is another."),
            remedy=_("Bring back secrets.json, or `carrel users remove-second-factor EMAIL`."),
        ) from None


def _bound_to(account_id: int) -> bytes:
    """What a sealed secret is bound to, so that it cannot be moved to another account."""
    return f"second factor of account {account_id}".encode()


def _cipher() -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hashlib.sha256(settings().secrets["factor_key"].encode()).digest())
