"""Run once before the server starts (`panel serve --setup`): import all, fetch ahead."""

from __future__ import annotations

import threading

from bi_app.api.closed import close_imports
from bi_app.auth import gate
from bi_app.auth.roles import add_own_pages
from bi_app.models.ahead import fetch, fetch_ahead, fetch_mine
from bi_app.pages import (
    alerts,
    annual_return,
    branches,
    busy_hours,
    circulation,
    collection,
    dataset,
    explore,
    fines,
    holds,
    my_loans,
    overview,
    pipelines,
    quality,
)
from warehouse import log

IMPORTED = (
    alerts,
    busy_hours,
    circulation,
    collection,
    dataset,
    explore,
    annual_return,
    branches,
    fines,
    holds,
    my_loans,
    overview,
    pipelines,
    quality,
)  # now, so that the first visitor need not wait
REPORTS = (circulation, busy_hours, collection, holds, fines, branches, annual_return)

log.start()
add_own_pages()
close_imports()
threading.Thread(target=fetch_ahead, name="fetch-ahead", daemon=True).start()
gate.PREPARE |= {"/overview": fetch, "/app": fetch, "/my_loans": fetch_mine}
gate.PREPARE |= {f"/{page.LAYOUT.report.name}": page.prepare for page in REPORTS}
gate.PREPARE |= {"/quality": quality.prepare, "/pipelines": pipelines.prepare}
