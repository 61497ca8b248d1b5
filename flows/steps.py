"""The steps that every flow is made of: Prefect tasks around the plain functions of tasks/.

A step records itself in ops.steps. Where no flow run is under way (a test, the command line without
a Prefect server) it runs as the plain function it wraps.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext

from tasks import clean as clean_module
from tasks import extract as extract_module
from tasks import land as land_module
from tasks import merge as merge_module
from tasks import observe as observe_module
from tasks import publish as publish_module
from tasks import replay as replay_module
from tasks import verify as verify_module
from tasks.record import StepEnd, record
from warehouse.errors import SourceMalformed, SourceUnavailable, category, said
from warehouse.spec import Dataset

P = ParamSpec("P")
R = TypeVar("R")


class Step(Task[P, R]):
    """A Prefect task that is its plain function when called outside a flow run."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step and return what it returns."""
        if FlowRunContext.get() is None:
            return self.fn(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    @contextmanager
    def beside(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Run the step beside what stands inside the `with`; both are over after it.

        An error inside goes first, then the step's own.
        """
        future = self._start(*args, **kwargs)
        try:
            yield
        except BaseException:
            _over(future)
            raise
        future.result()

    def _start(self, *args: Any, **kwargs: Any) -> Any:
        if FlowRunContext.get() is None:
            return _in_thread(self.fn, *args, **kwargs)
        return self.submit(*args, **kwargs)


def _in_thread(function: Callable[..., R], *args: Any, **kwargs: Any) -> Future[R]:
    """Run a function in a thread of its own that sees this one's run id."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(copy_context().run, function, *args, **kwargs)
    pool.shutdown(wait=False)
    return future


def _over(future: Any) -> None:
    """Wait until a step is over, however it ends; what it raises is not asked for."""
    with suppress(Exception):
        future.result()


def _recorded(
    function: Callable[P, R], name: str, rows: Callable[[R], int | None]
) -> Callable[P, R]:
    """The function, writing to ops.steps how it went."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        started_at = dt.datetime.now(dt.UTC)
        subject = args[0].table if isinstance(args[0], Dataset) else None
        end = partial(StepEnd, name, subject, started_at=started_at)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            record(end(state="failed", message=said(error), category=category(error)))
            raise
        record(end(state="done", rows=rows(result)))
        return result

    return run


def _step(
    function: Callable[P, R], rows: Callable[[R], int | None], title: str, **options: Any
) -> Step[P, R]:
    name = function.__name__
    return Step(
        _recorded(function, name, rows),
        name=name,
        task_run_name=title,
        cache_policy=NO_CACHE,
        persist_result=False,
        **options,
    )


def _unreliable(_task: Task[..., Any], _run: TaskRun, state: State) -> bool:
    """Whether trying again may help: the reading itself failed, not the file's absence or shape."""
    error = state.result(raise_on_failure=False)
    cause = error.__cause__ if isinstance(error, SourceUnavailable) else None
    return (
        isinstance(cause, OSError)
        and not isinstance(cause, FileNotFoundError | PermissionError)
        and not isinstance(error, SourceMalformed)
    )


extract = _step(
    extract_module.extract,
    len,
    "extract {dataset.name}",
    retries=3,
    retry_delay_seconds=[1, 5, 20],
    retry_condition_fn=_unreliable,
)
sent_again = _step(replay_module.sent_again, len, "sent again {dataset.name}")
land = _step(land_module.land, int, "land {dataset.name}")
clean = _step(clean_module.clean, lambda c: c.rows, "clean {dataset.name}")
merge = _step(merge_module.merge, lambda m: m.rows_in, "merge {dataset.name}")
verify = _step(verify_module.verify, lambda v: len(v.checks), "verify {dataset.name}")
observe = _step(observe_module.observe, lambda o: o.columns, "observe {dataset.name}")
publish = _step(publish_module.publish, lambda ps: sum(p.rows or 0 for p in ps), "publish gold")
