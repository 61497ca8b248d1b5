"""Ports of the local stack: the wanted one, or the next that is free."""

from __future__ import annotations

import socket

from warehouse.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
TRIES = 100


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether nothing listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(first: int, *, but_not: frozenset[int] = frozenset()) -> int:
    """The first free port from `first` on, leaving out those promised to others.

    Raises:
        ConfigurationError: none of the next hundred is free.
    """
    for port in range(first, min(first + TRIES, 65536)):
        if port not in but_not and is_free(port):
            return port
    raise ConfigurationError(
        f"No port from {first} on is free.", remedy="Set another CARREL_*_PORT to start from."
    )
