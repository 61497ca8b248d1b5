"""Publish anyway: a person's act, with a reason, for one verdict.

The act goes on for verdicts that say the same of the same rows: a run that finds no new file takes
nothing back, whereas a row that changed, or a further check that does not hold, does.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from warehouse.database import engine
from warehouse.errors import ConfigurationError
from warehouse.spec import Dataset


@dataclass(frozen=True)
class Override:
    """Who lets the figures of a verdict that does not publish be published, and why."""

    dataset: str
    verdict_id: int
    who: str
    reason: str


def override(dataset: Dataset, *, who: str, reason: str) -> Override:
    """Put on record that the dataset's newest verdict is to be published in spite of what it says.

    Gold is not touched here; `publish` acts on it. The same verdict twice keeps the first record.

    Raises:
        ConfigurationError: there is no reason, no verdict, none since the newest load, or it
            publishes by itself.
    """
    if not reason.strip():
        raise ConfigurationError("Publishing anyway needs a reason.", remedy="Say it: --reason.")
    with engine().begin() as connection:
        newest = connection.execute(_NEWEST, {"dataset": dataset.table}).one_or_none()
        if newest is None or not newest.judged:
            raise ConfigurationError(
                f"{dataset.table} has not been judged since its last load.",
                remedy=f"Run `carrel quality check {dataset.table}` first.",
            )
        if newest.outcome == "passed":
            raise ConfigurationError(
                f"{dataset.table} is not held back: its newest verdict publishes.",
                remedy="Where a figure is behind all the same, `carrel ingest` says why.",
            )
        facts = {"verdict_id": newest.verdict_id, "dataset": dataset.table}
        connection.execute(_KEEP, facts | {"who": who, "reason": reason.strip()})
        kept = connection.execute(_KEPT, facts).one()
    return Override(kept.dataset, kept.verdict_id, kept.who, kept.reason)


def carry(connection: Connection, dataset: str, verdict_id: int) -> str | None:
    """Let a verdict just saved as `failed` have its forerunner's override; say whose it is.

    That holds where no row has changed since, and no critical check fails that did not then.
    """
    facts = {"dataset": dataset, "verdict_id": verdict_id}
    who: str | None = connection.execute(_CARRY, facts).scalar()
    return who


_NEWEST = text("""
select v.verdict_id, v.outcome, coalesce(v.load_id >= (
    select max(load_id) from ops.loads where dataset = :dataset and state = 'done'
), false) as judged
from quality.verdicts v where v.dataset = :dataset order by v.verdict_id desc limit 1
""")
_KEEP = text(
    "insert into quality.overrides (verdict_id, dataset, who, reason)"
    " values (:verdict_id, :dataset, :who, :reason) on conflict (verdict_id) do nothing"
)
_KEPT = text(
    "select dataset, verdict_id, who, reason from quality.overrides where verdict_id = :verdict_id"
)
_CARRY = text("""
with before as (
    select o.*, v.load_id from quality.verdicts v join quality.overrides o using (verdict_id)
    where v.verdict_id = (
        select max(verdict_id) from quality.verdicts
        where dataset = :dataset and verdict_id < :verdict_id
    )
)
insert into quality.overrides (verdict_id, dataset, who, reason, at, actor)
select :verdict_id, dataset, who, reason, at, actor from before
where not exists (
    select from ops.loads l
    where l.dataset = :dataset and l.load_id > before.load_id and l.state = 'done'
        and l.rows_inserted + l.rows_updated + coalesce(l.rows_deleted, 0) > 0
) and not exists (
    select name from quality.results
    where verdict_id = :verdict_id and outcome = 'failed' and severity = 'critical'
    except
    select name from quality.results
    where verdict_id = before.verdict_id and outcome = 'failed' and severity = 'critical'
)
returning who
""")
