"""What looking costs: a profile against a full scan, a run's checks against its load, pages.

    python -m benchmarks.quality [--rows 2000000] [--runs 5]

share     verify (a contract of 12 checks), profile, metrics and anomalies (of 300 days that are
          there already, with and without fitting a model), and all of it, after a first load of the
          rows, and after one of a five-hundredth of them, as shares of that load
profile   against a full scan: `select count(a), count(b), ...` of all ten columns, which reads
          each row up to its last column; one after the other in pairs; wall, and CPU of client and
          server (which must be local); how far estimates are off
pages     queries that a page asks, with 100 datasets x 365 days of history of 20 metrics

Needs the database that the settings name, and uses a database of its own on that server.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.gold import cpu as server_cpu
from benchmarks.loans import SPEC, write_loans
from benchmarks.silver import bench_database
from quality import anomalies, metrics
from quality.profile import profile
from tasks.load import load
from tasks.verify import verify
from warehouse import ddl
from warehouse.database import connect
from warehouse.migrate import migrate, migration_path
from warehouse.settings import settings
from warehouse.spec import Dataset, dataset

TABLE = "bench_loans"
CONTRACT = """
dataset: carrel/carrel/silver/bench_loans
columns:
  - {name: loan_id, data_type: bigint, checks: [{missing: }, {invalid: {valid_min: 1}}]}
  - {name: member_key, data_type: text, checks: [{missing: }]}
  - {name: item_code, data_type: text, checks: [{missing: }]}
  - {name: branch_code, data_type: text, checks: [{missing: }, {invalid: {valid_max_length: 9}}]}
  - {name: checked_out_at, data_type: timestamp without time zone, checks: [{missing: }]}
  - {name: renewals, data_type: integer, checks: [{invalid: {valid_max: 50}}]}
  - {name: channel, data_type: text, checks: [{invalid: {valid_values: [desk, self, app]}}]}
checks:
  - row_count: {threshold: {must_be_greater_than: 1}}
  - duplicate: {columns: [loan_id]}
  - failed_rows: {name: not in the future, expression: "checked_out_at > now()"}
"""
HISTORY = """
insert into quality.metrics (dataset, metric, day, at, run_id, value, size)
select dataset, metric, day, day + time '06:00', day::text,
    case when metric = 'volume' then 4000 + 500 * random() + 300 * extract(dow from day)
        when metric like 'nulls%%' then 0.02 + 0.005 * random() else 10 + random() end,
    case when metric like 'nulls%%' then 4000 end
from unnest(%s::text[]) dataset, unnest(%s::text[]) metric,
    generate_series(current_date - %s::int, current_date - 1, interval '1 day') d (d),
    lateral (select d::date as day) e
"""
PROFILES = """
insert into quality.profiles (dataset, at, position, column_name, measures)
select dataset, now() - n * interval '1 day', c, 'column_' || c,
    (select measures from quality.profiles where column_name = 'branch_code' limit 1)
from unnest(%s::text[]) dataset, generate_series(1, 365) n, generate_series(1, 10) c
"""
FOUND = """
insert into quality.anomalies (dataset, metric, kind, day, score, severity, message)
select dataset, 'volume', 'jump', current_date - n, 5, 'warning', 'rows'
from unnest(%s::text[]) dataset, generate_series(1, 365, 20) n
"""
PAGES = {
    "one dataset's last profile": "select * from quality.latest_profiles where dataset = 'set_42'"
    " order by position",
    "all datasets' last profiles, drifted columns": "select dataset, column_name,"
    " measures #>> '{drift,level}' from quality.latest_profiles"
    " where measures #>> '{drift,level}' is distinct from 'none'",
    "one metric of one dataset, a year": "select day, value from quality.metrics"
    " where dataset = 'set_42' and metric = 'volume' and day > current_date - 365 order by day",
    "all metrics of one dataset, a year": "select metric, day, value from quality.metrics"
    " where dataset = 'set_42' and day > current_date - 365 order by metric, day",
    "volume of all datasets, 90 days": "select day, sum(value) from quality.metrics"
    " where metric = 'volume' and day > current_date - 90"
    " and dataset in (select substr(table_name, 8) from ops.catalogue) group by day order by day",
    "anomalies of all datasets, 30 days": "select * from quality.anomalies"
    " where day > current_date - 30 order by day desc, dataset",
    "a dataset's column over its last 30 profiles": "select at, measures -> 'nulls'"
    " from quality.profiles where dataset = 'set_42' and column_name = 'column_3'"
    " order by at desc limit 30",
}
Cost = tuple[float, float]  # seconds of wall, of CPU


def measured(work: Callable[[], Any]) -> tuple[Cost, Any]:
    """What some work cost, client and server, and what it returned."""
    busy, mine, start = server_cpu(), time.process_time(), time.perf_counter()
    done = work()
    wall = time.perf_counter() - start
    mine = time.process_time() - mine
    return (wall, mine + server_cpu() - busy), done


@contextmanager
def project(folder: Path) -> Iterator[Dataset]:
    """The benchmark's dataset in a database of its own."""
    os.environ["CARREL_PROJECT"] = str(folder)
    settings.cache_clear()
    for place, text in (("datasets", SPEC), ("contracts", CONTRACT)):
        path = folder / place / "bench" / "loans.yml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    loans = dataset(TABLE)
    migration_path(loans).parent.mkdir(parents=True)
    migration_path(loans).write_text(ddl.migration(loans))
    with bench_database("carrel_bench_quality"):
        migrate()
        yield loans


