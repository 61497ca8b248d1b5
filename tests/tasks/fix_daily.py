"""A day and a night in figures, for the daily review."""

from __future__ import annotations

import pytest

from warehouse.database import connect

FILLED = """
insert into ops.loads (dataset, state, started_at, rows_in, rows_inserted, rows_updated,
    rows_unchanged, rows_quarantined, rows_ignored)
values ('a', 'done', now(), 10, 5, 2, 0, 3, 0), ('a', 'unchanged', now(), 0, 0, 0, 0, 0, 0),
    ('b', 'done', now() - interval '30 hours', 4, 4, 0, 0, 0, 0);
insert into ops.loads (dataset, state, started_at) values ('broken', 'failed', now());
insert into quality.verdicts (dataset, outcome, checks, passed)
values ('a', 'failed', 2, 1), ('b', 'failed', 2, 1), ('b', 'passed', 2, 2), ('c', 'failed', 2, 1);
insert into quality.overrides (verdict_id, dataset, who, reason)
select verdict_id, dataset, 'ann', 'it is right' from quality.verdicts where dataset = 'c';
insert into quality.results (verdict_id, name, check_type, outcome, severity)
select verdict_id, 'no_nulls', 'missing', 'failed', 'critical'
from quality.verdicts where outcome = 'failed';
insert into quality.alerts (cause, kind, title, severity)
values ('x', 'step', 'A fails', 'critical');
insert into ops.stream_partitions (stream, topic, partition, events, counted, late, duplicates,
    quarantined, moved_at, held_until)
values ('retail_sales', 't', 0, 10, 7, 1, 1, 1, now() - interval '5 min', now() + interval '1 min'),
    ('retail_sales', 't', 1, 5, 5, 0, 0, 0, now() - interval '9 min', now() - interval '1 min');
insert into silver.retail_sales_late (partition, "offset", arrived_on, event_id, sold_at, late_by,
    arrived_at, folded_at)
select 0, n, '2026-03-02', 'e' || n, now(), '11 min', now(), case when n = 1 then now() end
from generate_series(1, 3) n;
insert into silver.retail_sales_by (dimension, day, value, lines, sales, pieces, gross,
    cancellations, cancelled, net, nameless)
values ('total', '2026-03-02', 'all', 9, 8, 7, 120.5, 0, 0, 110.25, 0),
    ('total', '2026-02-23', 'all', 9, 4, 7, 100, 0, 0, 100, 0),
    ('country', '2026-03-02', 'France', 9, 8, 7, 120.5, 0, 0, 110.25, 0);
insert into gold.library_circulation_public
    (branch_code, day, hour, checkouts, renewals, returns, in_house_uses)
values ('all', '2026-03-02', 9, 30, 1, 2, 0), ('all', '2026-03-02', 10, 20, 0, 0, 0),
    ('all', '2026-02-23', 9, 100, 2, 2, 0), ('all', '2026-03-01', 9, 7, 7, 7, 7);
"""


@pytest.fixture
def filled(database: str) -> str:
    """A database with loads, verdicts, an alert, a stream, and figures of 2 March 2026."""
    with connect() as connection:
        connection.execute(FILLED)
    return database
