"""Letters of a PDF: Roboto, as Panel's Material theme brings it, in one file a weight.

The package holds a file for each script; they are joined once and kept in the home. Roboto covers
Latin with all its accents, Greek, Cyrillic and Vietnamese. For other scripts a font can be named
(`CARREL_PDF_FONT`); what no font has is shown as a question mark, and counted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Collection
from functools import cache
from pathlib import Path

from warehouse.errors import ConfigurationError
from warehouse.settings import settings

PACKAGE = "panel_material_ui"
SCRIPTS = ("latin", "latin-ext", "cyrillic", "cyrillic-ext", "greek", "greek-ext", "vietnamese",
           "math", "symbols")  # fmt: skip
WEIGHTS = {"": 400, "B": 700}  # by the style that fpdf2 knows it as
UNUSED = ["GSUB", "GPOS", "GDEF", "STAT", "gasp"]  # tables for shaping, which we do not do
MISSING = "?"
_joining = threading.Lock()


@cache
def files() -> dict[str, Path]:
    """The font files by style: "" regular, "B" bold.

    Raises:
        ConfigurationError: the package is not installed, or lacks them.
    """
    folder = settings().home / "fonts"
    with _joining:
        return {style: _joined(folder, weight) for style, weight in WEIGHTS.items()}


def _joined(folder: Path, weight: int) -> Path:
    parts = _parts(weight)
    stamp = hashlib.sha256("".join(p.name for p in parts).encode()).hexdigest()[:12]
    path = folder / f"roboto-{weight}-{stamp}.ttf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder, suffix=".ttf")
        os.close(handle)
        _join(parts, draft)
        Path(draft).rename(path)  # at once: another process never sees half of it
    return path


def _parts(weight: int) -> list[Path]:
    spec = importlib.util.find_spec(PACKAGE)
    places = [Path(p) / "dist" for p in (spec.submodule_search_locations or ())] if spec else []
    found = [
        next(iter(sorted(place.glob(f"roboto-{script}-{weight}-normal-*.woff"))), None)
        for place in places[:1]
        for script in SCRIPTS
    ]
    there = [p for p in found if p is not None]
    if not there or found[0] is None:
        raise ConfigurationError(
            f"The fonts of PDFs are not there: {PACKAGE} has no Roboto.",
            remedy="Install what requirements.lock names: `make env`.",
        )
    return there


def _join(parts: list[Path], draft: str) -> None:
    from fontTools.merge import Merger, Options

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    options = Options()
    options.drop_tables = UNUSED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        font = Merger(options=options).merge([str(p) for p in parts])
        font.flavor = None
        font.save(draft)


@cache
def own() -> Path | None:
    """The font that the settings name for further scripts.

    Raises:
        ConfigurationError: it is no font.
    """
    from fontTools.ttLib import TTFont, TTLibError

    path = settings().pdf_font
    if path is None:
        return None
    try:
        TTFont(path, lazy=True).close()
    except (OSError, TTLibError) as error:
        raise ConfigurationError(
            f"{path} is no font: {error}.", remedy="Name a .ttf or .otf file in CARREL_PDF_FONT."
        ) from None
    return path


@cache
def letters() -> frozenset[int]:
    """The code points that can be drawn."""
    from fontTools.ttLib import TTFont

    found: set[int] = set()
    for path in filter(None, (files()[""], own())):
        with TTFont(path, lazy=True) as font:
            found |= set(font.getBestCmap())
    return frozenset(found)


def legible(text: str, known: Collection[int]) -> tuple[str, int]:
    """A text on one line with only letters that can be drawn, and how many others it had."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    shown = "".join(c if ord(c) in known else MISSING for c in flat)
    return shown, sum(a != b for a, b in zip(flat, shown, strict=True))
