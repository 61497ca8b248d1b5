"""What a run did, in numbers; nothing in it is personal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from quality.verdict import Standing, Verdict
from tasks.merge import Loaded
from tasks.publish import Published
from warehouse.errors import CarrelError, QualityFailed

COUNTS = ("rows_in", "inserted", "updated", "deleted", "unchanged", "quarantined", "ignored")


@dataclass(frozen=True)
class IngestResult:
    """One dataset's run: files seen, records by where they went, the verdict, the gold."""

    run_id: str
    dataset: str
    files: int
    files_unchanged: int
    counts: dict[str, int]
    verdict: Verdict
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, dataset: str, run_id: str, loads: Iterable[Loaded], verdict: Verdict
    ) -> IngestResult:
        """Add up the loads of a run."""
        loads = list(loads)
        return cls(
            run_id=run_id,
            dataset=dataset,
            files=len(loads),
            files_unchanged=sum(not loaded.rows_in for loaded in loads),
            counts={name: sum(getattr(loaded, name) or 0 for loaded in loads) for name in COUNTS},
            verdict=verdict,
        )

    def with_gold(self, published: Iterable[Published]) -> IngestResult:
        """The same, with what became of the gold tables."""
        return replace(self, published=tuple(published))

    @property
    def standing(self) -> Standing:
        """What became of the load: trusted, warnings, or held back."""
        return self.verdict.standing

    def require_quality(self) -> IngestResult:
        """Itself.

        Raises:
            QualityFailed: the contract holds the rows back from gold.
        """
        if not self.verdict.publishes:
            raise QualityFailed(
                f"{self.dataset}: the rows are loaded but held back from gold: {self.verdict}.",
                remedy="Mend the file or the contract and run again;"
                f" `carrel quality publish {self.dataset} --reason …` publishes it all the same.",
            )
        return self

    def __str__(self) -> str:
        counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in self.counts.items())
        return f"{self.dataset}: {self.standing}; {self.files} files; {counts}; {self.verdict}"


@dataclass(frozen=True)
class GroupResult:
    """A run over several datasets: those brought in, those that failed, those held, and why."""

    run_id: str
    done: dict[str, IngestResult] = field(default_factory=dict)
    failed: dict[str, CarrelError] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    @property
    def succeeded(self) -> set[str]:
        """Datasets after which others may start."""
        return {name for name, result in self.done.items() if result.verdict.publishes}

    @property
    def quality_failed(self) -> list[str]:
        """Datasets that were loaded but are held back from gold."""
        return [name for name in self.done if name not in self.succeeded]

    @property
    def warned(self) -> list[str]:
        """Datasets that were published with warnings."""
        return [name for name, result in self.done.items() if result.standing == "warnings"]

    def require_success(self) -> GroupResult:
        """Itself.

        Raises:
            CarrelError: the first error, if a dataset failed.
            QualityFailed: a dataset was loaded but is held back from gold.
        """
        for error in self.failed.values():
            raise error
        for result in self.done.values():
            result.require_quality()
        return self
