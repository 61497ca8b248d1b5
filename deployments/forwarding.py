"""What the proxy makes of a request: whose it is, where it comes from, and what is passed on.

A request is read whole by one parser and written anew, so that the app never reads it in another
way than the proxy did. What could be read in two ways, and what no page needs, is refused.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie

import h11

from bi_app.auth.origin import real_address, real_scheme

COOKIE = "carrel_session"
HEAD_BYTES = 32 * 1024
# Said by us alone, or about one connection alone (RFC 9110, 7.6.1).
DROPPED = {
    b"connection", b"expect", b"forwarded", b"keep-alive", b"proxy-connection", b"te", b"trailer",
    b"upgrade", b"x-real-ip", b"x-scheme",
}  # fmt: skip
KEPT = {b"cookie", b"host", b"content-length", b"transfer-encoding"}
NOT_SERVED = {b"CONNECT", b"TRACE"}
Headers = list[tuple[bytes, bytes]]


def check(request: h11.Request) -> None:
    """Refuse what no browser sends to a page.

    Raises:
        h11.RemoteProtocolError: with the status of the answer.
    """
    names = [name for name, _ in request.headers]
    if request.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("another HTTP", error_status_hint=505)
    if b"host" not in names:
        raise h11.RemoteProtocolError("no host", error_status_hint=400)
    if {b"content-length", b"transfer-encoding"} <= set(names):
        raise h11.RemoteProtocolError("a length and chunks", error_status_hint=400)  # smuggling
    if request.method in NOT_SERVED:
        raise h11.RemoteProtocolError("no method of a page", error_status_hint=405)
    if len(request.target) + sum(len(n) + len(v) + 4 for n, v in request.headers) > HEAD_BYTES:
        raise h11.RemoteProtocolError("too long a head", error_status_hint=431)
    expected = values(request, b"expect")
    if expected and expected != [b"100-continue"]:
        raise h11.RemoteProtocolError("an expectation of its own", error_status_hint=417)


def values(request: h11.Request, name: bytes) -> list[bytes]:
    """The values of a header in lower case; of lists, each member."""
    found = b",".join(value for n, value in request.headers if n == name).lower()
    return [part.strip() for part in found.split(b",") if part.strip()]


def is_websocket(request: h11.Request) -> bool:
    """Whether the connection is to become a websocket; it becomes nothing else (such as h2c)."""
    return request.method == b"GET" and values(request, b"upgrade") == [b"websocket"]


def person(request: h11.Request, peer: str) -> str:
    """Whose request it is: the session's cookie, or else the address."""
    for name, value in request.headers:
        if name == b"cookie":
            with suppress(CookieError):
                if found := SimpleCookie(value.decode("latin-1")).get(COOKIE):
                    return hashlib.sha256(found.value.encode()).hexdigest()
    return address(request, peer)


def address(request: h11.Request, peer: str) -> str:
    """The browser's address, as a declared proxy before us says if there is one."""
    return real_address(peer, told(request))


def told(request: h11.Request) -> dict[str, str]:
    """What the request says of where it comes from; of one header sent twice, both."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.startswith(b"x-forwarded-"):
            found.setdefault(name.decode().title(), []).append(value.decode("latin-1"))
    return {name: ",".join(values) for name, values in found.items()}


def passed_on(request: h11.Request, peer: str, *, sealed: bool) -> h11.Request:
    """The request as the app gets it, with the browser's real address and scheme."""
    left_out = DROPPED | (set(values(request, b"connection")) - KEPT)
    kept: Headers = [
        (n, v)
        for n, v in request.headers.raw_items()
        if n.lower() not in left_out and not n.lower().startswith(b"x-forwarded-")
    ]
    switch: Headers = [(b"Upgrade", b"websocket")] if is_websocket(request) else []
    scheme = real_scheme(peer, "https" if sealed else "http", told(request))
    ours: Headers = [
        (b"X-Real-IP", address(request, peer).encode()),
        (b"X-Scheme", scheme.encode()),
        (b"Connection", b"Upgrade" if switch else b"close"),
    ]
    return h11.Request(
        method=request.method, target=request.target, headers=[*kept, *switch, *ours]
    )
