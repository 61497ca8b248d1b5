"""Connections: pooled SQLAlchemy engines, one a login, and bare psycopg for COPY."""

from __future__ import annotations

from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine

from warehouse.settings import settings


@cache
def engine(login: str = "owner") -> Engine:
    """The pooled engine of a login: `owner`, `app`, or a viewer role (those read only)."""
    options = "-c timezone=UTC -c statement_timeout=60s"
    if login not in ("owner", "app"):
        options += " -c default_transaction_read_only=on"
    return create_engine(
        settings().url(login),
        hide_parameters=True,  # errors go to logs: no address, hash or token in them
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=10,
        connect_args={"options": options},
    )


def connect(**kwargs: Any) -> psycopg.Connection[Any]:
    """A psycopg connection as the owner, for COPY and DDL."""
    url = settings().url().set(drivername="postgresql")
    options = "-c timezone=UTC"
    return psycopg.connect(url.render_as_string(hide_password=False), options=options, **kwargs)
