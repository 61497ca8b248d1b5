"""One ingest in a process of its own, which measures itself: a part of `benchmarks.run`."""

import json
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

PARTS = {"load": ("extract", "clean", "merge"), "contract": ("verify",), "publish": ("publish",)}


def main() -> None:
    """Import, run, and print the wall and CPU seconds of each part as JSON."""
    clock = Clock()
    import deployments.cli  # noqa: F401 - part of what the command line imports
    from flows import ingest as flows_ingest

    parts = {"imports": clock.lap()}
    steps = spied()
    run = flows_ingest.ingest if "PREFECT_API_URL" in os.environ else flows_ingest.ingest.fn
    run("desk_loans", force=True)
    whole = clock.lap()
    parts |= {name: steps.get(name, (0.0, 0.0)) for name in ("load", "contract", "publish")}
    spent = [sum(parts[n][i] for n in ("load", "contract", "publish")) for i in (0, 1)]
    parts["prefect"] = (whole[0] - spent[0], whole[1] - spent[1])
    print(json.dumps(parts))


class Clock:
    """Wall and CPU seconds since the last lap."""

    def __init__(self) -> None:
        self.at = self.now()

    def now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        before, self.at = self.at, self.now()
        return self.at[0] - before[0], self.at[1] - before[1]


def spied() -> dict[str, tuple[float, float]]:
    """Seconds of each step, added up as they happen; land runs beside clean, so it counts once."""
    from flows import steps

    spent: dict[str, tuple[float, float]] = {}
    for part, names in PARTS.items():
        for step in (getattr(steps, name) for name in names):
            step.fn = timed(step.fn, part, spent)
    return spent


def timed(function: Callable[..., Any], part: str, spent: dict[str, tuple[float, float]]) -> Any:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        clock = Clock()
        try:
            return function(*args, **kwargs)
        finally:
            wall, cpu = clock.lap()
            before = spent.get(part, (0.0, 0.0))
            spent[part] = before[0] + wall, before[1] + cpu

    return run


if __name__ == "__main__":
    main()
