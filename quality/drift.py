"""Drift: how far a column has moved since its last profile, in numbers and in words.

Shares of rows are compared bin by bin: the bins are the tenths of the last profile of a number, or
the frequent values of the last profile of anything else, with one bin for all others.

PSI, the population stability index (Siddiqi, Credit Risk Scorecards, 2006, ch. 7):
    sum over bins of (now - then) * ln(now / then)
Below 0.1 a column is as it was, above 0.25 it is another one. Two samples of one and the same
population have a PSI too: it is about chi-squared with bins - 1 degrees of freedom, times
1/n + 1/m (Yurdakul, Statistical Properties of Population Stability Index, 2018). What a chance in a
thousand would bring is no drift, so small samples do not alarm.

The share of nulls is compared as two proportions (z of the difference, pooled); it must have moved
by a point of a hundred at least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MODERATE, LARGE = 0.1, 0.25
CHANCE_Z = 3.09  # one in a thousand, one-sided
NULLS_MOVED = 0.01
NEW_SHARE = 0.01
SMOOTH = 0.5  # rows added to every bin, so that an empty one has a logarithm


def psi(then: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of two rows of counts over the same bins."""
    old, new = _shares(then), _shares(now)
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(old, new, strict=True))


def _shares(counts: Sequence[float]) -> list[float]:
    total = math.fsum(counts) + SMOOTH * len(counts)
    return [(count + SMOOTH) / total for count in counts]


def by_chance(bins: int, then: float, now: float) -> float:
    """The PSI that samples of so many rows of one population exceed once in a thousand times.

    The quantile of chi-squared is Wilson and Hilferty's (PNAS 17, 1931).
    """
    free = max(bins - 1, 1)
    part = 2 / (9 * free)
    quantile = free * (1 - part + CHANCE_Z * math.sqrt(part)) ** 3
    return quantile * (1 / max(then, 1) + 1 / max(now, 1))


def drift(
    then: Mapping[str, Any], now: Mapping[str, Any], counted: Sequence[int]
) -> dict[str, Any]:
    """What has changed between two measures of a column.

    Args:
        then: the measures of the last profile.
        now: those of this one.
        counted: rows of this profile in the bins of the last one; empty where it had none.

    Returns:
        psi (None without bins), level (none, moderate, large), nulls (change of their share),
        and words: a sentence a change, none where nothing drifted.
    """
    words = []
    found: dict[str, Any] = {"psi": None, "level": "none", "nulls": None}
    if then["type"] != now["type"]:
        words.append(f"The type was {then['type']} and is {now['type']}.")
        return found | {"level": "large", "words": words}
    if counted:
        old = then["bins"]["counts"]
        found["psi"] = round(psi(old, counted), 4)
        found["level"] = _level(found["psi"], by_chance(len(old), sum(old), sum(counted)))
        words += _moved(then["bins"], counted, found)
    words += _nulls(then, now, found)
    words += _new_values(then, now)
    return found | {"words": words}


def _level(value: float, chance: float) -> str:
    if value <= max(MODERATE, chance):
        return "none"
    return "moderate" if value <= LARGE else "large"


def _moved(bins: Mapping[str, Any], counted: Sequence[int], found: Mapping[str, Any]) -> list[str]:
    """The bin that moved most, where the column drifted."""
    if found["level"] == "none":
        return []
    old, new = _shares(bins["counts"]), _shares(counted)
    parts = [(b - a) * math.log(b / a) for a, b in zip(old, new, strict=True)]
    most = parts.index(max(parts))
    change = f"from {old[most]:.1%} to {new[most]:.1%}"
    return [
        f"The distribution moved (PSI {found['psi']:.2f}, {found['level']}):"
        f" {_bin_name(bins, most)} went {change} of the rows."
    ]


def _bin_name(bins: Mapping[str, Any], i: int) -> str:
    if "values" in bins:
        values = bins["values"]
        return repr(values[i]) if i < len(values) else "other values"
    edges = bins["edges"]
    if i == 0:
        return f"up to {edges[0]:g}"
    return f"above {edges[-1]:g}" if i == len(edges) else f"{edges[i - 1]:g} to {edges[i]:g}"


def _nulls(then: Mapping[str, Any], now: Mapping[str, Any], found: dict[str, Any]) -> list[str]:
    if not then["rows"] or not now["rows"]:
        return []
    old, new = then["nulls"] / then["rows"], now["nulls"] / now["rows"]
    pooled = (then["nulls"] + now["nulls"]) / (then["rows"] + now["rows"])
    error = math.sqrt(pooled * (1 - pooled) * (1 / then["rows"] + 1 / now["rows"]))
    found["nulls"] = round(new - old, 6)
    if abs(new - old) < NULLS_MOVED or abs(new - old) <= CHANCE_Z * error:
        return []
    return [f"Nulls went from {old:.1%} to {new:.1%}."]


def _new_values(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Frequent values that the last profile, which listed all there were, did not have."""
    known = {one["value"] for one in then["top"]}
    if not known or then["distinct"] > len(known):
        return []
    new = [o for o in now["top"] if o["value"] not in known and o["share"] >= NEW_SHARE]
    return [f"New value {o['value']!r}: {o['share']:.1%} of the rows." for o in new]