def shares(loans: Dataset, file: Path, run: str, *, first: bool) -> None:
    """Load a file, look at the run, print what each costs as a share of the load."""
    cost, (done,) = measured(lambda: load(loans, file, run_id=run))
    print(f"load of {done.rows_in:,} rows: {cost[0]:.2f} s wall, {cost[1]:.2f} s CPU")
    ledger = metrics.loads_of(loans, run)
    whole = [0.0, 0.0]
    parts = {
        "verify": lambda: verify(loans, done.load_id, run),
        "profile": lambda: profile(loans, run_id=run),
        "metrics": lambda: metrics.gather(loans, run, ledger, dt.datetime.now()),
        "anomalies" + (", fitting" if first else ""): lambda: anomalies.detect(
            loans, dt.date.today(), run
        ),
    }
    for name, work in parts.items():
        part, _ = measured(work)
        whole = [a + b for a, b in zip(whole, part, strict=True)]
        print(share(name, part, cost), flush=True)
    print(share("all of it", (whole[0], whole[1]), cost), flush=True)


def share(name: str, part: Cost, cost: Cost) -> str:
    """A line: what a part cost, and that as a share of the load."""
    each = zip(part, cost, ("wall", "CPU"), strict=True)
    return f"  {name:20}" + "".join(f" {p:6.2f} s {what} {p / c:5.0%}" for p, c, what in each)


def against_scan(loans: Dataset, runs: int) -> None:
    """A profile against a scan of all columns, in pairs."""
    names = [c.name for c in loans.stored]
    scan = f"select {', '.join(f'count({n})' for n in names)} from silver.{TABLE}"
    with connect(autocommit=True) as connection:
        connection.execute(f"vacuum analyze silver.{TABLE}".encode())
        pairs = []
        for _ in range(runs + 1):
            one, _ = measured(lambda: connection.execute(scan.encode()).fetchall())
            two, made = measured(lambda: profile(loans, keep=False))
            pairs.append((one, two))
        del pairs[0]  # warms the caches
        for what, i in (("wall", 0), ("CPU", 1)):
            middle = [statistics.median(p[j][i] for p in pairs) for j in (0, 1)]
            ratio = statistics.median(p[1][i] / p[0][i] for p in pairs)
            print(f"profile: {middle[1]:.2f} s {what}, scan {middle[0]:.2f} s, {ratio:.2f} x")
        for name in names:
            query = f"select count(distinct {name}) from silver.{TABLE}"
            if loans.key_columns != (name,) and made.columns[name]["type"] != "timestamp":
                (true,) = connection.execute(query.encode()).fetchone() or (0,)
                said = made.columns[name]["distinct"]
                print(
                    f"  distinct {name:16} {true:9,} estimated {said:9,} ({said / true - 1:+.0%})"
                )


def history() -> None:
    """A year of a hundred datasets, and what pages ask of it."""
    sets = [f"set_{i}" for i in range(100)]
    names = ["volume", "duration_s", "arrival_h", "freshness_h", "quarantined"]
    names += [f"nulls.c{i}" for i in range(10)] + [f"mean.c{i}" for i in range(5)]
    with connect(autocommit=True) as connection:
        connection.execute(
            "insert into ops.catalogue (table_name, layer, domain, name, title, grain,"
            " key_columns, access, columns)"
            " select 'silver.' || s, 'silver', 'set', s, s, s, '{}', '{}', '[]'"
            " from unnest(%s::text[]) s",
            [sets],
        )
        for statement, values in (
            (HISTORY, [sets, names, 365]),
            (PROFILES, [sets]),
            (FOUND, [sets]),
        ):
            connection.execute(statement, values)
        connection.execute("vacuum analyze quality.metrics, quality.profiles, quality.anomalies")
        (rows,) = connection.execute("select count(*) from quality.metrics").fetchone() or (0,)
        print(f"{rows:,} metrics; milliseconds, median and slowest of 9")
        for name, query in PAGES.items():
            times = [
                measured(lambda q=query: connection.execute(q).fetchall())[0][0] for _ in range(9)
            ]
            print(f"  {name:46} {1000 * statistics.median(times):7.1f} {1000 * max(times):7.1f}")


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carrel bench ") as name:
        folder = Path(name)
        folder.chmod(0o755)
        whole = write_loans(folder / "a" / "loans.csv", options.rows)
        kept = "i % 500 = 0"
        day = write_loans(folder / "b" / "loans.csv", options.rows, changed=kept, kept=kept)
        with project(folder / "project") as loans:
            columns = ["volume", "duration_s", "arrival_h", "mean.renewals", "mean.fine_amount"]
            with connect() as connection:
                connection.execute(HISTORY, [[TABLE], [*columns, "nulls.returned_at"], 300])
            shares(loans, whole, "whole", first=True)
            shares(loans, day, "day", first=False)
            against_scan(loans, options.runs)
            history()


if __name__ == "__main__":
    main()
