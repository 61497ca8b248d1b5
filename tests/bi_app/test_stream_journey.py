"""The stream on the pipelines page: what its state says, and what a browser shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bi_app.models import streams
from tests.bi_app.test_journeys import PHONE, READY, Journey, journey
from warehouse.database import connect

__all__ = ["journey"]
COUNTED = """
insert into ops.stream_partitions (stream, topic, partition, next_offset, events, counted, late,
    duplicates, quarantined, newest_at, moved_at, held_until, consumer)
values ('till_events', 'till_events', 0, 1200, 1200, 1180, 7, 9, 4, now(), now(),
    now() + interval '1 hour', gen_random_uuid());
insert into ops.stream_runs (run_id, stream, topic, host, pid, started_at, reported_at, lateness,
    batches, events, rate, rate_most, ends)
values ('one', 'till_events', 'till_events', 'here', 1, now() - interval '5 minutes', now(),
    '10 minutes', 60, 1200, 4.2, 8, '{"0": [0, 1234]}');
insert into ops.stream_rebuilds (stream, events, differing) values ('till_events', 1187, 0)
"""


@pytest.fixture
def streaming(here: str) -> Iterator[None]:
    """A stream that is consumed, beside the shop's."""
    with connect() as connection:
        connection.execute(COUNTED)
    yield
    with connect() as connection:
        for table in ("partitions", "runs", "rebuilds"):
            connection.execute(
                f"delete from ops.stream_{table} where stream = 'till_events'".encode()
            )


@pytest.mark.parametrize(
    ("consumers", "lag", "rate", "said"),
    [
        (1, 0, 0, "consumed"),
        (1, 59, 0, "consumed"),
        (1, 61, 0, "behind"),
        (2, 5_900, 100, "consumed"),
        (2, 6_100, 100, "behind"),
        (0, 1, 0, "not consumed"),
        (0, 0, None, "idle"),
        (0, None, None, "idle"),
    ],
)
def test_the_state_of_a_stream(
    consumers: float, lag: float | None, rate: float | None, said: str
) -> None:
    assert streams.state({"consumers": consumers, "lag": lag, "rate": rate}) == said


@pytest.mark.browser
def test_staff_see_how_the_stream_stands(journey: Callable[..., Journey], streaming: None) -> None:
    for options in ({}, {"viewport": PHONE, "color_scheme": "dark"}):
        went = journey(**options)
        page = went.sign_in("librarian", "/pipelines")
        page.wait_for_selector(READY)
        cell = page.locator("[data-cell=streams]")
        row = cell.locator("tbody tr", has_text="till_events")
        words = " ".join(row.inner_text().split())
        assert words.startswith("till_events consumed")
        for figure in ("34", "1,200", "1,180", "7", "9", "4"):
            assert figure in words.split()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert b"\ntill_events," in went.saved("streams", "csv").replace(b"\r", b"")
        went.check()
