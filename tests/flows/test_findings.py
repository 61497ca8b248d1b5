"""One report of a run at every level: file, schema, field, row, cross-table, contract."""

from __future__ import annotations

from flows.ingest import ingest
from tasks.findings import findings
from tests.flows.fix_desk import Desk
from warehouse.spec import dataset


def test_one_report_of_all_levels(desk: Desk) -> None:
    spec = desk.folder / "datasets" / "desk" / "loans.yml"
    spec.write_text(
        spec.read_text() + "rules:\n  - {name: not_too_early, reject_if: lent_at < '2020-01-01'}\n"
        "references:\n  - {columns: [title_code], to: desk_titles}\n"
    )
    desk.contract("loans", most=2)
    desk.files()
    ingest.fn("desk_titles")
    path = desk.file(
        "loans",
        "1,a,2024-03-01 10:00:00,x",
        "2,zz,2024-03-01 10:00:00,x",
        "3,a,never,x",
        "four,a,2024-03-01 10:00:00,x",
        "5,a,2019-03-01 10:00:00,x",
        "1,b,2024-03-01 10:00:00,x",
        "6,a",
    )
    path.write_text(path.read_text().replace("lent_at\n", "lent_at,colour\n", 1))
    result = ingest.fn("desk_loans")
    found = findings(dataset("desk_loans"), result.verdict)
    counted = {(f.level, f.effect, f.subject): f.count for f in found}
    assert counted["schema", "left aside", "columns not in the spec: colour (loans.csv)"] is None
    assert counted["field", "quarantined", "lent_at: type"] == 1
    assert counted["field", "quarantined", "loan_id: type"] == 1
    assert counted["row", "quarantined", "not_too_early"] == 1
    rows = [f for f in found if f.level == "row"]
    assert sum(f.count or 0 for f in rows) == 3, rows
    assert counted["cross-table", "warning",
                   "title_code known in desk_titles (not there: zz)"] == 1  # fmt: skip
    assert [f.effect for f in found if f.level == "contract"] == ["critical"]
    levels = [f.level for f in found]
    assert levels == sorted(levels, key=("file", "schema", "field", "row", "cross-table",
                                         "contract").index)  # fmt: skip
    assert result.counts["quarantined"] == sum(
        f.count or 0 for f in found if f.effect == "quarantined"
    )


def test_a_clean_run_has_nothing_to_tell_but_a_known_file(desk: Desk) -> None:
    desk.files()
    assert findings(dataset("desk_titles"), ingest.fn("desk_titles").verdict) == []
    (again,) = findings(dataset("desk_titles"), ingest.fn("desk_titles").verdict)
    assert str(again) == "file         left alone: titles.csv is as it was loaded before"
