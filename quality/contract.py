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

The database's name is filled in from the settings. Soda ignores a misspelt key, so that its check
would pass in silence; here the JSON schema of its own wheel, made strict, names the key instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator, ValidationError

from warehouse.errors import SpecError
from warehouse.settings import settings
from warehouse.spec import Dataset

SHIPPED = Path(__file__).parent / "contracts"
SCHEMA = "contracts/soda_data_contract_json_schema_1_0_0.json"
OUTSIDE = re.compile(r"\$\{(?!soda\.)")  # ${env.X}, ${var.X}: text put in from outside


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
    return read_contract(path, dataset.table)


def _places(dataset: Dataset) -> tuple[Path, Path]:
    below = Path(dataset.domain) / f"{dataset.name}.yml"
    return SHIPPED / below, settings().project / "contracts" / below


def read_contract(path: Path, table: str) -> Contract:
    """Read and validate one contract for silver.<table>.

    Raises:
        SpecError: naming the file and every key that is wrong.
    """
    text = path.read_text("utf-8")
    if OUTSIDE.search(text):
        raise SpecError(path, "takes a variable from outside (`${…}`), which is raw SQL text")
    try:
        content = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(path, f"is not YAML: {error}") from error
    if faults := _faults(content):
        raise SpecError(path, "; ".join(faults))
    _must_check(path, content, table)
    return Contract(path, content)


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


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key written twice is an error, not the last one wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [k.value for k, _ in node.value]
        if twice := {str(k) for k in keys if keys.count(k) > 1}:
            raise yaml.MarkedYAMLError(
                problem=f"key written twice: {', '.join(twice)}", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


@cache
def _validator() -> Draft202012Validator:
    """Soda's own schema, closed where it is open: a column's keys, and a check without a type."""
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
    return Draft202012Validator(schema)


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
