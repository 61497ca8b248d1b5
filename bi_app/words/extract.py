"""Bring the catalogues up to date with the source: `make words`.

Babel finds the messages: those of `_`, `N_` and `ngettext` in Python, templates and carrel.js, and
texts that stand as arguments of the page's own parts, such as the heading of a `Column`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from bi_app.words import HERE

HOUSE = HERE.parent.parent
KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "ngettext": (1, 2)}
SHOWN = {  # arguments that are shown to people, by the name of what is called
    "Cell": (1, 2, "title", "definition"),
    "Column": (1, "title"),
    "Layout": (0, "title", "nothing"),
    "Look": ("unit", "about"),
    "Measure": (1, 2, 3, "title", "unit", "definition"),
    "Page": (0, "title", "empty"),
    "PageRule": (1, "title", "group"),
    "Part": (1, 2, "title", "definition", "none"),
    "Select": (1, 2, "label", "values"),
    "Table": (1, "title"),
    "card": (1, 3, "title", "definition"),
    "in_currency": (0,),
    "priced": (0,),
    "figure": (1, 4, "title", "definition"),
    "table": (1,),
    "table_of": (1,),
}
FOLDERS = ("bi_app", "deployments", "warehouse")
METHODS = [
    ("bi_app/api/rest/**", "ignore"),  # the API speaks English
    ("bi_app/api/figures.py", "ignore"),
    ("bi_app/**.py", "bi_app.words.extract:python"),
    ("deployments/letters.py", "bi_app.words.extract:python"),
    ("deployments/report_mail.py", "bi_app.words.extract:python"),
    ("warehouse/scoring.py", "bi_app.words.extract:constants"),
    ("bi_app/assets/**.html", "jinja2.ext:babel_extract"),
    ("bi_app/assets/**.js", "javascript"),
]
WIDTH = 100


def python(
    file: IO[bytes], keywords: Any, comment_tags: Any, options: Any
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """The messages of a Python file, as Babel asks for them."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call):
            yield from _of_call(node)


def constants(
    file: IO[bytes], keywords: Any, comment_tags: Any, options: Any
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """The texts at the top level of a file that cannot mark them: it is below us in the house."""
    for node in ast.parse(file.read()).body:
        if isinstance(node, ast.Assign):
            yield from ((node.lineno, "_", text, []) for text in _texts(node.value))


def _of_call(node: ast.Call) -> Iterator[tuple[int, str, Any, list[str]]]:
    called = node.func
    name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    if name in ("_", "N_") and node.args:
        yield from ((node.lineno, "_", text, []) for text in _texts(node.args[0]))
    elif name == "ngettext":
        forms = [text for arg in node.args[:2] for text in _texts(arg)]
        yield node.lineno, "ngettext", tuple(forms), []
    elif name in SHOWN:
        named = {k.arg: k.value for k in node.keywords}
        for place in SHOWN[name]:
            if isinstance(place, str):
                found = named.get(place)
            else:
                found = node.args[place] if place < len(node.args) else None
            yield from ((node.lineno, "_", text, []) for text in _texts(found))


def _texts(node: ast.expr | None) -> list[str]:
    """A text, or those of a tuple that are shown: of pairs of key and text the text alone."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value] if any(c.isalpha() for c in node.value) else []
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if not isinstance(node, ast.Tuple):
        return []
    pairs = [e for e in node.elts if isinstance(e, ast.Tuple)]
    return [t for e in pairs for t in _texts(e.elts[-1])] or [
        t for e in node.elts for t in _texts(e)
    ]


def extracted() -> Catalog:
    """Every message of the source, each with the files that it stands in."""
    found = Catalog(project="Carrel", charset="utf-8")
    for folder in FOLDERS:
        for path, _line, message, _comments, _context in extract_from_dir(
            str(HOUSE), METHODS, keywords=KEYWORDS, directory_filter=_is_ours(folder)
        ):
            if path.startswith(folder):
                found.add(message, locations=[(path, None)])  # type: ignore[list-item]
    return found


def _is_ours(folder: str) -> Any:
    """Whether a folder is to be looked through."""

    def wanted(path: str) -> bool:
        parts = Path(path).relative_to(HOUSE).parts
        return bool(parts) and parts[0] == folder and not parts[-1].startswith((".", "__"))

    return wanted


def update(path: Path) -> tuple[int, int]:
    """Bring one catalogue up to date; how many messages it has, and how many lack a translation."""
    language = path.parent.parent.name
    known = Catalog(locale=language, project="Carrel", charset="utf-8", fuzzy=False)
    if path.exists():
        with path.open("rb") as file:
            known = read_po(file, locale=language)
    known.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    known.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, known, width=WIDTH, include_lineno=False, sort_by_file=True,
                 ignore_obsolete=True, omit_header=False)  # fmt: skip
    lacking = [m for m in known if m.id and not all(_strings(m))]
    return len(known), len(lacking)


def _strings(message: Any) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (message.string,)


def main(languages: list[str]) -> int:
    """Update every catalogue, and begin those of the languages that are named."""
    paths = {path.parent.parent.name: path for path in HERE.glob("*/LC_MESSAGES/carrel.po")}
    for language in languages:
        paths[language] = HERE / language / "LC_MESSAGES" / "carrel.po"
        paths[language].parent.mkdir(parents=True, exist_ok=True)
    for language, path in sorted(paths.items()):
        count, lacking = update(path)
        sys.stdout.write(f"{language}: {count:,} messages, {lacking:,} without a translation\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
