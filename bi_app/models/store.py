"""Arrays held for all sessions of one scope, until the table is published anew.

The key holds the viewer's scope, so that nobody is shown what another scope may see, and the
time of publication, so that a load is seen at once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bi_app.queries import rows
from warehouse.access import Viewer

T = TypeVar("T")
KEPT = 24
STAMP_SECONDS, LIVE_SECONDS = 5.0, 0.3
OF_STREAMS = ("_by", "_by_person", "_late", "_duplicates")
Key = tuple[Any, ...]
_kept: OrderedDict[Key, tuple[float, Any]] = OrderedDict()
_loading: dict[Key, threading.Lock] = {}
_stamps: dict[tuple[str, ...], tuple[float, float]] = {}
_lock = threading.Lock()


def held(viewer: Viewer, tables: Sequence[str], load: Callable[[Viewer], T]) -> T:
    """`load(viewer)`, or what it returned for this scope since the tables were published.

    Two who ask for the same wait for one load; who asks for something else does not wait.
    """
    key = (viewer.scope, load.__qualname__, *tables)
    published = stamp(viewer, tuple(tables))
    found = _found(key, published)
    if found is None:
        with _lock:
            loading = _loading.setdefault(key, threading.Lock())
        with loading:
            found = _found(key, published) or _keep(key, published, load(viewer))
    value: T = found[1]
    return value


def _found(key: Key, stamp: float) -> tuple[float, Any] | None:
    with _lock:
        kept = _kept.get(key)
        if kept is None or kept[0] != stamp:
            return None
        _kept.move_to_end(key)
        return kept


def _keep(key: Key, stamp: float, value: Any) -> tuple[float, Any]:
    with _lock:
        _kept[key] = (stamp, value)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return _kept[key]


def forget() -> None:
    """Drop everything that is held."""
    with _lock:
        _kept.clear()
        _stamps.clear()


def stamp(viewer: Viewer, tables: tuple[str, ...]) -> float:
    """When the tables were last published; asked at most every few seconds.

    The sums of a stream change with each of its batches: they are asked for more often.
    """
    looked, published = _stamps.get(tables, (0.0, 0.0))
    live = streamed(viewer, tables)
    if time.monotonic() - looked > (LIVE_SECONDS if live else STAMP_SECONDS):
        published = rows(viewer, "stamp", {"tables": bare(tables)})[0]["stamp"]
        if live:
            published += rows(viewer, "stream_stamp", {"tables": live})[0]["stamp"]
        _stamps[tables] = (time.monotonic(), published)
    return published


def streamed(viewer: Viewer, tables: Sequence[str]) -> list[str]:
    """Those of the tables that may be a stream's: of silver, and changed by each batch.

    None for members: how the streams stand is for staff.
    """
    if viewer.role == "member":
        return []
    return [t for t in tables if t.startswith("silver.") and t.endswith(OF_STREAMS)]


def bare(tables: Sequence[str]) -> list[str]:
    """Names of gold tables as ops.publications has them."""
    return [t.removeprefix("gold.") for t in tables]
