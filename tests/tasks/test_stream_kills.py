"""Kill -9 while the real day files flow: in the end every figure is right to the penny.

Consumer and PostgreSQL are killed at seeded places; nothing is put right by hand. The same through
Kafka, with its broker among the killed, stands in test_stream_kafka.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployments.postgres import Server
from tasks.stream.consume import consume
from tasks.stream.rebuild import rebuild
from tests.fix_stream import check_against
from tests.tasks.fix_stream_kills import consuming, kill_postgres, mixed, survive
from warehouse.streams import Stream


@pytest.mark.shared
@pytest.mark.parametrize(
    ("count", "batch"), [(5, 20_000), pytest.param(50, 3_000, marks=pytest.mark.full)]
)
def test_kills_while_the_folder_log_is_read(
    *, count: int, batch: int, sales: Stream, sold: Path, figures: dict[str, Any],
    postgres: Server, setting: Callable[..., None],
) -> None:  # fmt: skip
    setting(stream_log=sold, stream_batch=batch)
    kinds = mixed(["consumer", "consumer", "consumer", "postgres"], count, seed=count)
    with consuming() as restart:
        kills = {"consumer": restart, "postgres": lambda: kill_postgres(postgres)}
        survive(kinds, count, figures["rows_"], kills)
    check_against(figures)
    assert rebuild(sales).differing == 0


def test_consuming_once_says_when_the_database_is_away(
    sales: Stream, setting: Callable[..., None]
) -> None:
    setting(database_url="postgresql://carrel_owner@127.0.0.1:1/carrel")
    with pytest.raises(psycopg.OperationalError):
        consume(sales, once=True)
