"""Run once before the server starts (`panel serve --setup`): import all, fetch ahead."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

from bi_app import words
from bi_app.api.closed import begin_safely, close_embedding, close_imports, limit_bodies
from bi_app.api.leaving import finish_first
from bi_app.auth import accounts, exposure, gate
from bi_app.auth.roles import add_own_pages
from bi_app.models.ahead import fetch, fetch_ahead, fetch_mine
from bi_app.models.cards import cards as shown_cards
from bi_app.pages import (
    activity,
    alerts,
    annual_return,
    baskets,
    branches,
    busy_hours,
    cards,
    circulation,
    collection,
    customers,
    dataset,
    explore,
    fines,
    holds,
    members,
    my_data,
    my_history,
    my_loans,
    overview,
    people,
    pipelines,
    quality,
    returns,
    sales,
    sign_ins,
)
from warehouse import log
from warehouse.access import Viewer
from warehouse.settings import settings

IMPORTED = (
    activity,
    alerts,
    busy_hours,
    cards,
    circulation,
    collection,
    dataset,
    explore,
    members,
    annual_return,
    branches,
    fines,
    holds,
    my_data,
    my_history,
    my_loans,
    overview,
    people,
    pipelines,
    quality,
    sign_ins,
    sales,
    returns,
    customers,
    baskets,
)  # now, so that the first visitor need not wait
REPORTS = (
    circulation, busy_hours, collection, holds, fines, branches, members, annual_return, sales,
    returns, customers, baskets,
)  # fmt: skip


def whatever(prepare: Callable[[Viewer], Any]) -> Callable[[Viewer, Any], Any]:
    """A page's preparation that is the same, whatever its address asks."""
    return lambda viewer, _arguments: prepare(viewer)


log.start()
exposure.check(demo=settings().demo or exposure.is_loopback(settings().app_listen))
add_own_pages()
close_imports()
close_embedding()
limit_bodies()
begin_safely()
finish_first()
accounts.decoy()  # now, so that the first stranger does not wait longer than others
threading.Thread(target=words.ready, name="words", daemon=True).start()
threading.Thread(target=fetch_ahead, name="fetch-ahead", daemon=True).start()
WHATEVER_IS_ASKED: dict[str, Callable[[Viewer], Any]] = {
    "/overview": fetch, "/app": fetch, "/my_loans": fetch_mine, "/quality": quality.prepare,
    "/cards": shown_cards, **{f"/{page.LAYOUT.report.name}": page.prepare for page in REPORTS},
}  # fmt: skip
gate.PREPARE |= {path: whatever(prepare) for path, prepare in WHATEVER_IS_ASKED.items()}
gate.PREPARE |= {"/explore": explore.prepared, "/pipelines": pipelines.prepare}
# What stands by now stays. Panel collects garbage when a page is closed: to look through all
# modules for it, too, would hold up everybody for 0.12 seconds each time.
gc.collect()
gc.freeze()
