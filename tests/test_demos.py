"""docs/demos.md is the script: each block is run as it stands, and shows what stands below it."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from tasks.stream.rebuild import rebuild
from tasks.stream.sales import generated
from tests.fix_stream import NOON, ask, by, check_offsets, fates
from warehouse.settings import ROOT, settings
from warehouse.streams import stream

PATIENCE_S = 300
TEXT = (ROOT / "docs/demos.md").read_text("utf-8")
FIRST, *DEMOS = (part.partition("\n") for part in TEXT.split("\n## "))
SOLD = 200_000


def block(text: str, kind: str) -> str:
    """The one fenced block of a kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)
    return str(found)


def shown(expected: str) -> re.Pattern[str]:
    """What matches an output; `…` stands for the rest of a word or line, alone for any lines."""
    lines = (
        "(.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in _close(expected).splitlines()
    )
    return re.compile("".join(lines))


def _close(text: str) -> str:
    """The same with one blank where there are several."""
    return re.sub(r"[ ─]+", " ", text)


class Shell:
    """A shell in a fresh home, whose `carrel` is of this interpreter; its database is real."""

    def __init__(self, folder: Path) -> None:
        self.project, self.said = folder / "local", folder / "said"
        home, command = folder / "home", folder / "bin/carrel"
        for place in (home, command.parent):
            place.mkdir()
        (home / "stack.json").write_text(json.dumps({"pg_port": settings().stack["pg_port"]}))
        (home / "secrets.json").write_text(json.dumps(settings().secrets))
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deployments "$@"\n')
        command.chmod(0o755)
        self.environment = os.environ | {
            "CARREL_HOME": str(home), "CARREL_PROJECT": str(self.project),
            "CARREL_STREAM_LEASE_S": "3", "PATH": f"{command.parent}:{os.environ['PATH']}",
        }  # fmt: skip

    def run(self, number: int, **variables: str) -> str:
        """Run a demo, and see what its text says; the output."""
        text = DEMOS[number][2]
        script = block(FIRST[2], "sh") + block(text, "sh")
        with self.said.open("w") as out:
            process = subprocess.Popen(
                ["sh", "-euc", script], cwd=ROOT, env=self.environment | variables,
                stdin=subprocess.DEVNULL, stdout=out, start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(PATIENCE_S)
            finally:
                left = _end(process.pid)
        said = self.said.read_text()
        assert (code, left) == (0, False), said
        assert shown(block(text, "text")).fullmatch(_close(said)), said
        return said


def _end(session: int) -> bool:
    """End what is left of a session; whether anything was."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def shell(database: str, tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def invented(seed: int, count: int) -> Iterator[tuple[str, Decimal]]:
    """Country and amount of invented sales."""
    for one in islice(generated(stream("retail_sales"), seed, NOON, 1), count):
        facts = json.loads(one.line, parse_float=Decimal)
        yield facts["country"], facts["quantity"] * facts["unit_price"]


def real(days: Path) -> Iterator[tuple[str, Decimal]]:
    """Country and amount of the lines of the day files, as the files have them."""
    for path in sorted(days.glob("*.csv")):
        for row in csv.DictReader(path.read_text("utf-8").splitlines()):
            yield row["Country"], int(row["Quantity"]) * Decimal(row["UnitPrice"])


def by_country(lines: Iterator[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Net revenue by country."""
    found = dict[str, Decimal]()
    for country, amount in lines:
        found[country] = found.get(country, Decimal()) + amount
    return found


def test_there_are_four() -> None:
    assert [title for title, *_ in DEMOS] == [
        "Ask the history", "Extend it", "Scale it", "Recover",
    ]  # fmt: skip


def test_ask_the_history(shell: Shell) -> None:
    shell.run(0)
    assert by("country", "net") == by_country(invented(seed=7, count=5000))


def test_extend(shell: Shell, setting: Callable[..., None]) -> None:
    shell.run(1)
    setting(project=shell.project)
    mine = stream("retail_sales")
    assert mine.path.is_relative_to(shell.project)
    assert rebuild(mine).differing == 0
    ((gross, tax),) = ask(
        "select sum(gross), sum(tax) from silver.retail_sales_by where dimension = 'family'"
    )
    assert gross > 0
    assert abs(gross / 6 - tax) < Decimal("0.0001") * 5000
    mine.path.unlink()
    assert rebuild(stream("retail_sales")).differing > 0
    assert by("family", "tax") == {}


def test_scale(shell: Shell) -> None:
    said = shell.run(2)
    check_offsets()
    assert fates() | {"events": 20_000, "counted": 20_000} == fates()
    assert len(set(re.findall(r"(process \d+) on \S+ reads it", said))) == 2
    runs = ask("select events from ops.stream_runs where ended_at is not null")
    assert (len(runs), sum(events for (events,) in runs)) == (2, 20_000)


def test_recover(shell: Shell) -> None:
    days = settings().shared / "data/retail/online_retail_by_day"
    said = shell.run(3, **({"DAYS": str(days)} if days.is_dir() else {}))
    (killed,) = map(int, re.findall(r"killed: (\d+) of", said))
    assert 0 < killed < SOLD
    check_offsets()
    assert fates() == {
        "events": SOLD, "counted": SOLD, "late": 0, "duplicates": 0, "quarantined": 0,
    }  # fmt: skip
    if days.is_dir():
        assert by("country", "net") == by_country(islice(real(days), SOLD))
