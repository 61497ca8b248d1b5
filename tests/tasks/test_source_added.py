"""A kind of source that another installed package adds: in specs, in their schema, and loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.tasks.conftest import Make, findings, rows
from warehouse.errors import SpecError
from warehouse.spec import Dataset, read_spec

ROOT = Path(__file__).parents[2]
MODULE = '''
"""Tide tables: heights by the hour."""
from typing import Literal
import pyarrow as pa
from warehouse.sources import FAULT, Source as Base

class Source(Base):
    kind: Literal["tides"]
    hours: int

def read(dataset, path):
    assert path is None
    hours = range(dataset.source.hours)
    faults = [None if h != 1 else "The gauge was stuck" for h in hours]
    yield pa.table({"hour": list(hours), "height": [h / 2 for h in hours], FAULT: faults})
'''
LOAD = """
import sys
from pathlib import Path
from tasks.load import load
from warehouse.errors import SpecError
from warehouse.spec import json_schema, read_spec
spec = Path(sys.argv[1])
assert "tides" in str(json_schema()["properties"]["source"])
load(read_spec(spec))
spec.write_text(spec.read_text().replace("hours: 3", "days: 3"))
try:
    read_spec(spec)
except SpecError as error:
    print(error)
"""


@pytest.fixture
def tides(make: Make) -> Dataset:
    dataset = make("tides", columns={"hour": "integer", "height": "double"}, key=["hour"])
    data = yaml.safe_load(dataset.path.read_text())
    dataset.path.write_text(yaml.safe_dump(data | {"source": {"kind": "tides", "hours": 3}}))
    return dataset


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the distribution, as pip would leave it."""
    folder = tmp_path / "site"
    facts = folder / "carrel_tides-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: carrel-tides\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[carrel.sources]\ntides = carrel_tides\n")
    (folder / "carrel_tides.py").write_text(MODULE)
    return folder


def test_a_dataset_loads_by_a_kind_of_another_package(tides: Dataset, installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tides.path)],
        env=os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rows(tides) == [(0, 0.0), (2, 1.0)]
    assert [(number, value) for number, _, _, _, value in findings(tides)] == [
        (2, "The gauge was stuck")
    ]
    assert "tides.yml: source.tides.hours: Field required" in done.stdout
    assert "source.tides.days: Extra inputs are not permitted" in done.stdout


def test_without_the_package_the_kind_is_refused(tides: Dataset) -> None:
    with pytest.raises(SpecError, match="tides"):
        read_spec(tides.path)
