"""The folder log: what was appended is read once and in order, whatever is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.stream.ends import FolderReach
from tasks.stream.folder import FolderLog, FolderWriter, segments
from tasks.stream.log import as_line
from warehouse.errors import Busy, ConfigurationError, SourceUnavailable
from warehouse.settings import ROOT


def read(folder: Path, positions: dict[int, int], most: int = 7) -> dict[int, list[bytes]]:
    """All lines from the positions on, with offsets that leave out nothing."""
    log, found = FolderLog(folder, "t", 2), {p: list[bytes]() for p in positions}
    at = dict(positions)
    while slices := log.poll(at, most, 0):
        for one in slices:
            lines = one.block.split(b"\n")
            assert lines.pop() == b""
            expected = range(at[one.partition], at[one.partition] + len(lines))
            assert one.offsets.tolist() == [*expected]
            assert len(one.logged_at) == len(lines)
            found[one.partition] += lines
            at[one.partition] = one.next_offset
    return found


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n * (1 + n % 5) for n in range(start, start + count)]


def test_lines_are_read_in_order_from_any_position_across_segments(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, "t", 2, segment=200)
    for start in range(0, 500, 10):
        writer.append(0, lines(10, start))
        writer.append(1, [b"one"])
    writer.close()
    assert len(segments(tmp_path / "t" / "0")) > 5
    for start in (0, 1, 9, 10, 11, 255, 499, 500):
        found = read(tmp_path, {0: start, 1: 50})
        assert found == {0: lines(500)[start:], 1: []}
    assert read(tmp_path, {1: 0}) == {1: [b"one"] * 50}, "only what was asked for"


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    log = FolderLog(tmp_path, "t", 2)
    assert log.poll({0: 0}, 10, 0) == []
    writer, at = FolderWriter(tmp_path, "t", 2, segment=50), 0
    for start in range(0, 60, 3):
        writer.append(0, lines(3, start))
        for _ in range(2):  # what is left of the segment before, then the next one
            for one in log.poll({0: at}, 10, 0):
                at = one.next_offset
    writer.close()
    assert at == 60


def test_a_torn_line_is_read_by_nobody_and_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, "t", 1)
    writer.append(0, [b"a", b"b"])
    writer.close()
    ((_, path),) = segments(tmp_path / "t" / "0")
    with path.open("ab") as file:
        file.write(b'{"torn": ')
    assert read(tmp_path, {0: 0}) == {0: [b"a", b"b"]}
    writer = FolderWriter(tmp_path, "t", 1)
    writer.append(0, [b"c"])
    writer.close()
    assert read(tmp_path, {0: 0}) == {0: [b"a", b"b", b"c"]}


def test_a_line_longer_than_what_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.stream.folder.READ", 16)
    writer = FolderWriter(tmp_path, "t", 1)
    writer.append(0, [b"x" * 100, b"y"])
    writer.close()
    assert read(tmp_path, {0: 0}) == {0: [b"x" * 100, b"y"]}
    assert read(tmp_path, {0: 1}) == {0: [b"y"]}


def test_line_feeds_do_not_break_a_record(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, "t", 1)
    writer.append(0, [b'{\n"a": 1\n}', b""])
    writer.close()
    assert read(tmp_path, {0: 0}) == {0: [b'{\r"a": 1\r}', b""]}
    assert as_line(None) == b""


def test_what_somebody_laid_into_the_log_is_no_part_of_it(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, "t", 1)
    writer.append(0, [b"a"])
    writer.close()
    for name in ("0 copy", "1.old", "2"):
        (tmp_path / "t" / name).mkdir()
    (tmp_path / "t" / "0" / "notes.jsonl").write_bytes(b"b\n")
    assert FolderLog(tmp_path, "t", 1).partitions() == [0, 2]
    assert FolderReach(tmp_path / "t", 1)() == {0: (0, 1), 2: (0, 0)}
    assert read(tmp_path, {0: 0}) == {0: [b"a"]}
    writer = FolderWriter(tmp_path, "t", 1)
    writer.append(0, [b"c"])
    writer.close()
    assert read(tmp_path, {0: 0}) == {0: [b"a", b"c"]}


def test_a_position_that_is_gone_is_said(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, "t", 1, segment=10)
    for start in range(0, 20, 5):
        writer.append(0, lines(5, start))
    writer.close()
    segments(tmp_path / "t" / "0")[0][1].unlink()
    for gone in (0, 21):
        with pytest.raises(SourceUnavailable, match=f"record {gone} of partition 0"):
            FolderLog(tmp_path, "t", 1).poll({0: gone}, 10, 0)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, "t", 1)
    with pytest.raises(Busy, match="Another producer"):
        FolderWriter(tmp_path, "t", 1)
    writer.close()
    FolderWriter(tmp_path, "t", 1).close()


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written: Not a directory"):
        FolderWriter(tmp_path / "file", "t", 1)


WRITE = """
import itertools, sys
from pathlib import Path
from tasks.stream.folder import FolderWriter
writer = FolderWriter(Path(sys.argv[1]), "t", 2, segment=20_000)
print("ready", flush=True)
for n in itertools.count():
    for partition in (0, 1):
        start = writer._ends[partition].next_offset
        writer.append(partition, [b"%d " % m * 50 for m in range(start, start + 20)])
"""


def test_after_a_kill_of_the_writer_the_log_is_whole_and_goes_on(tmp_path: Path) -> None:
    chance, before = random.Random(6), 0
    for _ in range(3):
        command = [sys.executable, "-c", WRITE, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
            assert running.stdout
            running.stdout.readline()
            time.sleep(chance.uniform(0.02, 0.2))
            running.kill()
        found = read(tmp_path, {0: 0, 1: 0}, most=10_000)
        for whole in found.values():
            assert whole == [b"%d " % n * 50 for n in range(len(whole))]
        assert len(found[0]) > before
        before = len(found[0])
