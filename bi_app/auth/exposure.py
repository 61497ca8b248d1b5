"""What must hold before the app starts: nothing well-known opens it, nothing travels unsealed.

On loopback this machine is trusted, and a demo may run. Beyond it, passwords travel: TLS here or
at a declared proxy, no demo, no default passwords.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from bi_app.auth.origin import networks
from warehouse.errors import ConfigurationError
from warehouse.settings import settings

# What images, manuals and installers come with; one like the name of its user is refused, too.
DEFAULT_PASSWORDS = {
    "admin", "admin123", "carrel", "changeme", "change_me", "default", "demo", "example", "letmein",
    "pass", "passw0rd", "password", "password1", "postgres", "postgresql", "qwerty", "root",
    "secret", "test", "user", "welcome", "123456", "12345678",
}  # fmt: skip


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def check(*, demo: bool) -> None:
    """Refuse to start where something is open that must not be.

    Raises:
        ConfigurationError: naming everything that is wrong, each with its remedy.
    """
    faults = list(found(demo=demo))
    if faults:
        wrong = " ".join(fault for fault, _ in faults)
        raise ConfigurationError(wrong, remedy=" ".join(remedy for _, remedy in faults))


def found(*, demo: bool) -> Iterator[tuple[str, str]]:
    """What is wrong, each with its remedy."""
    beyond = not is_loopback(settings().app_listen)
    yield from _readable_secrets()
    if not (demo and not beyond):
        yield from _default_password()
    yield from _tls_files()
    if beyond:
        yield from _beyond_loopback(demo)


def _readable_secrets() -> Iterator[tuple[str, str]]:
    for path in (settings().home / "secrets.json", settings().home / "settings.env"):
        if path.exists() and path.stat().st_mode & 0o077:
            yield f"{path} can be read by others.", f"Run `chmod 600 {path}`."


def _default_password() -> Iterator[tuple[str, str]]:
    from sqlalchemy.engine import make_url

    for name in ("database_url", "prefect_database_url"):
        secret = getattr(settings(), name)
        if secret is None:
            continue
        url = make_url(secret.get_secret_value())
        password = str(url.password or "").lower()
        if password and (password in DEFAULT_PASSWORDS or password == (url.username or "").lower()):
            yield (
                f"CARREL_{name.upper()} holds a well-known password.",
                f"Give {url.username} another one: `alter role … password`.",
            )


def _tls_files() -> Iterator[tuple[str, str]]:
    certificate, key = settings().tls_certificate, settings().tls_key
    if not certificate and not key:
        return
    if not certificate or not key:
        yield (
            "TLS needs a certificate and its key.",
            "Set CARREL_TLS_CERTIFICATE and CARREL_TLS_KEY.",
        )
        return
    try:
        if Path(key).stat().st_mode & 0o007:
            yield f"{key} can be read by everybody.", f"Run `chmod 640 {key}`."
        context(certificate, key)
    except (OSError, ssl.SSLError) as error:  # an SSLError is an OSError, but says it otherwise
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        yield (
            f"{certificate} and {key} are no certificate with its key: {why}.",
            "Name PEM files: the certificate with its chain, and its key without a passphrase.",
        )


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """How we speak TLS: 1.2 or newer.

    Raises:
        OSError: a file cannot be read, or the two do not belong together (ssl.SSLError).
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # An empty passphrase: without it OpenSSL would ask for one at the terminal.
    made.load_cert_chain(certificate, key, password="")
    return made


def _beyond_loopback(demo: bool) -> Iterator[tuple[str, str]]:
    where = settings().app_listen
    if demo:
        yield (
            f"A demo's passwords are known to everybody, and the app would listen on {where}.",
            "Start without --demo, or leave CARREL_APP_LISTEN at 127.0.0.1.",
        )
    proxies = networks(settings().trusted_proxies)
    if not (settings().tls_certificate or proxies):
        yield (
            f"Passwords would travel unsealed to {where}.",
            "Set CARREL_TLS_CERTIFICATE and CARREL_TLS_KEY, or CARREL_TRUSTED_PROXIES to the"
            " address of a proxy that speaks TLS.",
        )
    if not settings().app_url:
        yield (
            "Nobody knows under which address browsers reach the app.",
            "Set CARREL_APP_URL, as https://desk.example.org: pages are served to that one.",
        )
