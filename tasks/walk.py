"""Every file below a folder, opened so that no link and no race leads out of it."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from warehouse.errors import SourceUnavailable

DEEPEST = 64
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OTHER = (
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


@dataclass(frozen=True)
class Entry:
    """What stands in the folder: its place below it, and why it must not be opened, if so.

    `target` is where a link leads, below the folder.
    """

    parts: tuple[str, ...]
    bytes: int
    modified_ns: int
    refused: str | None = None
    target: tuple[str, ...] | None = None

    @property
    def path(self) -> str:
        """The place as text; bytes that are no UTF-8 are shown as escapes."""
        return os.fsencode("/".join(self.parts)).decode("utf-8", "backslashreplace")


def walk(root: Path) -> Iterator[Entry]:
    """Every entry below a folder that is no folder itself, in order of name; links stay closed.

    Raises:
        SourceUnavailable: the folder is not there or cannot be read.
    """
    root = root.resolve()
    try:
        os.close(_folder(root, ()))
    except OSError as error:
        raise SourceUnavailable(
            f"{root}: cannot be read: {error.strerror}.", remedy="Name a folder that is there."
        ) from error
    folders: list[tuple[str, ...]] = [()]
    while folders:
        parts = folders.pop()
        try:
            found = _listed(root, parts)
        except OSError as error:
            yield Entry(parts, 0, 0, f"cannot be read: {error.strerror}")
            continue
        within = [n for n, s in found if stat.S_ISDIR(s.st_mode)]
        if len(parts) < DEEPEST:
            folders += [(*parts, n) for n in reversed(within)]
        elif within:
            yield Entry((*parts, within[0]), 0, 0, f"lies deeper than {DEEPEST} folders")
        for name, status in found:
            if not stat.S_ISDIR(status.st_mode):
                yield _entry(root, (*parts, name), status)


def _listed(root: Path, parts: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
    folder = _folder(root, parts)
    try:
        found = []
        for name in sorted(os.listdir(folder)):
            try:
                found.append((name, os.stat(name, dir_fd=folder, follow_symlinks=False)))
            except FileNotFoundError:
                continue  # gone since it was listed
        return found
    finally:
        os.close(folder)


def _entry(root: Path, parts: tuple[str, ...], status: os.stat_result) -> Entry:
    """A file, a link, or something that must not be opened."""
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return _link(root, parts, status)
    refused = next((why for test, why in OTHER if test(mode)), None)
    return Entry(parts, status.st_size, status.st_mtime_ns, refused)


def _link(root: Path, parts: tuple[str, ...], status: os.stat_result) -> Entry:
    """A link: to a file below the folder it may be followed, anywhere else not."""
    try:
        place = root.joinpath(*parts).resolve(strict=True)
        target = place.relative_to(root).parts
        there = place.lstat()
    except ValueError:
        return Entry(parts, 0, status.st_mtime_ns, "is a link that leads out of the folder")
    except (OSError, RuntimeError):
        return Entry(parts, 0, status.st_mtime_ns, "is a link that leads nowhere")
    if not stat.S_ISREG(there.st_mode):
        return Entry(parts, 0, status.st_mtime_ns, "is a link to what is no file: not followed")
    return Entry(parts, there.st_size, there.st_mtime_ns, None, target)


def _folder(root: Path, parts: tuple[str, ...]) -> int:
    """A folder's descriptor, opened a step at a time so that no step is a link."""
    descriptor = os.open(root, READ | os.O_DIRECTORY)
    for part in parts:
        try:
            deeper = os.open(part, READ | os.O_DIRECTORY, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor


@contextmanager
def opened_entry(root: Path, entry: Entry) -> Iterator[tuple[FileIO, Path]]:
    """The file's bytes, and a path under which libraries find this very file.

    Raises:
        OSError: it cannot be read, or has become something else since it was listed.
    """
    parts = entry.target or entry.parts
    folder = _folder(root.resolve(), parts[:-1])
    try:
        descriptor = os.open(parts[-1], READ, dir_fd=folder)
    finally:
        os.close(folder)
    with FileIO(descriptor) as stream, tempfile.TemporaryDirectory(prefix="carrel-") as own:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "is no file any more")
        if sys.platform != "linux":  # there such a path would share its position with the stream
            yield stream, root.joinpath(*parts)
            return
        here = Path(own, entry.parts[-1])  # some readers look at the name's ending
        here.symlink_to(f"/proc/self/fd/{descriptor}")
        yield stream, here
