"""Circuit breakers: a remote host that keeps failing is left alone for a while.

Their state stands in `ops.breakers`, so that all runs share it. A host without a row, or closed,
is asked. After `breaker_failures` failures in a row it is open: calls fail at once until the pause
is over. Then it is half-open: one call tries it, which closes it or opens it again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from warehouse.database import engine
from warehouse.errors import CarrelError, CircuitBreakerOpen, SourceUnavailable
from warehouse.settings import settings

# A try is a lease: where the run that tries is killed, another may try after the same pause.
TRY = text("""
update ops.breakers set state = 'half-open', until = clock_timestamp() + :pause,
    changed_at = clock_timestamp()
where host = :host and state <> 'closed' and until <= clock_timestamp()
""")
STATE = text("select state, until, failures from ops.breakers where host = :host")
FAILED = text("""
insert into ops.breakers as b (host, state, failures, until, last_error)
values (:host, case when :most <= 1 then 'open' else 'closed' end, 1,
    case when :most <= 1 then clock_timestamp() + :pause end, :error)
on conflict (host) do update set
    failures = b.failures + 1,
    state = case when b.state <> 'closed' or b.failures + 1 >= :most then 'open' else 'closed' end,
    until = case when b.state <> 'closed' or b.failures + 1 >= :most
        then clock_timestamp() + :pause end,
    changed_at = clock_timestamp(),
    last_error = excluded.last_error
""")
ANSWERED = text("""
update ops.breakers set state = 'closed', failures = 0, until = null,
    changed_at = clock_timestamp()
where host = :host and (state <> 'closed' or failures > 0)
""")
LISTED = text("select host, state, failures, until, last_error from ops.breakers order by host")


class Unreachable(SourceUnavailable):
    """A remote host did not answer, or said that it cannot now: worth another try.

    Args:
        message: what happened, without secrets.
        wait_s: seconds that the host asks to wait, if it does.
        fault: whether the host is at fault; a host that asks us to slow down is not.
        again: whether to try again in this run.
    """

    def __init__(
        self, message: str, *, wait_s: float | None = None, fault: bool = True, again: bool = True
    ) -> None:
        super().__init__(message, remedy="Run again later; nothing has been written.")
        self.wait_s, self.fault, self.again = wait_s, fault, again


@contextmanager
def guarded(host: str) -> Iterator[None]:
    """One call to a host: refused while its breaker is open, and counted.

    Raises:
        CircuitBreakerOpen: it failed too often of late.
    """
    _admit(host)
    try:
        yield
    except Unreachable as error:
        if error.fault:
            _note(FAILED, host=host, most=settings().breaker_failures, error=error.message)
        else:
            _note(ANSWERED, host=host)
        raise
    except CarrelError as error:
        if isinstance(error, SourceUnavailable):
            _note(ANSWERED, host=host)  # it answered, though not what was hoped for
        raise
    _note(ANSWERED, host=host)


def _pause() -> dt.timedelta:
    return dt.timedelta(seconds=settings().breaker_pause_s)


def _admit(host: str) -> None:
    with engine().begin() as connection:
        if connection.execute(TRY, {"host": host, "pause": _pause()}).rowcount:
            return
        row = connection.execute(STATE, {"host": host}).one_or_none()
    if row and row.state != "closed":
        raise CircuitBreakerOpen(host, row.until, row.failures)


def _note(statement: Any, **values: Any) -> None:
    """In a transaction of its own: what failed stays noted when the load is rolled back."""
    if statement is FAILED:
        values["pause"] = _pause()
    with engine().begin() as connection:
        connection.execute(statement, values)


def breakers() -> list[tuple[str, str, int, dt.datetime | None, str | None]]:
    """Every host that has failed, as (host, state, failures in a row, until, last error)."""
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(LISTED)]
