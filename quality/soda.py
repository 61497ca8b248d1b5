"""Soda, asked here and nowhere else: measure each check of a contract.

Soda's telemetry is on by default; it is turned off before the import. The connection reads only,
and its password stands in memory alone: no data source file is written. Soda logs the text of
queries and of database errors, which may hold personal values, so its lines never reach our log.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import yaml

from quality.contract import Contract
from warehouse.settings import settings

if TYPE_CHECKING:
    from soda_core.contracts.contract_verification import (
        CheckResult,
        ContractVerificationResult,
        ContractVerificationSessionResult,
        Threshold,
    )

os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"

_one_at_a_time = Lock()  # Soda is not safe in threads


@dataclass(frozen=True)
class Check:
    """One check as measured: `measured` is what the threshold was compared with."""

    name: str
    type: str
    column: str | None
    measured: float | None
    threshold: str
    outcome: str  # passed, failed, warned, not evaluated, excluded
    severity: str = "critical"  # info, warning, critical
    part: str = "rules"  # of the health score

    @property
    def holds(self) -> bool:
        """Whether it was measured and is as it should be."""
        return self.outcome == "passed"

    @property
    def warns(self) -> bool:
        """Whether people should know of it, though it holds nothing back."""
        return self.outcome == "warned" or (self.outcome == "failed" and self.severity == "warning")

    @property
    def blocks(self) -> bool:
        """Whether it holds gold back."""
        return self.outcome == "failed" and self.severity == "critical"


PART_OF = {  # what a check of each type is about, unless its attributes say another part
    "missing": "completeness",
    "invalid": "validity",
    "duplicate": "uniqueness",
    "schema": "consistency",
    "freshness": "freshness",
    "row_count": "volume",
}


@dataclass(frozen=True)
class Measurement:
    """Every check of a contract, and what went wrong while measuring (without personal values)."""

    checks: tuple[Check, ...]
    is_ok: bool
    errors: tuple[str, ...] = ()


def measure(contract: Contract) -> Measurement:
    """Ask Soda, on the owner's database, whether each check of the contract holds."""
    with _one_at_a_time, _kept_quiet():
        # In a context of its own: Soda goes on collecting every log line in the one it ran in.
        session = copy_context().run(_ask, _text(contract), str(contract.path))
    (result,) = session.contract_verification_results
    return Measurement(_checks(result, contract.given_names), session.is_ok, _errors(session))


def _ask(text: str, path: str) -> ContractVerificationSessionResult:
    from soda_core.common.yaml import ContractYamlSource
    from soda_core.contracts.contract_verification import ContractVerificationSession

    source = ContractYamlSource.from_str(text, file_path=path)
    data = _data_source()
    try:
        return ContractVerificationSession.execute([source], data_source_impls=[data])
    finally:
        data.close_connection()


def _text(contract: Contract) -> str:
    """The contract with the name of the connected database filled in."""
    source, _, schema, table = contract.content["dataset"].split("/")
    dataset = "/".join((source, settings().url().database or "", schema, table))
    filled = contract.content | {"dataset": dataset}
    if "checks" in filled:
        filled["checks"] = [*map(_in_any_order, filled["checks"])]
    return yaml.safe_dump(filled, sort_keys=False)


def _in_any_order(check: dict[str, Any]) -> dict[str, Any]:
    """A schema check that lets columns stand in any order: one that came later stands last."""
    if "schema" not in check:
        return check
    return {"schema": {"allow_other_column_order": True} | (check["schema"] or {})}


def _data_source() -> Any:
    """The owner's database, read only, as Soda wants it."""
    from soda_postgres.common.data_sources.postgres_data_source import PostgresDataSourceImpl
    from soda_postgres.common.data_sources.postgres_data_source_connection import (
        PostgresDataSource,
    )

    url = settings().url()
    connection = {
        "host": url.host or "localhost",
        "port": url.port or 5432,
        "database": url.database,
        "user": url.username,
        "password": url.password or "",
        "application_name": "carrel verify",
        "options": "-c timezone=UTC -c default_transaction_read_only=on",
    }
    return PostgresDataSourceImpl(
        PostgresDataSource(name="carrel", connection=connection | dict(url.query))
    )


@contextmanager
def _kept_quiet() -> Iterator[None]:
    """Let Soda collect its own log lines, which decide its status, but hand them to no one else.

    It also warns of its own deprecated parts, which is no concern of ours.
    """
    soda = logging.getLogger("soda")
    before = soda.propagate, soda.level
    collector = _ToSodaAlone(logging.WARNING)
    soda.addHandler(collector)
    soda.propagate = False
    soda.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        soda.removeHandler(collector)
        soda.propagate, soda.level = before


class _ToSodaAlone(logging.Handler):
    """Hands a record to the handler that Soda keeps at the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        for handler in logging.root.handlers:
            if type(handler).__module__.startswith("soda_core."):
                handler.handle(record)


def _checks(result: ContractVerificationResult, given: set[str]) -> tuple[Check, ...]:
    names: dict[str, int] = {}
    checks = []
    for measured in result.check_results:
        name = _name(measured, given)
        names[name] = names.get(name, 0) + 1
        checks.append(_check(measured, name if names[name] == 1 else f"{name} {names[name]}"))
    return tuple(checks)


def _name(result: CheckResult, given: set[str]) -> str:
    """The author's name of a check, else its column and type (Soda's own names repeat)."""
    if result.check.name in given:
        return str(result.check.name)
    kind = " ".join(p for p in (result.check.type, result.check.qualifier) if p).replace("_", " ")
    return f"{result.check.column_name}: {kind}" if result.check.column_name else kind


def _check(result: CheckResult, name: str) -> Check:
    check = result.check
    value = result.threshold_value
    attributes = check.attributes or {}
    return Check(
        name=name,
        type=check.type,
        column=check.column_name,
        measured=None if value is None else float(value),
        threshold=_said(check.threshold),
        outcome={"WARN": "warned"}.get(
            result.outcome.name, result.outcome.name.lower().replace("_", " ")
        ),
        severity=attributes.get("severity", "critical"),
        part=attributes.get("part", PART_OF.get(check.type, "rules")),
    )


def _said(threshold: Threshold | None) -> str:
    """A threshold in words, as `must be greater than: 1 and must be less than: 60`."""
    lines = str(threshold).splitlines() if threshold else []
    return " and ".join(line for line in lines if not line.startswith("level:"))


def _errors(session: ContractVerificationSessionResult) -> tuple[str, ...]:
    """What Soda could not do: the first line of each error, with quoted values left out."""
    firsts = (e.splitlines()[0] for e in session.get_errors() if e)
    return tuple(dict.fromkeys(map(_without_values, firsts)))


def _without_values(message: str) -> str:
    if "does not exist" in message:  # names a table or a column, never a value
        return message
    return re.sub(r"\"[^\"]*\"|'[^']*'", "…", message)
