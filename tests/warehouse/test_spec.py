"""Dataset specs: a bad key is named, and the schema serves editors."""

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from warehouse.errors import ConfigurationError, SpecError
from warehouse.spec import dataset, datasets, discover, json_schema, read_spec

GOOD = """
title: Visits
grain: one row a visit
source: {kind: csv, path: visits.csv}
key: [visit_id]
access: {staff: true}
columns:
  - {name: visit_id, type: bigint, from: "Visit no", meaning: Number of the visit}
  - {name: visited_on, type: date, formats: ["%d/%m/%y"], pivot: 30, meaning: Day of the visit}
"""


def write(folder: Path, text: str, name: str = "visits") -> Path:
    path = folder / "shop" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_spec_takes_domain_and_name_from_its_place(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, GOOD))
    assert (spec.table, spec.group, spec.key_columns) == ("shop_visits", "shop", ("visit_id",))
    assert spec.columns[0].header == "Visit no"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("title: Visits", "titel: Visits"), "titel"),
        (("title: Visits", "title: Visits\ntitle: Loans"), "key written twice: title"),
        (("key: [visit_id]", "key: [visit]"), "'visit', which is no column"),
        (("access: {staff: true}", "access: {staf: true}"), "access.staf"),
        (("access: {staff: true}", "access: {branch: shop}"), "'shop', which is no column"),
        (("type: bigint", "type: int128"), "columns.0.type"),
        (("type: date", "type: text"), "formats and pivot are for date"),
        (("name: visited_on", "name: visit_id"), "named twice: visit_id"),
        (("name: visited_on", 'name: "visited on; drop table x"'), "columns.1.name"),
    ],
)
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, change: tuple[str, str], named: str
) -> None:
    path = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(SpecError) as error:
        read_spec(path)
    assert named in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["title: [", "just text", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError):
        read_spec(write(tmp_path, text))


def test_two_specs_cannot_claim_one_table(tmp_path: Path) -> None:
    write(tmp_path / "a", GOOD)
    write(tmp_path / "b", GOOD)
    with pytest.raises(SpecError, match="is also at"):
        discover(tmp_path / "a", tmp_path / "b")


def test_an_unknown_dataset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="Known: "):
        dataset("no_such_dataset")


@pytest.mark.parametrize("name", sorted(datasets()))
def test_every_shipped_spec_fits_the_schema_for_editors(name: str) -> None:
    jsonschema.validate(yaml.safe_load(datasets()[name].path.read_text()), json_schema())


def test_a_title_of_two_lines_cannot_leave_its_comment(tmp_path: Path) -> None:
    text = GOOD.replace("title: Visits", 'title: "Visits\\ndrop schema silver"')
    with pytest.raises(SpecError, match="title"):
        read_spec(write(tmp_path, text))


OWN = "source: {kind: json, path: 'own/*.json'}\nmode: snapshot\n"


def own(setting: Callable[..., None], folder: Path, text: str, name: str = "branches") -> Path:
    setting(project=folder)
    path = folder / "sources" / "library" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_project_gives_a_dataset_a_source_of_its_own(
    setting: Callable[..., None], tmp_path: Path
) -> None:
    before = dataset("library_branches")
    path = own(setting, tmp_path, OWN)
    moved = dataset("library_branches")
    assert (moved.source.kind, moved.mode) == ("json", "snapshot")
    assert (moved.path, moved.sourced_at) == (before.path, path)
    assert moved.columns == before.columns
    assert dataset("library_items").source.kind == "csv"


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        (OWN, "nothing", "no dataset library_nothing"),
        (OWN + "key: [x]", "branches", "key"),
        ("source: {kind: json}", "branches", "source.json.path"),
        ("- x", "branches", "holds no mapping"),
        ("source: [", "branches", "is not YAML"),
    ],
)
def test_a_wrong_source_is_named(
    text: str, name: str, named: str, setting: Callable[..., None], tmp_path: Path
) -> None:
    path = own(setting, tmp_path, text, name)
    with pytest.raises(SpecError) as error:
        datasets()
    assert named in str(error.value)
    assert str(path) in str(error.value)
