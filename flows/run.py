"""A run: its id, its log lines, and the order of the datasets in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from uuid import uuid4

from prefect.context import FlowRunContext

from flows.breach import look
from flows.result import GroupResult, IngestResult
from tasks.publish import Published
from tasks.record import hold, loaded, refusals
from warehouse import log
from warehouse.errors import CarrelError, ConfigurationError, SourceUnavailable, SpecError
from warehouse.spec import Dataset, datasets


@contextmanager
def run() -> Iterator[str]:
    """The run's id (Prefect's own where there is one), stamped on every log line inside.

    When it is over, however it ended, alerts are looked for in what it left behind.
    """
    context = FlowRunContext.get()
    under_way = context.flow_run if context else None
    run_id = str(under_way.id) if under_way else str(uuid4())
    with log.during(run_id):
        try:
            with refusals():
                yield run_id
        finally:
            look(run_id)


def chosen(group: str | None, besides: Collection[str]) -> dict[str, Dataset]:
    """The datasets of a group, or with none those of all groups but `besides`.

    Raises:
        ConfigurationError: no dataset is of that group.
    """
    known = datasets()
    found = {
        name: d
        for name, d in known.items()
        if d.group == group or (group is None and d.group not in besides)
    }
    if group is not None and not found:
        groups = ", ".join(sorted({d.group for d in known.values()}))
        raise ConfigurationError(
            f"{group!r} is the group of no dataset.", remedy=f"Known: {groups}"
        )
    return found


def in_order(members: Mapping[str, Dataset]) -> list[Dataset]:
    """The datasets, each once and after those that its spec names in `after`.

    Raises:
        SpecError: `after` names what is no dataset, or goes round in a circle.
    """
    known = datasets()
    for dataset in members.values():
        if lost := [name for name in dataset.after if name not in known]:
            raise SpecError(dataset.path, f"after: no dataset is called {', '.join(lost)}")
    graph = {name: [a for a in d.after if a in members] for name, d in members.items()}
    try:
        return [members[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        path = members[error.args[1][0]].path
        raise SpecError(path, f"after goes round in a circle: {circle}") from None


@dataclass
class Attempts:
    """The datasets of a run so far: brought in, failed, or held, and why."""

    run_id: str
    done: dict[str, IngestResult] = field(default_factory=dict)
    failed: dict[str, CarrelError] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    without_file: set[str] = field(default_factory=set)

    def make(self, dataset: Dataset, bring_in: Callable[[Dataset, str], IngestResult]) -> None:
        """Bring a dataset in, unless one that it comes after did not succeed.

        A dataset without a file waits for one: it is held, and fails nothing.
        """
        if reason := self._obstacle(dataset):
            self.held[dataset.table] = hold(dataset.table, reason)
            return
        try:
            with refusals():
                self.done[dataset.table] = bring_in(dataset, self.run_id)
        except SourceUnavailable as error:
            self._without_source(dataset, error)
        except CarrelError as error:
            self.failed[dataset.table] = error

    def _obstacle(self, dataset: Dataset) -> str | None:
        """Which dataset before this one did not succeed, and how."""
        for name in dataset.after:
            if name in self.failed:
                return f"{name} failed: {self.failed[name]}"
            if name in self.done and not self.done[name].verdict.publishes:
                return f"{name} failed its contract: {self.done[name].verdict}"
            if name in self.held and name not in self.without_file:
                return f"{name} is held: {self.held[name]}"
            if name not in self.done and not loaded([name]):
                return f"{name} has not been loaded"
        return None

    def _without_source(self, dataset: Dataset, error: SourceUnavailable) -> None:
        if type(error) is SourceUnavailable and error.__cause__ is None:
            self.held[dataset.table] = hold(dataset.table, str(error))
            self.without_file.add(dataset.table)
        else:
            self.failed[dataset.table] = error

    def result(self, published: Iterable[Published]) -> GroupResult:
        """What became of each dataset and of gold."""
        return GroupResult(self.run_id, self.done, self.failed, self.held, tuple(published))
