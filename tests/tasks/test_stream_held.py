"""Messages in quarantine of a stream: told, exported, and judged again."""

from __future__ import annotations

import csv
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.stream import held
from tasks.stream.consume import consume
from tasks.stream.rebuild import rebuild, restate
from tests.fix_stream import TOTAL, ask, by, check_offsets, fates, message, send
from warehouse.errors import SourceMalformed, SourceUnavailable
from warehouse.streams import Stream

NO_NUMBER = "quantity: must have type"


def taken(sales: Stream, *lines: bytes, partition: int = 0) -> None:
    send(sales, *lines, partition=partition)
    consume(sales, once=True)


def edit(path: Path, change: Callable[[dict[str, str]], object], delimiter: str = ",") -> None:
    """Change each row of an export, as a spreadsheet writes it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if change(row) is not False]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(kept)


def mend(row: dict[str, str]) -> None:
    row["message"] = row["message"].replace('"many"', "3")


def test_messages_are_told_by_reason(sales: Stream) -> None:
    assert held.totals(sales) == []
    taken(sales, b"{", message(1, quantity="many"), message(2, quantity="few"), message(3))
    first, second = held.totals(sales)
    assert (first.reason.startswith(NO_NUMBER), first.messages) == (True, 2)
    assert (second.reason, second.messages) == ("is no JSON", 1)
    assert first.first <= first.last


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_mended_message_is_late_until_it_is_restated(
    sales: Stream, tmp_path: Path, delimiter: str
) -> None:
    taken(sales, message(1, 30), message(2, 1, quantity="many"), b"\xff=1\n")
    taken(sales, message(3, 2, quantity="many", country="Österreich"), partition=1)
    to = tmp_path / "held.csv"
    assert held.export(sales, to) == 3
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    edit(to, mend, delimiter)
    done = held.replay(sales, to)
    assert (done.late, done.duplicates, done.refused) == (2, 0, Counter({"is no UTF-8": 1}))
    assert fates() == {"events": 4, "counted": 1, "late": 2, "duplicates": 0, "quarantined": 1}
    check_offsets()
    assert ask("select event_id, extract(epoch from late_by) / 60 from silver.retail_sales_late"
               " order by 1") == [("e2", 29), ("e3", 0)]  # fmt: skip
    assert by("total", "lines") == {"all": 1}
    assert restate(sales) == 2
    assert by("country", "lines", "pieces") == {"France": (2, 5), "Österreich": (1, 3)}
    assert ask("select count(*) from silver.retail_sales_by where restated_at is null"
               " and dimension = 'country'") == [(0,)]  # fmt: skip
    assert vars(rebuild(sales)) == {"events": 3, "differing": 0}
    with pytest.raises(SourceMalformed, match=r"line \d: record 1 of partition 0 is not in quar"):
        held.replay(sales, to)


def selling_to(sales: Stream, country: str) -> Stream:
    """The same stream, whose schema takes no other country."""
    fields = sales.event.properties
    one = fields["country"].model_copy(update={"enum": (country,)})
    event = sales.event.model_copy(update={"properties": fields | {"country": one}})
    return sales.model_copy(update={"event": event})


def test_messages_are_judged_as_they_are_by_the_schema_of_today(sales: Stream) -> None:
    strict = selling_to(sales, "France")
    taken(strict, message(1), *(message(n, country="Spain") for n in range(2, 9)))
    assert fates()["quarantined"] == 7
    again = held.replay(strict)
    assert (again.late, again.refused.total()) == (0, 7)
    assert held.replay(sales).late == 7
    assert fates() == {"events": 8, "counted": 1, "late": 7, "duplicates": 0, "quarantined": 0}
    assert held.replay(sales) == held.Replayed()
    restate(sales)
    assert ask(TOTAL) == [(8, 8, 24, 24)]


def test_what_came_again_well_is_a_duplicate(sales: Stream, tmp_path: Path) -> None:
    """Before it or after it, and within what is replayed; another partition's is not."""
    bad = message(1, quantity="many"), message(2, quantity="many"), message(3, quantity="many")
    taken(sales, message(1), *bad, bad[2], message(2))
    taken(sales, message(3), partition=1)
    to = tmp_path / "held.csv"
    held.export(sales, to)
    edit(to, mend)
    done = held.replay(sales, to)
    assert (done.late, done.duplicates) == (1, 3)
    assert fates() == {"events": 7, "counted": 3, "late": 1, "duplicates": 3, "quarantined": 0}
    assert ask("select sum(events) from silver.retail_sales_duplicates") == [(3,)]
    check_offsets()


def test_a_consumer_at_work_learns_the_ids(sales: Stream, tmp_path: Path) -> None:
    send(sales, message(1, quantity="many"), message(2))
    stop = threading.Event()
    worker = threading.Thread(target=consume, args=[sales], kwargs={"stop": stop})
    worker.start()
    try:
        until(2)
        to = tmp_path / "held.csv"
        held.export(sales, to)
        edit(to, mend)
        assert held.replay(sales, to).late == 1
        send(sales, message(1), message(4))
        until(4)
    finally:
        stop.set()
        worker.join()
    assert fates() == {"events": 4, "counted": 2, "late": 1, "duplicates": 1, "quarantined": 0}


def until(events: int) -> None:
    """Wait for so many events."""
    end = time.monotonic() + 30
    while fates()["events"] < events:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_file_that_is_wrong_changes_nothing(sales: Stream, tmp_path: Path) -> None:
    taken(sales, *(message(n, quantity="many") for n in range(3)))
    to = tmp_path / "held.csv"

    def refused(change: Callable[[dict[str, str]], object], says: str) -> None:
        held.export(sales, to)
        edit(to, lambda row: (mend(row), change(row))[1])
        with pytest.raises(SourceMalformed, match=says) as fault:
            held.replay(sales, to)
        assert str(to) in str(fault.value)
        assert fates()["quarantined"] == 3

    refused(lambda row: row.update(_offset="7" + row["_offset"]), "line 2: record 70 of partition")
    refused(lambda row: row.update(_offset="1"), "line 3.*on line 2, too")
    refused(lambda row: row.update(_partition="x"), "line 2.*'x 0' is no place")
    refused(lambda row: row.update(_offset="9" * 24), "line 2.*is no place")
    to.write_text("a,b\n1,2\n")
    with pytest.raises(SourceMalformed, match="no export of messages"):
        held.replay(sales, to)
    to.write_bytes(b"")
    with pytest.raises(SourceMalformed, match="no export of messages"):
        held.replay(sales, to)
    with pytest.raises(SourceUnavailable):
        held.replay(sales, tmp_path / "none.csv")


def test_more_than_a_piece_of_messages_goes_through(
    sales: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PIECE", 4)
    found = (message(n % 8, n) for n in range(11))
    taken(selling_to(sales, "Spain"), *found, b"[", b"]")
    done = held.replay(sales)
    assert (done.late, done.duplicates, done.refused.total()) == (8, 3, 2)
    check_offsets()
