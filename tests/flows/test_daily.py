"""The daily review as a flow: what it returns, its artifact, its record."""

from __future__ import annotations

import datetime as dt

from flows.daily import daily_review, markdown
from tasks.daily import daily
from warehouse.access import Viewer
from warehouse.database import connect

ADMIN = Viewer("ann@example.org", "admin")
TODAY = dt.date(2026, 3, 3)


def test_the_flow_counts_what_wants_a_look_and_is_on_record(filled: str) -> None:
    assert daily_review.fn() == 4
    with connect() as connection:
        row = connection.execute(
            "select door, subject, outcome from audit.entries where act = 'query'"
            " order by entry_id desc limit 1"
        ).fetchone()
    assert row == ("schedule", "daily review", "done")


def test_the_artifact_holds_every_figure_and_breaks_out_of_no_cell(filled: str) -> None:
    with connect() as connection:
        connection.execute("update quality.alerts set title = 'a | b <script>'")
    figures = daily(ADMIN, TODAY)
    text = markdown(figures)
    assert text.startswith("**Wants a look:** ")
    assert "a \\| b \\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == len(figures) + len({f.part for f in figures})
    assert markdown([]) == "Nothing wants a look.\n"
