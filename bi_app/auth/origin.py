"""From where a request really comes, and whether it came over TLS.

What a browser says of itself (X-Forwarded-For and its kin) counts only when it comes through a
proxy whose address is declared in CARREL_TRUSTED_PROXIES; anybody else could make it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from warehouse.errors import ConfigurationError
from warehouse.settings import settings

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

Network = IPv4Network | IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, comma separated.

    Raises:
        ConfigurationError: one is neither.
    """
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"CARREL_TRUSTED_PROXIES: {error}.", remedy="Write it as 10.0.0.5, 192.168.4.0/24."
        ) from None


_networks = cache(networks)


def is_trusted(address: str) -> bool:
    """Whether an address is that of a declared proxy."""
    try:
        found = ip_address(address)
    except ValueError:  # a socket of the file system, or no address at all
        return False
    known = _networks(settings().trusted_proxies)
    return any(found.version == n.version and found in n for n in known)


def real_address(peer: str, headers: Mapping[str, str]) -> str:
    """The address of the browser: the last one in X-Forwarded-For that is no declared proxy.

    `peer` is who opened the connection; unless that is a declared proxy it is the browser.
    """
    address = peer
    hops = [hop.strip() for hop in headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    while hops and is_trusted(address):
        hop = _bare(hops.pop())
        if hop is None:  # what a proxy of ours would not write
            return address
        address = hop
    return address


def _bare(hop: str) -> str | None:
    """An address, without a port; None where it is none."""
    host = hop.removeprefix("[").partition("]")[0] if hop.startswith("[") else hop
    for candidate in (host, host.rpartition(":")[0]):
        try:
            return str(ip_address(candidate))
        except ValueError:
            continue
    return None


def real_scheme(peer: str, scheme: str, headers: Mapping[str, str]) -> str:
    """`https` where the browser used TLS, as far as a declared proxy or we ourselves saw it."""
    if scheme == "https" or not is_trusted(peer):
        return scheme
    told = headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    return "https" if told == "https" else scheme


def address_in(scope: Mapping[str, Any]) -> str:
    """The browser's address of a request to the API (an ASGI scope)."""
    peer = str((scope.get("client") or ("",))[0])
    told = [v.decode("latin-1") for n, v in scope["headers"] if n == b"x-forwarded-for"]
    return real_address(peer, {"X-Forwarded-For": ",".join(told)})


def address_of(request: HTTPServerRequest) -> str:
    """The browser's address of a request to the app."""
    return real_address(str(request.remote_ip), request.headers)


def is_https(request: HTTPServerRequest) -> bool:
    """Whether the browser's connection is sealed."""
    return real_scheme(str(request.remote_ip), request.protocol, request.headers) == "https"
