"""Webhook: alerts as JSON, signed, to a host that the house's rules for remote hosts allow."""

from __future__ import annotations

import hashlib
import hmac
import time

from tasks.remote import Client
from warehouse.settings import secret, settings


def post(body: str, delivery: str) -> None:
    """Post a document; tried again as the settings for remote hosts say.

    The receiver checks `X-Carrel-Signature`, which is `sha256=` and the HMAC of the timestamp, a
    full stop and the body, and drops what `X-Carrel-Delivery` shows that it has already.

    Raises:
        ConfigurationError: the URL, its host or the secret `alert_webhook` will not do.
        SourceUnavailable: the host did not take it.
    """
    at = str(int(time.time()))
    with Client(settings().alert_webhook) as client:
        headers = {
            "Content-Type": "application/json",
            "X-Carrel-Delivery": delivery,
            "X-Carrel-Timestamp": at,
            "X-Carrel-Signature": f"sha256={signature(at, body)}",
        }
        client.deliver(body.encode(), headers).body.close()


def signature(at: str, body: str) -> str:
    """HMAC-SHA256 of `<at>.<body>` with the secret `alert_webhook`, in hexadecimal."""
    key = secret("alert_webhook").encode()
    return hmac.new(key, f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
