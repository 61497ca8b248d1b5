"""Folder exports: a file a month, a manifest that holds, and never a mixture."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from tasks import export as export_module
from tasks.export import export, export_folder
from warehouse.access import Viewer
from warehouse.database import connect
from warehouse.errors import ConfigurationError

LIBRARIAN = Viewer("lin@example.org", "librarian", ("NORTH",))


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest, once every file in it has been held against it."""
    told: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    for file in (*told["files"], told["schema"]):
        content = (folder / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (
            len(content), hashlib.sha256(content).hexdigest()
        )  # fmt: skip
    assert told["rows"] == sum(file["rows"] for file in told["files"])
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    listed = {file["path"] for file in told["files"]}
    assert there == listed | {"manifest.json", "schema.json"}
    return told


def test_a_file_a_month(shop: Path, tmp_path: Path) -> None:
    with connect() as connection:
        connection.execute(
            "insert into silver.shop_loans values (901, 'NORTH', null, null, 1),"
            " (902, 'NORTH', null, '2023-12-31 23:59', 1), (903, 'S', null, '2024-02-01', 1)"
        )
    out = tmp_path / "out"
    made = export_folder("shop_loans", out, by="month")
    assert (made.rows, made.files) == (103, 4)
    told = manifest(out)
    parts = [f["path"].split("/")[0] for f in told["files"]]
    assert parts == [
        "month=2023-12", "month=2024-01", "month=2024-02", "month=__HIVE_DEFAULT_PARTITION__"
    ]  # fmt: skip
    found = ds.dataset(out.resolve(), partitioning="hive", exclude_invalid_files=True).to_table()
    assert sorted(found["loan_id"].to_pylist()) == [*range(1, 101), 901, 902, 903]
    schema = json.loads((out / "schema.json").read_text())
    assert schema["export"] == told["export"]
    assert schema["columns"][0] == {
        "name": "loan_id", "type": "bigint", "meaning": "Number on the slip"
    }  # fmt: skip


def test_a_folder_is_replaced_whole(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_folder("shop_loans", out, kind="csv")
    first, seen = manifest(out), out.resolve()
    with monkeypatch.context() as broken:
        broken.setattr(export_module, "_describe", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_folder("gold.shop_total", out)
    assert manifest(out) == first
    export_folder("gold.shop_daily", out)
    assert manifest(out)["export"] != first["export"]
    assert manifest(seen) == first  # who reads the one before reads it to its end
    export_folder("gold.shop_daily", out)
    assert not seen.exists()
    assert len([p for p in tmp_path.glob(".out.*") if p.is_dir()]) == 2


def test_a_folder_of_somebody_else_is_left_alone(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="no export made it"):
        export_folder("shop_loans", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(ConfigurationError, match="no event"):
        export_folder("gold.shop_total", tmp_path / "out", by="month")


def test_a_viewer_gets_own_rows_and_no_private_column(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert export("shop_loans", path, viewer=LIBRARIAN).rows == 50
    head, *lines = path.read_text("utf-8-sig").splitlines()
    assert head == "loan_id,branch_code,lent_at"
    assert {line.split(",")[1] for line in lines} == {"NORTH"}
    member = Viewer("mo@example.org", "member", (), "m1")
    assert export("shop_loans", path, viewer=member).rows == 20
    assert export_folder("shop_loans", tmp_path / "out", by="day", viewer=LIBRARIAN).rows == 50


@pytest.mark.parametrize(
    "query",
    [
        "select member_key from silver.shop_loans",
        "select * from bronze.shop_loans",
        "select * from app.accounts",
    ],
)
def test_a_viewer_reads_nothing_else(shop: Path, tmp_path: Path, query: str) -> None:
    with pytest.raises(ConfigurationError, match="permission denied"):
        export(query, tmp_path / "a.csv", viewer=LIBRARIAN)
