"""What the sources share that answer over a network: retry, breaker, and a careful HTTP client.

A call is tried again, after a pause that doubles, only where the connection failed or the host
said that it cannot now (429, 5xx). Hosts are allowed by the setting `http_hosts`; what a name
resolves to is checked, and that very address is connected to, so that a name which changes its
address between check and use gains nothing.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import IO, Any, TypeVar

import httpx
import stamina

from tasks.breaker import Unreachable, guarded
from warehouse.errors import ConfigurationError, SourceUnavailable
from warehouse.settings import settings

T = TypeVar("T")
REDIRECTS = 5
PATIENCE = 20  # an answer may take so many times its source's timeout in all
LONGEST_WAIT_S = 60
logging.getLogger("httpcore").setLevel(logging.INFO)  # it would show cookies that answers set


def asked(host: str, ask: Callable[[], T]) -> T:
    """Call `ask` until it succeeds, as often and as slowly as the settings say.

    Raises:
        CircuitBreakerOpen: the host failed too often of late.
        SourceUnavailable: the last failure.
    """
    first = settings().remote_wait_s
    for attempt in stamina.retry_context(
        on=_worth,
        attempts=settings().remote_attempts,
        timeout=None,
        wait_initial=first,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=first,
    ):
        with attempt, guarded(host):
            return ask()
    raise AssertionError("stamina lets the last failure through")


def _worth(error: Exception) -> bool | float:
    if not isinstance(error, Unreachable) or not error.again:
        return False
    return True if error.wait_s is None else max(error.wait_s, 0.01)


# Which hosts ------------------------------------------------------------------------------------


def named(host: str) -> bool:
    """Whether the setting `http_hosts` names this very host."""
    return host.lower() in _allowed()


def _allowed() -> list[str]:
    return [h.strip().lower() for h in settings().http_hosts.split(",") if h.strip()]


def check_host(host: str) -> None:
    """Refuse a host that the setting `http_hosts` does not name, where it names any.

    Raises:
        ConfigurationError: it is refused.
    """
    allowed = _allowed()
    below = any(h.startswith("*.") and host.lower().endswith(h[1:]) for h in allowed)
    if allowed and not below and host.lower() not in allowed:
        raise ConfigurationError(
            f"The host {host!r} is not allowed.", remedy="Add it to CARREL_HTTP_HOSTS."
        )


def addresses(host: str, port: int) -> list[str]:
    """What a host resolves to, all of it fit to be connected to.

    Raises:
        ConfigurationError: an address is private, and `http_hosts` does not name the host.
        httpx.ConnectError: the name is unknown.
    """
    check_host(host)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"the name {host!r} does not resolve") from error
    resolved = list(dict.fromkeys(str(f[4][0]) for f in found))
    if not named(host) and not all(map(public, resolved)):
        raise ConfigurationError(
            f"The host {host!r} has a private address.",
            remedy="If you trust it, name it in CARREL_HTTP_HOSTS.",
        )
    return resolved


def public(address: str) -> bool:
    """Whether an IP address is one of the public internet, however it is written."""
    ip: Any = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.ip_address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return bool(ip.is_global and not ip.is_multicast)


class Checked(httpx.BaseTransport):
    """Connects to the addresses that were checked; a pool a host, so that TLS is never mixed up."""

    def __init__(self) -> None:
        self._pools: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first address that takes it."""
        url = request.url
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        if url.host not in self._pools:  # making one reads all certificates: 30 ms
            self._pools[url.host] = httpx.HTTPTransport(trust_env=False)
        pool = self._pools[url.host]
        failure: httpx.ConnectError | None = None
        for address in addresses(url.host, port):
            try:
                return pool.handle_request(
                    httpx.Request(
                        request.method,
                        url.copy_with(host=address),
                        headers=request.headers,
                        stream=request.stream,
                        extensions=request.extensions | {"sni_hostname": url.host},
                    )
                )
            except httpx.ConnectError as error:
                failure = error
        raise failure or httpx.ConnectError("no address")

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.close()


