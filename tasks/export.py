"""Export a dataset, a gold table or a query to a file, or to a folder that other tools pick up.

Nothing is seen of a file before it is whole: it is written beside its place and renamed. A folder
is a symbolic link to `.<name>.<export>`; another export makes a folder of its own and moves the
link. Files carry the export's id in their names, so that who listed the files of one export never
opens those of another; the export before the last stays until the next.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import glob
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import psutil

from tasks.extract import sha256
from tasks.reading import Rows, Subject, fitted, reading, rows, subject
from tasks.writers import WRITERS, Writer, to_plain_csv
from warehouse.access import Viewer
from warehouse.errors import Busy, ConfigurationError

By = Literal["day", "month", "year"]
PATTERNS = {"day": "YYYY-MM-DD", "month": "YYYY-MM", "year": "YYYY"}
UNDATED = "__HIVE_DEFAULT_PARTITION__"  # as Hive, Spark, DuckDB and Arrow name it
SECONDS = 600


@dataclass(frozen=True)
class Exported:
    """What was written: where, how many rows, in how many files."""

    path: Path
    rows: int
    files: int = 1


def export(
    what: str, to: Path, *, viewer: Viewer | None = None, seconds: int = SECONDS
) -> Exported:
    """Write the rows to one file, of the kind that its name ends with.

    Args:
        what: a dataset, a gold table, or a select statement.
        to: .csv, .xlsx, .json, .jsonl or .parquet.
        viewer: whose rows; default: all, as the owner.
        seconds: how long a statement may take.

    Raises:
        ConfigurationError: no such subject, kind or place, or the query is refused.
        LoadFailed: the query took too long.
    """
    kind = to.suffix.lower()
    if kind not in WRITERS:
        raise ConfigurationError(
            f"{to}: {kind or 'no ending'} is no kind of file that can be written.",
            remedy=f"End it with {', '.join(WRITERS)}, or with / for a folder.",
        )
    asked = subject(what)
    with whole(to) as draft, reading(viewer, seconds) as connection:
        found = rows(connection, asked)
        if kind == ".parquet":
            found = fitted(connection, found, asked.scales)
        each = found.as_values if kind == ".parquet" else found.as_text
        with closing(each(connection)) as read:  # a COPY left open would hold the connection
            count = WRITERS[kind](draft, found.fields, read)
    return Exported(to, count)


@contextmanager
def whole(to: Path, mode: int | None = None) -> Iterator[Path]:
    """A draft beside the place that takes it when the block succeeds, else is removed.

    `mode`: who may read it, where the umask would let in too many.

    Raises:
        ConfigurationError: the place cannot be written.
    """
    if to.is_dir():
        raise ConfigurationError(f"{to} is a folder.", remedy="Name a file in it.")
    _forget_drafts(to)
    draft = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        draft.touch(0o600 if mode is None else mode)
        if mode is None:
            draft.chmod(0o666 & ~_umask())
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(to)
    except OSError as error:
        raise ConfigurationError(
            f"{to}: cannot be written: {error.strerror or error}.",
            remedy="Name a folder that is there, may be written and has room.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _forget_drafts(to: Path) -> None:
    """Remove what killed exports to the same place left."""
    for left in to.parent.glob(f".{glob.escape(to.name)}.*.part"):
        owner = left.name.split(".")[-2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            left.unlink(missing_ok=True)


def export_folder(  # noqa: PLR0913 - keywords alone
    what: str,
    to: Path,
    *,
    by: By | None = None,
    kind: Literal["parquet", "csv"] = "parquet",
    viewer: Viewer | None = None,
    seconds: int = SECONDS,
) -> Exported:
    """Write the rows to a folder: files, `manifest.json` and `schema.json`.

    Args:
        what: a dataset, a gold table, or a select statement.
        to: the folder; a link, replaced whole.
        by: a file for each day, month or year of the event (`month=2024-01/…`).
        kind: of the files.
        viewer: whose rows; default: all, as the owner.
        seconds: how long a statement may take.

    Raises:
        ConfigurationError: as `export`, or `by` without an event, or the folder is another's.
    """
    asked = subject(what)
    if by and not asked.event:
        raise ConfigurationError(
            f"{asked.name} has no event to be parted by.", remedy="Leave out --by."
        )
    made = uuid4().hex[:12]
    draft = to.with_name(f".{to.name}.{made}")
    with _placing(to, draft):
        with reading(viewer, seconds) as connection:
            found = rows(connection, asked)
            if by and asked.event not in {f.name for f in found.fields}:
                raise ConfigurationError(f"{asked.name}: the viewer may not see {asked.event}.")
            if kind == "parquet":
                found = fitted(connection, found, asked.scales)
            each = found.as_values if kind == "parquet" else found.as_text
            with closing(each(connection, *_parted(asked, by))) as parts:
                files = list(_files(draft, by, kind, found, parts))
        _describe(draft, made, asked, found, files)
    return Exported(to, sum(f["rows"] for f in files), len(files))


@contextmanager
def _placing(to: Path, draft: Path) -> Iterator[None]:
    """Fill the draft, then let it take the folder's place; one export of a folder at a time."""
    try:
        with to.with_name(f".{to.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _check_place(to)
            try:
                draft.mkdir()
                yield
                _publish(to, draft)
            finally:
                if not (to.is_symlink() and to.readlink().name == draft.name):
                    shutil.rmtree(draft, ignore_errors=True)
    except BlockingIOError:
        raise Busy(f"{to}: another export is writing it.", remedy="Wait for it.") from None
    except OSError as error:
        raise ConfigurationError(
            f"{to}: cannot be written: {error.strerror or error}.",
            remedy="Name a folder in one that is there, may be written and has room.",
        ) from error


def _parted(asked: Subject, by: By | None) -> tuple[str, str]:
    """SQL of the part that a row belongs to, and of an order that keeps parts together."""
    if not by:
        return "'all'", ""
    part = f"to_char(\"{asked.event}\", '{PATTERNS[by]}')"
    part = f"case when isfinite(\"{asked.event}\") then {part} else '{UNDATED}' end"
    return part, "order by " + ", ".join(["1", *(f'"{k}"' for k in asked.key)])


def _files(
    folder: Path, by: By | None, kind: str, found: Rows, parts: Iterator[Any]
) -> Iterator[dict[str, Any]]:
    """Write a file a part; yield what the manifest says of each."""
    write: Writer = WRITERS[".parquet"] if kind == "parquet" else to_plain_csv
    written, name = False, f"data-{folder.name.rpartition('.')[2]}.{kind}"
    for part, group in itertools.groupby(parts, lambda row: row[0]):
        place = folder / f"{by}={part}" if by else folder
        place.mkdir(exist_ok=True)
        path = place / name
        count = write(path, found.fields, (row[1:] for row in group))
        written = True
        yield _entry(folder, path, count)
    if not written and not by:  # a table without rows still has its columns
        path = folder / name
        yield _entry(folder, path, write(path, found.fields, iter(())))


def _entry(folder: Path, path: Path, count: int) -> dict[str, Any]:
    return {
        "path": path.relative_to(folder).as_posix(),
        "rows": count,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }


def _describe(
    folder: Path, made: str, asked: Subject, found: Rows, files: list[dict[str, Any]]
) -> None:
    schema = {
        "export": made,
        "name": asked.name,
        "title": asked.title,
        "grain": asked.grain,
        "licence": asked.licence,
        "key": list(asked.key),
        "columns": [
            {"name": f.name, "type": f.type, "meaning": f.meaning}
            | ({"precision": f.digits[0], "scale": f.digits[1]} if f.digits else {})
            for f in found.fields
        ],
    }
    _write_json(folder / "schema.json", schema)
    manifest = {
        "export": made,
        "made_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "rows": sum(f["rows"] for f in files),
        "schema": _entry(folder, folder / "schema.json", 0) | {"rows": None},
        "files": files,
    }
    _write_json(folder / "manifest.json", manifest)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _check_place(to: Path) -> None:
    """Refuse to replace a folder that no export made."""
    if to.is_symlink():
        ours = to.readlink().name.startswith(f".{to.name}.") and not to.readlink().parent.name
    else:
        ours = not to.exists() or (to.is_dir() and not any(to.iterdir()))
    if not ours:
        raise ConfigurationError(
            f"{to} is there, and no export made it.", remedy="Name another folder."
        )


def _publish(to: Path, draft: Path) -> None:
    """Move the link to the new folder; keep the one before, remove the older ones."""
    before = to.readlink().name if to.is_symlink() else None
    if not to.is_symlink() and to.is_dir():
        to.rmdir()
    link = to.with_name(f".{to.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(draft.name)
    link.replace(to)
    for old in to.parent.glob(f".{glob.escape(to.name)}.*"):
        if old.is_dir() and not old.is_symlink() and old.name not in (before, draft.name):
            shutil.rmtree(old, ignore_errors=True)
