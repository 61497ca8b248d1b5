"""Run once before the server starts (`panel serve --setup`): import all, fetch ahead."""

from __future__ import annotations

import threading

from bi_app import words
from bi_app.api.closed import begin_safely, close_embedding, close_imports, limit_bodies
from bi_app.api.leaving import finish_first
from bi_app.auth import accounts, exposure, gate
from bi_app.auth.roles import add_own_pages
from bi_app.models.ahead import fetch, fetch_ahead, fetch_mine
from bi_app.pages import (
    activity,
    alerts,
    annual_return,
    branches,
    busy_hours,
    cards,
    circulation,
    collection,
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
    sign_ins,
)
from warehouse import log
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
)  # now, so that the first visitor need not wait
REPORTS = (circulation, busy_hours, collection, holds, fines, branches, members, annual_return)

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
gate.PREPARE |= {"/overview": fetch, "/app": fetch, "/my_loans": fetch_mine}
gate.PREPARE |= {f"/{page.LAYOUT.report.name}": page.prepare for page in REPORTS}
gate.PREPARE_ASKED |= {"/explore": explore.prepared, "/cards": cards.prepared}
gate.PREPARE |= {"/quality": quality.prepare, "/pipelines": pipelines.prepare}