# Asking -----------------------------------------------------------------------------------------


@dataclass
class Answer:
    """What a host answered. `body` is a file at its start, emptied when closed."""

    status: int
    headers: Mapping[str, str]
    body: IO[bytes]
    next: str | None = field(default=None)


class Client:
    """Asks the host of one source.

    Args:
        home: the source's URL; secrets are sent to its scheme, host and port only.
        timeout_s: seconds that connecting, or any one piece of an answer, may take.
        headers: sent with each request.
    """

    def __init__(
        self, home: str, timeout_s: float = 30, headers: Mapping[str, str] | None = None
    ) -> None:
        self.home = web_url(home)
        self.timeout_s = timeout_s
        self.secrets: dict[str, str] = {}
        self._http = httpx.Client(
            transport=Checked(),
            timeout=timeout_s,
            trust_env=False,
            headers={"User-Agent": "carrel"} | dict(headers or {}),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def trust(self, **headers: str) -> None:
        """Send these secret headers to the source's own host from now on.

        Raises:
            ConfigurationError: a secret is no header, or would travel unencrypted.
        """
        if not all(v.isascii() and v.isprintable() for v in headers.values()):
            raise ConfigurationError("The secret holds characters that no header may hold.")
        self.check_encrypted()
        self.secrets = {k.replace("_", "-"): v for k, v in headers.items()}

    def check_encrypted(self) -> None:
        """Refuse to send a secret unencrypted, unless the host is named as one's own.

        Raises:
            ConfigurationError: it would be.
        """
        if self.home.scheme != "https" and not named(self.home.host):
            raise ConfigurationError(
                f"{shown(self.home)}: a secret is not sent unencrypted.",
                remedy="Use https, or name the host in CARREL_HTTP_HOSTS if its network is yours.",
            )

    def get(self, url: str, params: Mapping[str, Any] | None = None, headers: Any = None) -> Answer:
        """Ask for a URL, following redirects.

        Raises:
            ConfigurationError: the host is not allowed.
            CircuitBreakerOpen: it failed too often of late.
            SourceUnavailable: it refuses, or does not answer, or answers too much.
        """
        target = web_url(url).copy_merge_params(dict(params or {}))
        return self._asked(httpx.Request("GET", target, headers=headers))

    def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """Send a form; raises what `get` raises."""
        return self._asked(httpx.Request("POST", web_url(url), data=dict(form)))

    def post_json(self, url: str, content: Mapping[str, str]) -> Answer:
        """Send a JSON object, to the source's own host alone; raises what `get` raises.

        Raises:
            ConfigurationError: the URL is elsewhere, or the content would travel unencrypted.
        """
        target = web_url(url)
        if origin(target) != origin(self.home):
            raise ConfigurationError(
                f"{shown(target)}: a password is sent to {self.home.host} only."
            )
        self.check_encrypted()
        try:
            return self._asked(httpx.Request("POST", target, json=dict(content)))
        finally:
            self._http.cookies.clear()  # a token goes where `trust` says, and nowhere else

    def _asked(self, request: httpx.Request) -> Answer:
        netloc = request.url.netloc.decode("ascii")
        return asked(netloc, lambda: self._once(request))

    def _once(self, request: httpx.Request) -> Answer:
        place = shown(request.url)
        try:
            for _ in range(REDIRECTS + 1):
                sent = self._http.build_request(
                    request.method,
                    request.url,
                    headers=self._headers(request),
                    content=request.read(),
                )
                answer = self._http.send(sent, stream=True)
                with closing(answer):
                    if not answer.next_request:
                        return self._read(answer, place)
                    request = _redirected(request.url, answer.next_request)
        except httpx.InvalidURL as error:
            raise SourceUnavailable(f"{place}: redirects to no URL: {error}.") from None
        except httpx.DecodingError as error:
            raise Unreachable(f"{place}: a broken answer: {error}.") from None
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise Unreachable(f"{place}: {self.without_secrets(why)}.") from None
        raise SourceUnavailable(f"{place}: redirects more than {REDIRECTS} times.")

    def _headers(self, request: httpx.Request) -> dict[str, str]:
        plain = {k: v for k, v in request.headers.items() if k not in ("host", "content-length")}
        ours = {k.lower() for k in self.secrets}
        plain = {k: v for k, v in plain.items() if k.lower() not in ours}
        return plain | (self.secrets if origin(request.url) == origin(self.home) else {})

    def _read(self, answer: httpx.Response, place: str) -> Answer:
        _check_status(answer, place)
        body = tempfile.TemporaryFile()  # noqa: SIM115 - the answer's owner closes it
        try:
            self._receive(answer, place, body)
        except BaseException:
            body.close()
            raise
        body.seek(0)
        following = answer.links.get("next", {}).get("url")
        following = str(answer.url.join(following)) if following else None
        return Answer(answer.status_code, answer.headers, body, following)

    def _receive(self, answer: httpx.Response, place: str, body: IO[bytes]) -> None:
        most = int(settings().http_max_mb * 1e6)
        ends, size = time.monotonic() + PATIENCE * self.timeout_s, 0
        for chunk in answer.iter_bytes(1 << 16):
            size += len(chunk)
            if size > most:
                raise SourceUnavailable(
                    f"{place}: an answer of more than {settings().http_max_mb:g} MB.",
                    remedy="Ask for smaller pages, or raise CARREL_HTTP_MAX_MB.",
                )
            if time.monotonic() > ends:
                raise Unreachable(f"{place}: the answer did not end in time.")
            body.write(chunk)

    def without_secrets(self, text: str) -> str:
        """A text with the secrets blotted out."""
        for value in self.secrets.values():
            for part in {value, value.partition(" ")[2]} - {""}:
                text = text.replace(part, "***")
        return text


def web_url(url: str) -> httpx.URL:
    """A URL that may be asked.

    Raises:
        ConfigurationError: it is none of http or https, or holds a password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"That is no URL: {error}.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError("A URL must start with https:// or http:// and name a host.")
    if parsed.userinfo:
        raise ConfigurationError(
            f"{shown(parsed)}: the URL holds a password.", remedy="Use `auth` and `secret` instead."
        )
    return parsed


def shown(url: httpx.URL) -> str:
    """A URL fit for messages: without user, password and query, which may hold secrets."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port."""
    return url.scheme, url.host, url.port


def _redirected(before: httpx.URL, request: httpx.Request) -> httpx.Request:
    """The next request, where following is safe; its host is checked when it is connected to."""
    if before.scheme == "https" and request.url.scheme != "https":
        raise SourceUnavailable(f"{shown(before)}: redirects from https to http.")
    web_url(str(request.url))
    return request


def _check_status(answer: httpx.Response, place: str) -> None:
    status = answer.status_code
    if status == 429 or status >= 500:
        wait = retry_after(answer.headers.get("Retry-After"))
        longest = settings().remote_patience_s
        asks = f", and asks to wait {wait:.0f} s" if wait is not None else ""
        raise Unreachable(
            f"{place}: answered {status}{asks}.",
            wait_s=wait,
            fault=status != 429,
            again=wait is None or wait <= longest,
        )
    if status in (401, 403):
        raise Refused(f"{place}: answered {status}: it does not let us in.", status)
    if status != 304 and not 200 <= status < 300:
        raise Refused(f"{place}: answered {status} {answer.reason_phrase}.", status)


class Refused(SourceUnavailable):
    """A host answered that it will not; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        hint = "Check `auth` and the secret." if status in (401, 403) else "Check the URL."
        super().__init__(message, remedy=hint)
        self.status = status


def retry_after(value: str | None) -> float | None:
    """Seconds that a header Retry-After asks for (a number or a date); None without one."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return max(0.0, (until - dt.datetime.now(dt.UTC)).total_seconds())
