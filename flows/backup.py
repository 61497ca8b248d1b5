"""Backup: the database, the project, the kept files and the settings, on a schedule."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.run import run
from tasks.backup import backup as make


@flow(name="backup", flow_run_name="backup", persist_result=False)
def backup(to: str | None = None, keep: int | None = 14, days: int | None = None) -> str:
    """Make a backup and drop old ones; return its folder.

    Args:
        to: the folder of backups; default: `backups` in the home.
        keep: only so many of the newest stay.
        days: only those of so many days stay, and the newest in any case.

    Raises:
        ConfigurationError: no pg_dump is new enough.
        Busy: another backup to the folder is under way.
        CarrelError: pg_dump failed; nothing is left of the backup.
    """
    with run():
        return str(make(Path(to) if to else None, keep=keep, days=days))
