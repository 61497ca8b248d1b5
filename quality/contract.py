"""Contracts: what must hold of a dataset before its gold may be published.

A contract stands at `quality/contracts/<domain>/<name>.yml`, or at `contracts/<domain>/<name>.yml`
of the project folder, and is written in Soda's contract language:

    dataset: carrel/carrel/silver/library_branches   # source/database/schema/table
    columns:
      - name: branch_code
        data_type: text
        checks:
          - missing:
          - invalid: {name: branch codes are short, valid_max_length: 8}
      - name: opened_on
        data_type: date
    checks:
      - schema: {allow_extra_columns: true}
      - row_count: {threshold: {must_be_between: {greater_than_or_equal: 1, less_than: 500}}}
      - duplicate: {columns: [source_code, branch_code]}
      - failed_rows: {name: opened in the past, expression: "opened_on > current_date"}

A check's `attributes: {severity: info | warning | critical, part: …}` say how much it matters
(critical unless said) and which part of the health score it counts in. `use: {check: NAME}` stands
for a check written once (quality/shared.py), and a reference of the spec for a check of it.

The database's name is filled in from the settings, and columns may stand in any order unless
`schema: {allow_other_column_order: false}` is said. Soda ignores a misspelt key, so that its check
would pass in silence; here the JSON schema of its own wheel, made strict, names the key instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError

from quality import references, written
from quality.shared import Place, expanded
from warehouse.errors import SpecError
from warehouse.settings import settings
from warehouse.spec import Dataset

SHIPPED = Path(__file__).parent / "contracts"
SCHEMA = "contracts/soda_data_contract_json_schema_1_0_0.json"
SEVERITIES = ("info", "warning", "critical")
PARTS = (
    "completeness", "validity", "uniqueness", "consistency", "freshness", "volume", "rules",
)  # fmt: skip


class Contract(NamedTuple):
    """A validated contract: its file and content."""

    path: Path
    content: dict[str, Any]

    @property
    def given_names(self) -> set[str]:
        """The names that the author gave to checks."""
        return {body["name"] for body in _bodies(self.content) if body and "name" in body}


def contract(dataset: Dataset) -> Contract:
    """The contract of a dataset.

    Raises:
        SpecError: there is none, or it is wrong; the message names the file and the key.
    """
    path = next((p for p in _places(dataset) if p.exists()), None)
    if path is None:
        raise SpecError(
            _places(dataset)[-1],
            f"{dataset.table} has no contract, so nothing can say whether it may be trusted.",
            remedy=f"Write one, or draft it with `carrel add`; {SHIPPED} holds examples.",
        )
    return read_contract(path, dataset.table, more=references.uses(dataset))


def _places(dataset: Dataset) -> tuple[Path, Path]:
    below = Path(dataset.domain) / f"{dataset.name}.yml"
    return SHIPPED / below, settings().project / "contracts" / below


def read_contract(path: Path, table: str, *, more: Sequence[dict[str, Any]] = ()) -> Contract:
    """Read and validate one contract for silver.<table>, with `more` checks of the dataset.

    Raises:
        SpecError: naming the file and every key that is wrong.
    """
    content = written.read(path)
    if more and isinstance(content, dict) and isinstance(content.get("checks", []), list):
        content["checks"] = [*content.get("checks", []), *more]
    content = _expand(path, content, table)
    if faults := _faults(content):
        raise SpecError(path, "; ".join(faults))
    _must_check(path, content, table)
    return Contract(path, content)


def _expand(path: Path, content: Any, table: str) -> Any:
    """The contract with each `use` replaced by the check that it names."""
    if not isinstance(content, dict):
        return content
    columns = content.get("columns")
    if isinstance(columns, list):
        content["columns"] = [
            _expand_checks(c, Place(path, table, c.get("name"))) if isinstance(c, dict) else c
            for c in columns
        ]
    return _expand_checks(content, Place(path, table, None))


def _expand_checks(holder: dict[str, Any], place: Place) -> dict[str, Any]:
    checks = holder.get("checks")
    if not isinstance(checks, list):
        return holder
    return holder | {"checks": [_expand_check(check, place) for check in checks]}


def _expand_check(check: Any, place: Place) -> Any:
    if not isinstance(check, dict) or "use" not in check:
        return check
    if len(check) > 1:
        raise SpecError(place.contract, f"use: stands with {', '.join(check)}; give it its own -")
    made, path = expanded(place, check["use"])
    if faults := _faults(_alone(made, place)):
        raise SpecError(path, f"{'; '.join(faults)} (used by {place.contract})")
    return made


def _alone(check: dict[str, Any], place: Place) -> dict[str, Any]:
    """A contract with one check, so that what is wrong in it is told of its own file."""
    column: dict[str, Any] = {"name": place.column or "any"}
    holder = column if place.column else {}
    holder["checks"] = [check]
    return {"dataset": "carrel/carrel/silver/any", "columns": [column]} | (
        {} if place.column else holder
    )


def _must_check(path: Path, content: dict[str, Any], table: str) -> None:
    parts = content["dataset"].split("/")
    if len(parts) != 4 or parts[0] != "carrel" or parts[2:] != ["silver", table]:
        raise SpecError(path, f"dataset: must be carrel/carrel/silver/{table}")
    if not list(_bodies(content)):
        raise SpecError(path, "checks: holds no check, so nothing could fail")
    if twice := _same(content):
        raise SpecError(path, f"{'; '.join(twice)}: written twice; give one a `qualifier`")
    names = [body["name"] for body in _bodies(content) if body and "name" in body]
    if again := {n for n in names if names.count(n) > 1}:
        raise SpecError(path, f"name: two checks are called {', '.join(sorted(again))}")


def _same(content: dict[str, Any]) -> list[str]:
    """Checks that Soda could not tell apart: of one column, type and qualifier."""
    holders = [(f"columns.{c['name']}.", c) for c in content["columns"]] + [("", content)]
    identities = [
        f"{place}checks.{kind} {(body or {}).get('qualifier', '')}".strip()
        for place, holder in holders
        for check in holder.get("checks") or ()
        for kind, body in check.items()
    ]
    return sorted({i for i in identities if identities.count(i) > 1})


def _bodies(content: dict[str, Any]) -> Iterator[dict[str, Any] | None]:
    """The body of each check, of the columns and of the dataset."""
    for holder in (*content["columns"], content):
        for check in holder.get("checks") or ():
            yield from check.values()


@cache
def _validator() -> Draft202012Validator:
    """Soda's own schema, closed where it is open: a column's keys, attributes, an empty check.

    Soda reads attributes of every check, but its schema knows none of failed_rows and metric.
    """
    spec = find_spec("soda_core")  # finds the wheel without importing it
    assert spec is not None
    assert spec.submodule_search_locations is not None
    schema = json.loads(Path(spec.submodule_search_locations[0], SCHEMA).read_text("utf-8"))
    columns = schema["properties"]["columns"]
    columns["items"]["unevaluatedProperties"] = False
    for checks in (
        schema["properties"]["checks"],
        columns["items"]["allOf"][0]["properties"]["checks"],
    ):
        checks["items"]["minProperties"] = 1
        for each in checks["items"]["anyOf"]:
            _with_attributes(each)
    schema["$defs"]["attributes"] = ATTRIBUTES
    return Draft202012Validator(schema)


ATTRIBUTES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"severity": {"enum": list(SEVERITIES)}, "part": {"enum": list(PARTS)}},
}


def _with_attributes(check: dict[str, Any]) -> None:
    for body in check["properties"].values():
        for form in body.get("oneOf", [body]):
            if form.get("type") == "object":
                form["properties"]["attributes"] = {"$ref": "#/$defs/attributes"}


def _faults(content: object) -> list[str]:
    """Every fault; keys that only seem unknown because another key beside them is wrong are not."""
    errors = list(_validator().iter_errors(content))
    causes = [e for e in errors if e.validator != "unevaluatedProperties"]
    return [_explain(e) for e in causes or errors]


def _explain(error: ValidationError) -> str:
    """The deepest fault below an error, as `key: what is wrong`."""
    leaf = max(_leaves(error), key=lambda e: len(e.absolute_path))
    return f"{leaf.json_path.removeprefix('$').lstrip('.') or 'contract'}: {leaf.message}"


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for cause in error.context or ():
        yield from _leaves(cause)
