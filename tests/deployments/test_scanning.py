"""`carrel scan`: its table, its JSON, its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import app
from warehouse.spec import datasets

pytestmark = pytest.mark.usefixtures("database")
runner = CliRunner()
CSV = "id,name\n" + "".join(f"{i},Anna {i}\n" for i in range(1, 1235))


@pytest.fixture
def folder(tmp_path: Path, setting: Callable[..., None]) -> Path:
    """A landing folder with three files and an empty project."""
    place = tmp_path / "landing"
    setting(project=tmp_path / "project", landing=place)
    place.mkdir()
    (place / "a file of a rather long name that has to be folded somewhere.csv").write_text(CSV)
    (place / "evil\x1b[31m.txt").write_text("words\n")
    (place / "out").symlink_to("/etc/passwd")
    return place


def test_the_table_fits_eighty_columns(folder: Path) -> None:
    result = runner.invoke(app, ["scan", str(folder)])
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout
    assert "1,234" in result.stdout
    assert "evil\\x1b[31m.txt" in result.stdout
    assert "leads out" in " ".join(result.stdout.split())
    assert "3 files: 3 new, 0 changed, 0 same, 0 gone" in result.stderr


def test_json_says_everything(folder: Path) -> None:
    runner.invoke(app, ["scan", str(folder)])
    result = runner.invoke(app, ["scan", str(folder), "--json", "--pattern", "*.csv"])
    document = json.loads(result.stdout)
    assert document["folder"] == str(folder)
    (one,) = document["files"]
    assert {k: one[k] for k in ("type", "encoding", "rows", "columns", "header", "state")} == {
        "type": "csv",
        "encoding": "utf-8",
        "rows": 1234,
        "columns": 2,
        "header": ["id", "name"],
        "state": "same",
    }
    assert len(one["sha256"]) == 64


def test_add_drafts_what_no_dataset_takes(folder: Path) -> None:
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    result = runner.invoke(app, ["scan", str(folder), "--add"])
    assert result.exit_code == 3
    assert "not drafted: broken.parquet" in result.stderr
    (made,) = [d for d in datasets().values() if d.domain == "local"]
    assert str(made.path) in result.stderr
    assert made.table[:10] in result.stdout
    (folder / "broken.parquet").unlink()
    assert runner.invoke(app, ["scan", str(folder), "--add"]).exit_code == 0


def test_exit_codes(folder: Path, setting: Callable[..., None]) -> None:
    assert runner.invoke(app, ["scan", str(folder / "none")]).exit_code == 3
    assert runner.invoke(app, ["scan", str(folder), "--pattern", "../*"]).exit_code == 2
    assert runner.invoke(app, ["scan"]).exit_code == 2
    setting(home=folder.parent / "empty")
    assert runner.invoke(app, ["scan", str(folder)]).exit_code == 2
