"""How well unusual days are found: precision and recall on seeded years with planted faults.

    python -m benchmarks.anomalies [SEED ...]

Thresholds were tuned on seeds 1 to 3; by default the table is of seeds 101 to 103 (12 made-up
libraries each; benchmarks/planted.py says how they are made and counted).
"""

from __future__ import annotations

import sys
import time

from benchmarks import planted

METHODS = {
    "Carrel": planted.ours,
    "  without the joint model": planted.ours_alone,
    "  holidays not named": planted.ours_without_calendar,
    "z-score": planted.z_score,
    "z-score, absent is zero": planted.z_absent_is_zero,
    "z-score by weekday": planted.z_by_weekday,
}


def main(seeds: list[int]) -> None:
    years = [year for seed in seeds for year in planted.libraries(seed)]
    faults = sum(len(f) for _, f in years)
    print(f"{len(years)} library years, {faults} faults; false alarms are of a library and year")
    heads = "".join(f"{kind:>9}" for kind in planted.KINDS)
    print(f"{'':26}{'precision':>10}{'recall':>8}{'F1':>6}{'false':>7}{heads}")
    for name, method in METHODS.items():
        start = time.perf_counter()
        score = planted.scored(method, years)
        kinds = "".join(f"{score.found[k] / max(score.planted[k], 1):9.2f}" for k in planted.KINDS)
        print(
            f"{name:26}{score.precision:10.2f}{score.recall:8.2f}{score.f1:6.2f}"
            f"{score.wrong / len(years):7.1f}{kinds}   {time.perf_counter() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [101, 102, 103])
