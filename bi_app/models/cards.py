"""A person's own cards: summaries of Explore that are worked out anew each time they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from bi_app.models import explore, pictures, saved_views, summary
from bi_app.models.explore import Entry
from bi_app.models.figures import Answer, work
from bi_app.models.freshness import fresh_of
from bi_app.models.saved_views import address
from bi_app.words import N_
from warehouse.access import Viewer
from warehouse.errors import CarrelError, ConfigurationError

BARS, SERIES = 10, 5
PAGE = "/explore"
GONE = N_("You may not read this table any longer, or it is gone.")
NONE = "-"  # in an address: summarised by nothing
LISTS = ("measure", "by", "filter")


def asked_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The question in an address, of texts by key; `by=-` says by nothing."""
    found: dict[str, Any] = {k: v if k in LISTS else v[0] for k, v in arguments.items()}
    if found.get("by") == [NONE]:
        found["by"] = []
    return found


def cards(viewer: Viewer) -> list[dict[str, Any]]:
    """What the viewer's cards show now, as the browser draws them."""
    kept = saved_views.cards(viewer)
    known = explore.catalogue(viewer) if kept else {}
    return [_card(viewer, known, one) for one in kept]


def _card(viewer: Viewer, known: Mapping[str, Entry], one: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": one["view_id"], "name": one["name"], "href": address(PAGE, one["state"]),
        "figures": [], "fault": "", "fresh": "", "aged": False, "table": "",
    }  # fmt: skip
    asked = asked_in(parse_qs(one["state"], keep_blank_values=True))
    entry = known.get(str(asked.get("table")))
    if entry is None:
        return {**told, "fault": GONE}
    try:
        found = work(viewer, summary.begun(viewer, entry, asked))
    except (ConfigurationError, CarrelError) as refused:
        return {**told, "fault": refused.message}
    fresh = fresh_of(viewer, entry.table_name)
    told |= {"fresh": fresh.footer, "aged": fresh.aged, "table": entry.table_name}
    return {**told, **drawn(found)}


def drawn(found: Answer) -> dict[str, Any]:
    """A summary as a card draws it: figures, and bars or lines with the sentence that says them."""
    question = found.question
    told: dict[str, Any] = {
        "title": question.title,
        "notes": [*found.notes, *question.left_out],
        "figures": [
            [m.title, pictures.figure(v)]
            for m, v in zip(question.measures, found.total, strict=True)
        ],
        "said": pictures.sentence(found),
    }
    if not question.by or pictures.drawn_measure(found) is None:
        return told
    if question.over_time:
        when = partial(pictures.when, grain=question.by[0].grain)
        series = list(pictures.lines(found).items())
        told["more"] = max(len(series) - SERIES, 0)
        told["lines"] = [
            [name, [[d.isoformat(), when(d), v] for d, v in points if hasattr(d, "isoformat")]]
            for name, points in series[:SERIES]
        ]
        return told
    names, values = pictures.bars(found)
    told["more"] = max(len(names) - BARS, 0)
    shown = list(zip(names, values, strict=True))[:BARS]
    told["bars"] = [[name, v, pictures.figure(v)] for name, v in shown]
    return told
