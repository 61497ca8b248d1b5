"""The one place that says how the app is served.

python -m bi_app.serve        prints the command, to run by hand
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bi_app.auth.roles import own_pages
from bi_app.auth.sessions import COOKIES, signature
from warehouse.settings import ROOT, settings

HERE = Path(__file__).parent
SHIPPED = (
    "overview", "circulation", "busy_hours", "collection", "holds", "fines", "branches",
    "members", "annual_return", "sales", "returns", "customers", "baskets", "my_loans",
    "my_history", "my_data", "explore", "cards", "quality", "pipelines", "alerts", "dataset",
    "people", "sign_ins", "activity",
)  # fmt: skip
LOOPBACK = "127.0.0.1"


def pages() -> list[Path]:
    """The page files: shipped, then those of the project folder."""
    shipped = [HERE / "pages" / f"{name}.py" for name in SHIPPED]
    return [HERE / "app.py", *shipped, *own_pages()]


def command(port: int, *, address: str = LOOPBACK, public: int | None = None) -> list[str]:
    """The command that serves the app; run it with `environment()` in the folder ROOT.

    `public` is the port of the proxy in front of it, whose word on the browser's address counts.
    """
    allowed = [f"{host}:{p}" for p in {port, public or port} for host in (LOOPBACK, "localhost")]
    if url := settings().app_url:
        allowed.append(urlsplit(url).netloc)
    return [
        sys.executable, "-m", "panel", "serve", *map(str, pages()),
        "--address", address,
        "--port", str(port),
        "--auth-module", str(HERE / "auth" / "door.py"),
        "--setup", str(HERE / "setup.py"),
        "--plugins", "bi_app.api.routes",
        "--disable-index",
        "--exclude-cookies", *COOKIES,
        "--exclude-headers", "Cookie", "Authorization",
        "--session-token-expiration", "3600",
        "--unused-session-lifetime", "20000",
        "--check-unused-sessions", "10000",
        "--log-level", "warning",
        *(("--use-xheaders",) if public else tls()),
        *(part for origin in allowed for part in ("--allow-websocket-origin", origin)),
    ]  # fmt: skip


def tls() -> tuple[str, ...]:
    """Options that have the app speak TLS itself, where a certificate is set."""
    certificate, key = settings().tls_certificate, settings().tls_key
    if not (certificate and key):
        return ()
    return "--ssl-certfile", str(certificate.resolve()), "--ssl-keyfile", str(key.resolve())


def environment() -> dict[str, str]:
    """Variables to add to the process's environment; the signing key is derived, never printed."""
    return {
        "BOKEH_SIGN_SESSIONS": "true",
        "BOKEH_SECRET_KEY": signature("bokeh", "sessions"),
        "BOKEH_RESOURCES": "server",
        "BOKEH_VALIDATE_DOC": "false",  # a twentieth of opening a page; tests build with it
        "PYTHONPATH": str(ROOT),
        "CARREL_HOME": str(settings().home),
    }


if __name__ == "__main__":
    sys.stdout.write(shlex.join(command(settings().app_port, address=settings().app_listen)) + "\n")
