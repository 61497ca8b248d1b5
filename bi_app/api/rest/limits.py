"""How often one may ask: token buckets in this process's memory, at most 10,000 of them."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Hashable

KEPT = 10_000


class Buckets:
    """A bucket a key: it holds `burst` requests and fills by `per_minute`."""

    def __init__(self, per_minute: float, burst: float | None = None) -> None:
        self.rate = per_minute / 60
        self.burst = burst if burst is not None else max(10.0, per_minute / 6)
        self._kept: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, *, now: float | None = None) -> int:
        """Take one request; returns 0, or the whole seconds until there is one again.

        The bucket that was asked longest ago is forgotten when there are too many: whoever fills
        the memory with addresses gives others no longer a wait, and at most their own a full one.
        """
        moment = time.monotonic() if now is None else now
        level, at = self._kept.get(key, (self.burst, moment))
        level = min(self.burst, level + (moment - at) * self.rate)
        good = level >= 1
        self._kept[key] = (level - 1 if good else level, moment)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return 0 if good else max(1, math.ceil((1 - level) / self.rate))
