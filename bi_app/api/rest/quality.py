"""Whether figures may be trusted: outcomes, scores with their parts, checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool

from bi_app.api.rest import answers, shapes
from bi_app.api.rest.problems import Problem
from bi_app.api.rest.who import Reads
from bi_app.models import quality as model
from bi_app.models.quality import Standing, standing
from bi_app.queries import rows

router = APIRouter(tags=["quality"])
Named = Annotated[shapes.Name, Path()]


@router.get("/quality", response_model=shapes.Quality)
async def quality(caller: Reads) -> Response:
    """How all datasets stand: the figures of the quality page."""
    now = await run_in_threadpool(standing, caller.viewer)
    whole = now.whole
    return answers.sent(
        {
            "score": whole and round(whole.value, 1),
            "formula": whole and whole.formula,
            "items": [_out(now, row) for row in now.datasets],
        }
    )


@router.get("/quality/{dataset}", response_model=shapes.QualityOf)
async def quality_of(caller: Reads, dataset: Named) -> Response:
    """How one dataset stands."""
    now = await run_in_threadpool(standing, caller.viewer, dataset)
    if not now.datasets:
        raise Problem(404, "There is no such dataset.")
    return answers.sent(_out(now, now.datasets[0]))


@router.get("/quality/{dataset}/checks", response_model=shapes.Checks)
async def checks(caller: Reads, dataset: Named) -> Response:
    """Every check of a dataset's newest verdict, failing ones first."""
    found = await run_in_threadpool(rows, caller.viewer, "quality_checks", {"dataset": dataset})
    items = [
        {
            **{k: r[k] for k in ("name", "part", "severity", "outcome", "measured")},
            "column": r["column_name"], "threshold": model.threshold(r["threshold"]) or None,
            "failures": r["failures"], "times": r["times"],
        }
        for r in found
    ]  # fmt: skip
    return answers.sent({"dataset": dataset, "items": items})


def _out(now: Standing, row: Mapping[str, Any]) -> dict[str, Any]:
    score = now.scores.get(row["dataset"])
    return {
        "dataset": row["dataset"], "title": row["title"], "outcome": now.outcome(row),
        "score": score and round(score.value, 1), "formula": score and score.formula,
        "parts": list(score.parts) if score else [], "checks": row["checks"],
        "passed": row["passed"], "judged_at": row["judged_at"],
        "rows_held_back": row["rows_quarantined"],
    }  # fmt: skip
