"""`carrel export`: files, folders, people, and what is refused."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from deployments import sign_ins
from deployments.cli import app

runner = CliRunner()


def test_export_writes_what_a_person_sees(shop: Path, tmp_path: Path) -> None:
    sign_ins.add("lin@example.org", "Lin", "librarian", ["NORTH"], None)
    path = tmp_path / "a.csv"
    done = runner.invoke(app, ["export", "shop_loans", "--to", str(path)])
    assert (done.exit_code, done.stdout) == (0, f"{path}: 100 rows in 1 files\n")
    assert "member_key" in path.read_text("utf-8-sig")
    done = runner.invoke(
        app, ["export", "shop_loans", "--to", str(path), "--as", "LIN@example.org"]
    )
    assert (done.exit_code, done.stdout) == (0, f"{path}: 50 rows in 1 files\n")
    assert "member_key" not in path.read_text("utf-8-sig")


def test_export_to_a_folder(shop: Path, tmp_path: Path) -> None:
    place = f"{tmp_path}/out/"
    for _ in range(2):
        done = runner.invoke(app, ["export", "shop_loans", "--to", place, "--by", "month"])
        assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out" / "manifest.json").exists()


def test_export_refuses_with_a_remedy(shop: Path, tmp_path: Path) -> None:
    for what, to, *more in (
        ("nonsense", "a.csv"),
        ("shop_loans", "a.doc"),
        ("shop_loans", "a.csv", "--as", "nobody@example.org"),
        ("delete from silver.shop_loans", "a.csv"),
    ):
        done = runner.invoke(app, ["export", what, "--to", str(tmp_path / to), *more])
        assert done.exit_code == 2
        assert "remedy: " in done.stderr
        assert not (tmp_path / to).exists()
