"""Make the next items on another thread while the present one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], depth: int = 1) -> Iterator[Item]:
    """The items in order, at most `depth` of them made in advance.

    An exception of the maker is raised here. The maker stops when the taker does.
    """
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Item | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        with suppress(queue.Empty):  # a maker that waits for room goes on at once, and ends
            ready.get_nowait()
        maker.join()
