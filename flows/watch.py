"""Watch: look at the landing folder, and bring in the datasets whose files are new or changed."""

from __future__ import annotations

from prefect import flow

from flows.ingest import bring_in_all
from flows.report import conclude_group
from flows.result import GroupResult
from flows.run import Attempts, run
from flows.steps import publish
from tasks.scan import Scan, remember, scan, settled
from warehouse.errors import SourceUnavailable
from warehouse.settings import settings
from warehouse.spec import datasets


@flow(name="watch", flow_run_name="watch", persist_result=False)
def watch(settle_s: float = 10) -> GroupResult:
    """Bring in what arrived in the landing folder since the last watch; idle when nothing did.

    Datasets whose sources lie elsewhere have schedules of their own. A file that cannot be read is
    tried again when it has changed; one whose load failed for another reason, at the next watch.

    Args:
        settle_s: seconds since the last write after which a file counts as whole.
    """
    with run() as run_id:
        folder = settings().landing_folder
        if not folder.is_dir():
            return GroupResult(run_id)
        seen = scan(folder, scanner="watch", counting=False)
        writing = {one.path for one in seen.files if not settled(one, settle_s)}
        fresh = {
            one.taker.dataset
            for one in seen.files
            if one.fresh and one.taker and one.taker.by == "path" and one.path not in writing
        }
        members = {name: d for name, d in datasets().items() if name in fresh}
        if not members:
            remember(seen, without=writing)
            return GroupResult(run_id)
        attempts = bring_in_all(members, run_id)
        published = publish(members.values(), run_id)
        remember(seen, without=writing | _unsettled(seen, attempts))
        return conclude_group(attempts.result(published))


def _unsettled(seen: Scan, attempts: Attempts) -> set[str]:
    """Files of datasets that were held or failed for a reason that is not in the files."""
    failed = {n for n, e in attempts.failed.items() if not isinstance(e, SourceUnavailable)}
    again = failed | set(attempts.held)
    return {one.path for one in seen.files if one.taker and one.taker.dataset in again}
