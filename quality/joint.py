"""Metrics that move together: a day on which each alone is usual, but not all at once.

The scores of a dataset's metrics are given to Rousseeuw's minimum covariance determinant (A Fast
Algorithm for the Minimum Covariance Determinant Estimator, Technometrics 41, 1999; scikit-learn's
MinCovDet), which learns how they go together from the most even three quarters of the calm days:
those on which no metric alone was told. A day's squared Mahalanobis distance is compared with what
one day in ten thousand has (chi-squared), or with half as much again as the greatest of ninety-nine
in a hundred calm days, whichever is more. Days that were told would raise that bar out of reach.

It needs 90 days, and 10 a metric, three fifths of them calm; fitting takes scikit-learn, whose
import costs about a second, so a fitted model is kept for four weeks and applied with numpy alone.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST_DAYS, DAYS_A_METRIC = 90, 10
RARE_Z = 3.719  # one in ten thousand, one-sided
PAST, MARGIN = 0.99, 1.5
TOLD = 3.7  # spreads from which a metric alone is told
OWN = 0.005  # variance that each metric has at least for itself, of the one that scores have
CLIP = 12.0
CALM = 0.6  # share of the days wanted that must be calm


@dataclass(frozen=True)
class Model:
    """How scores of some metrics go together."""

    metrics: list[str]
    location: list[float]
    precision: list[list[float]]
    cutoff: float

    def distances(self, metrics: list[str], scores: Array) -> Array:
        """Distance of each day, above 1 unusual; a metric that is missing counts as usual."""
        import numpy as np

        chosen = [metrics.index(m) for m in self.metrics]
        off = _filled(scores[:, chosen]) - np.asarray(self.location)
        return np.asarray(
            np.einsum("di,ij,dj->d", off, np.asarray(self.precision), off) / self.cutoff
        )


def fit(metrics: list[str], scores: Array) -> Model | None:
    """Learn from past days x metrics of scores; None where there is too little history."""
    import numpy as np
    from sklearn.covariance import MinCovDet

    whole = [i for i in range(len(metrics)) if _varies(scores[:, i])]
    days = scores[:, whole][~np.isnan(scores[:, whole]).all(axis=1)]
    filled = _filled(days)
    filled = filled[(np.abs(filled) < TOLD).all(axis=1)]
    enough = max(LEAST_DAYS, DAYS_A_METRIC * len(whole))
    if len(whole) < 2 or len(days) < enough or len(filled) < CALM * enough:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a covariance that is not of full rank
        fitted = MinCovDet(support_fraction=0.75, random_state=0).fit(filled)
    ridge = fitted.covariance_ + OWN * np.eye(len(whole))
    model = Model(
        [metrics[i] for i in whole], fitted.location_.tolist(), np.linalg.inv(ridge).tolist(), 1.0
    )
    past = float(np.quantile(model.distances(model.metrics, filled), PAST))
    return replace(model, cutoff=max(_rare(len(whole)), MARGIN * past))


def _varies(scores: Array) -> bool:
    """Whether a metric is there on most days and is not always the same."""
    import numpy as np

    there = scores[~np.isnan(scores)]
    return len(there) >= LEAST_DAYS * 0.7 and float(np.quantile(np.abs(there), 0.75)) > 0.05


def _filled(scores: Array) -> Array:
    """What is missing is as expected; what is far off is no farther than twelve spreads."""
    import numpy as np

    return np.asarray(np.clip(np.nan_to_num(scores, nan=0.0), -CLIP, CLIP))


def _rare(metrics: int) -> float:
    """The quantile of chi-squared that one day in ten thousand exceeds (Wilson and Hilferty)."""
    part = 2 / (9 * metrics)
    return metrics * float((1 - part + RARE_Z * math.sqrt(part)) ** 3)
