"""Every line of the log is one JSON object."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from warehouse import log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.start(stream)
    yield stream
    log.stop()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_who_which_run_and_what(lines: io.StringIO) -> None:
    with log.during("run-1"):
        logging.getLogger("tasks.merge").info("%d rows", 7, extra={"dataset": "shop_loans"})
    (line,) = read(lines)
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "tasks.merge",
        "run_id": "run-1",
        "message": "7 rows",
        "dataset": "shop_loans",
    }


def test_outside_a_run_the_id_is_null(lines: io.StringIO) -> None:
    logging.getLogger("flows").warning("no run")
    assert read(lines)[0]["run_id"] is None


def test_odd_text_and_errors_stay_on_one_line(lines: io.StringIO) -> None:
    try:
        raise ValueError('two\nlines "quoted" \x1b[31m ünï')
    except ValueError:
        logging.getLogger("warehouse").exception("it\nbroke", extra={"thing": object()})
    (line,) = read(lines)
    assert line["message"] == "it\nbroke"
    assert 'ValueError: two\nlines "quoted"' in str(line["exception"])


def test_threads_log_the_run_too(lines: io.StringIO) -> None:
    with log.during("run-2"):
        thread = threading.Thread(
            target=copy_context().run, args=(logging.getLogger("tasks").info, "beside")
        )
        thread.start()
        thread.join()
    assert read(lines)[0]["run_id"] == "run-2"


def test_starting_twice_writes_once(lines: io.StringIO) -> None:
    log.start(lines)
    logging.getLogger("tasks").info("once")
    assert len(read(lines)) == 1


def test_a_librarys_warning_is_json_too(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("careful")
    assert [line["logger"] for line in read(lines)] == ["some.library"]
