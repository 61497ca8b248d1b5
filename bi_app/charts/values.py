"""Values of a table as a chart takes them: numbers with gaps, days as milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

DAY_MS = 86_400_000


def numbers(values: Iterable[Any]) -> np.ndarray[Any, Any]:
    """Values as numbers, not a number where there is none."""
    return np.array([np.nan if v is None else v for v in values], float)


def milliseconds(days: Any) -> np.ndarray[Any, Any]:
    """Days as milliseconds since 1970, each at its midnight, as an axis of time has them."""
    return np.array(days, "datetime64[D]").astype("int64") * float(DAY_MS)
