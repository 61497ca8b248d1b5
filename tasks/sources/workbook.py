"""Open a workbook, or say why it cannot be read. No kind of source: `excel` uses it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import SourceMalformed, SourceUnavailable

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

ZIP, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
VERY_OLD = (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
LOCKED = "EncryptedPackage".encode("utf-16-le")
MOST_CELLS = 100_000_000  # the library takes 32 bytes for each cell of the square that is filled
MOST_BYTES = 8 << 30
CHUNK = 1 << 20
MOST_MEMORY = 6 << 30
SECONDS = 600
SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
TRIAL = f"""
import resource, sys
from python_calamine import CalamineWorkbook
resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))
for source in (sys.argv[1], open(sys.argv[1], "rb")):
    try:
        book = CalamineWorkbook.from_object(source)
        for name in book.sheet_names:
            book.get_sheet_by_name(name)
        break
    except Exception:
        pass  # said later; a panic is no Exception, and would print a trace in this process
"""
SAVE = "Open it in Excel or LibreOffice and save it as .xlsx."


class Workbook:
    """An open workbook."""

    def __init__(self, path: Path, book: CalamineWorkbook) -> None:
        """Of a file."""
        self.path, self._book = path, book
        self._last: tuple[str, CalamineSheet] | None = None

    def names(self, *, hidden_last: bool = False) -> list[str]:
        """Names of the sheets of cells, in order."""
        from python_calamine import SheetTypeEnum, SheetVisibleEnum

        sheets = [s for s in self._book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
        if hidden_last:
            sheets.sort(key=lambda sheet: sheet.visible != SheetVisibleEnum.Visible)
        return [sheet.name for sheet in sheets]

    def sheet(self, name: str) -> CalamineSheet:
        """A sheet's cells, all in memory (the library has no other way)."""
        if not self._last or self._last[0] != name:
            self._last = None
            with _told(self.path, f"sheet {name!r}: "):
                self._last = name, self._book.get_sheet_by_name(name)
        return self._last[1]


@contextmanager
def opened(path: Path) -> Iterator[Workbook]:
    """The workbook, whatever its name ends in.

    Raises:
        SourceUnavailable: the file cannot be read.
        SourceMalformed: it is no workbook, is locked or damaged, or takes too much memory.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise SourceUnavailable(
            f"{path}: cannot be read: {error}.", remedy="Fetch it again, whole."
        ) from error
    if not start.startswith((ZIP, OLD, *VERY_OLD)):
        raise _no_workbook(path, start)
    if not start.startswith(ZIP) or not _not_too_large(path):
        _ends_no_process(path)
    with _told(path):
        book = _book(path)
    try:
        yield Workbook(path, book)
    finally:
        book.close()


def _book(path: Path) -> CalamineWorkbook:
    """By the name's ending, as that tells a locked one; else by what the file holds."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        return CalamineWorkbook.from_path(path)
    except PasswordError:
        raise
    except CalamineError:
        content = path.read_bytes()
        if content.startswith(OLD) and LOCKED in content:
            raise PasswordError from None
        with path.open("rb") as stream:
            return CalamineWorkbook.from_filelike(stream)


@contextmanager
def _told(path: Path, where: str = "") -> Iterator[None]:
    """Say what the library could not read; it may also panic, which is no Exception."""
    from python_calamine import PasswordError

    try:
        yield
    except PasswordError:
        raise SourceMalformed(
            path, f"{where}is protected by a password.", remedy="Save it without one."
        ) from None
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise SourceMalformed(
            path, f"{where}is a damaged workbook or none: {reason}.", remedy=SAVE
        ) from error


def _no_workbook(path: Path, start: bytes) -> SourceMalformed:
    """What a file without a workbook's first bytes is."""
    text = start.decode(
        "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "ignore"
    )
    text = text.removeprefix("ï»¿").lstrip()
    if not text:
        return SourceMalformed(path, "is empty.", remedy="Fetch it again.")
    if re.match(r"<(!doctype html|html|table|head|body|meta|div)", text, re.IGNORECASE):
        return SourceMalformed(path, "is a web page (HTML), no workbook.", remedy=SAVE)
    if text.startswith("<"):
        return SourceMalformed(path, "is an XML text, no workbook.", remedy=SAVE)
    if not re.search(r"[\x00-\x08\x0e-\x1f]", text):
        remedy = "Name it .csv and write `kind: csv` in the spec, or save it as .xlsx."
        return SourceMalformed(path, "is plain text (CSV?), no workbook.", remedy=remedy)
    return SourceMalformed(path, "is no workbook.", remedy=SAVE)


def _not_too_large(path: Path) -> int:
    """Refuse what would end the process for lack of memory: one cell far off, or a zip bomb.

    Return how many sheets that holds for: those written as XML in the usual place.
    """
    looked_at = 0
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := sum(part.file_size for part in archive.infolist())) > MOST_BYTES:
                raise SourceMalformed(
                    path, f"unpacks to {size >> 30} GiB.", remedy="Split it, or save it as CSV."
                )
            for name in archive.namelist():
                if SHEET.fullmatch(name):
                    looked_at += 1
                    row, column = _last_cell(archive, name)
                    if row * _number_of(column) > MOST_CELLS:
                        raise _too_far(path, name, row, column)
            return looked_at
    except SourceMalformed:
        raise
    except Exception as error:  # of a damaged archive the library raises nearly anything
        raise SourceMalformed(
            path,
            f"is a damaged workbook: {str(error) or type(error).__name__}.",
            remedy="Fetch it again, or mend it in Excel.",
        ) from error


def _ends_no_process(path: Path) -> None:
    """Read the file in another process first: damaged, it may make the library end this one."""
    command = [sys.executable, "-c", TRIAL, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise SourceMalformed(path, "takes too long to read.", remedy=SAVE) from None
    if done.returncode:
        raise SourceMalformed(path, "is a damaged workbook, or takes too much memory.", remedy=SAVE)


def _too_far(path: Path, part: str, row: int, column: str) -> SourceMalformed:
    return SourceMalformed(
        path,
        f"{part}: the cells reach to {column}{row}, too far to read.",
        remedy="Ctrl+End shows the last cell: delete the stray rows and columns, and save.",
    )


FILLED = rb'<(?:\w+:)?c [^>]*?\br="([A-Z]{%s})(\d+)"(?:[^>]*[^/>])?>'
BEYOND_Z = re.compile(rb'r="[A-Z]{2}')
CELL, FAR_CELL = re.compile(FILLED % b"1,3"), re.compile(FILLED % b"2,3")


def _last_cell(archive: zipfile.ZipFile, name: str) -> tuple[int, str]:
    """The furthest row and column of the cells that hold something; `Z` for any up to Z.

    Rows are in order in a sheet, so that the end of each chunk tells enough.
    """
    row, column, rest = 1, "Z", b""
    with archive.open(name) as stream:
        while chunk := stream.read(CHUNK):
            text = rest + chunk
            if found := CELL.findall(text[-CHUNK // 64 :]) or CELL.findall(text):
                row = max(row, int(found[-1][1]))
            if BEYOND_Z.search(text):
                far = {letters.decode() for letters, _ in FAR_CELL.findall(text)}
                column = max(far | {column}, key=_number_of)
            rest = text[-200:]
    return row, column


def _number_of(column: str) -> int:
    """A column's number: A is 1."""
    number = 0
    for letter in column:
        number = number * 26 + ord(letter) - 64
    return number
