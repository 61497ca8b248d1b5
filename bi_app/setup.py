"""Run once before the server starts (`panel serve --setup`): import all, fetch ahead."""

from __future__ import annotations

import logging
import threading

from bi_app import pages  # noqa: F401 - imported now, so that the first visitor need not wait
from bi_app.models.ahead import fetch_ahead
from bi_app.pages import overview  # noqa: F401

logging.basicConfig(level=logging.INFO)
threading.Thread(target=fetch_ahead, name="fetch-ahead", daemon=True).start()
