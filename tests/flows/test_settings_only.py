"""Where Prefect runs is a matter of settings alone, so the same file serves Prefect Cloud."""

import re
from pathlib import Path

import pytest
import yaml

from tests.flows.fix_orchestra import PARTS
from warehouse.settings import ROOT
from warehouse.spec import datasets

LOCAL = re.compile(r"127\.0\.0\.1|localhost|0\.0\.0\.0|::1|:4200")
FILES = [ROOT / "prefect.yaml", *(ROOT / "flows").rglob("*"), *(ROOT / "tasks").rglob("*")]
DECLARED = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.suffix in {".py", ".yaml", ".yml", ".sql"}], ids=str
)
def test_no_local_address(path: Path) -> None:
    assert not LOCAL.search(path.read_text())


def test_no_path_of_this_machine() -> None:
    assert str(ROOT) not in (ROOT / "prefect.yaml").read_text()


def test_entrypoints_exist() -> None:
    for deployment in DECLARED:
        path, _, flow = deployment["entrypoint"].partition(":")
        assert path.split("/")[0] in PARTS
        assert f"def {flow}(" in (ROOT / path).read_text()


def test_every_shipped_group_has_a_deployment_and_local_takes_the_rest() -> None:
    parameters = {d["name"]: d.get("parameters", {}) for d in DECLARED}
    groups = {p["group"] for p in parameters.values() if "group" in p}
    assert groups == set(parameters["ingest-local"]["besides"])
    assert {d.group for d in datasets().values()} <= groups
