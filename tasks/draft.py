"""Draft a dataset from any file that holds a table: spec, contract and migration, to be read.

The draft is careful: nobody but an admin sees the rows, columns that seem to tell who a person is
are dropped or made pseudonyms, and no personal cell is copied into the example.
"""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from quality.contract import read_contract
from tasks.names import snake
from tasks.profile import ColumnProfile, Profile, profile
from warehouse import ddl
from warehouse.errors import ConfigurationError, SourceUnavailable
from warehouse.settings import settings
from warehouse.sources import Name
from warehouse.spec import Dataset, datasets, read_spec

LONGEST_TABLE = 48  # PostgreSQL cuts names at 63; partitions and staging add a suffix
SHORT_SET = 50
NO_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})  # in YAML


@dataclass(frozen=True)
class Drafted:
    """What `draft` wrote: three files below the project folder, and what a person should check."""

    dataset: Dataset
    spec: Path
    contract: Path
    migration: Path
    notes: tuple[str, ...]


def draft(
    file: Path, *, domain: str = "local", name: str | None = None, pattern: Path | None = None
) -> Drafted:
    """Look at the whole of a file and write a dataset for it into the project folder.

    Args:
        file: delimited text, compressed or not; or a kind in `tasks.kinds.KINDS`.
        domain: first part of the table's name.
        name: second part; made from the file's name when absent.
        pattern: glob of all files of the dataset, of which this is one; default: this one.

    Raises:
        SourceUnavailable: the file is not there, cannot be read, or holds no table.
        ConfigurationError: a dataset of that name is already there; it is left as it is.
    """
    file = file.expanduser().resolve()
    if not file.is_file():
        raise SourceUnavailable(f"{file} is no file.", remedy="Name one file.")
    domain, name = _named(file, domain, name)
    found = _careful(profile(file))
    return _write(domain, name, found, pattern)


def _named(file: Path, domain: str, name: str | None) -> tuple[str, str]:
    """The domain and the name, valid and free."""
    stem = file.name.removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")
    room = LONGEST_TABLE - len(domain) - 1
    name = name or snake(Path(stem).stem, "file")[:room].rstrip("_")
    for part in (domain, name):
        try:
            TypeAdapter(Name).validate_python(part)
        except ValidationError:
            raise ConfigurationError(
                f"{part!r} is no name.", remedy="Use small letters, digits and underscores."
            ) from None
    if len(name) > room:
        raise ConfigurationError(
            f"{domain}_{name} is too long.", remedy=f"{LONGEST_TABLE} letters are possible."
        )
    if taken := datasets().get(f"{domain}_{name}"):
        raise ConfigurationError(
            f"{domain}_{name} is already there: {taken.path}.", remedy="Give another --name."
        )
    return domain, name


def _careful(found: Profile) -> Profile:
    """The profile with what the draft does about personal columns."""
    columns = [_guarded(c, c.name in found.key) for c in found.columns]
    if all(c.privacy and c.privacy.privacy == "drop" for c in columns):
        columns[0] = _guarded(columns[0], True)
    return replace(found, columns=tuple(columns))


def _guarded(column: ColumnProfile, in_key: bool) -> ColumnProfile:
    """A personal column as text, so that no rule reads it; a pseudonym where it is a key."""
    if column.privacy is None:
        return column
    privacy = replace(column.privacy, privacy="pseudonym") if in_key else column.privacy
    kind = column.kind if privacy.privacy == "personal" else column.kind.as_text()
    return replace(column, privacy=privacy, kind=kind, few_values=())


def _write(domain: str, name: str, found: Profile, pattern: Path | None) -> Drafted:
    """Write the three files, each checked before any is put in its place."""
    project = settings().project
    project.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=project, prefix=".draft-") as folder:
        root = Path(folder)
        spec = _put(
            root / "datasets" / domain / f"{name}.yml", "".join(_spec(name, found, pattern))
        )
        dataset = read_spec(spec)
        text = "".join(_contract(dataset, found))
        contract = _put(root / "contracts" / domain / f"{name}.yml", text)
        read_contract(contract, dataset.table)
        migration = root / "migrations" / domain / f"{name}.sql"
        _put(migration, ddl.migration(dataset))
        places = [_settle(p, root, project) for p in (migration, contract, spec)]
    notes = (*found.notes, *_said(found, pattern))
    return Drafted(read_spec(places[2]), places[2], places[1], places[0], notes)


def _put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def _settle(path: Path, root: Path, project: Path) -> Path:
    """Move a file from the draft's folder into the project; never over another file."""
    target = project / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except FileExistsError:
        raise ConfigurationError(
            f"{target} is already there.", remedy="Move it away, or give another --name."
        ) from None
    return target


def _said(found: Profile, pattern: Path | None = None) -> Iterator[str]:
    """What a person should look at, in a sentence each."""
    if found.ragged:
        records = "record does" if found.ragged == 1 else "records do"
        yield f"{found.ragged} {records} not have {len(found.columns)} cells: quarantined."
    if found.broken:
        records = "record holds" if found.broken == 1 else "records hold"
        yield f"{found.broken} {records} bytes that are no text: quarantined. Is `encoding:` right?"
    if not found.records:
        yield "No row was found to tell types and keys by: look at the columns."
    if found.source.footer:
        yield f"Lines from {found.source.footer!r} on are taken for a footer and ignored."
    if pattern:
        yield f"Only {found.arrival.path.name} of {pattern.name} was looked at for types and key."
    if not found.key and not pattern:
        yield "No key was found: equal lines are all kept, and a new file replaces the old rows."
    for column in found.columns:
        if column.privacy:
            yield f"{column.name}: {column.privacy.note}"
        elif column.kind.ambiguous:
            yield f"{column.name}: {column.kind.notes[0]}"


# The spec's text --------------------------------------------------------------------------------


def _plain(name: str) -> str:
    """A name as YAML; those that some readers take for true, false or nothing in quotes."""
    return f'"{name}"' if name in NO_TEXT else name


def _quoted(text: str) -> str:
    """A text as YAML, on one line."""
    line: str = yaml.dump(text, default_style='"', allow_unicode=True, width=1 << 20)
    return line.strip()


def _comment(text: str, indent: str = "") -> str:
    """Comment lines of at most 98 characters."""
    lines, line = [], ""
    for word in "".join(c if c.isprintable() else "?" for c in text).split():
        if line and len(indent) + len(line) + len(word) > 95:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "".join(f"{indent}# {one}\n" for one in [*lines, line])


def _spec(name: str, found: Profile, pattern: Path | None) -> Iterator[str]:
    file = found.arrival.path
    yield _comment(f"Drafted from {file.name} by `carrel add`. Read it and change what is wrong,"
                   " then `carrel migrate`.")  # fmt: skip
    for note in (*found.notes, *(n for n in _said(found, pattern) if ": Guess" not in n)):
        yield _comment(f"- {note}")
    yield f"title: {_quoted(_title(file, name))}\n"
    yield f"description: {_quoted(f'Drafted from {file.name}; {found.records} records.')}\n"
    yield "grain: one row a record of the file\n"
    yield from _source(found, pattern)
    yield f"key: [{', '.join(map(_plain, found.key))}]\n" if found.key else "key: content\n"
    yield from _mode(found, pattern)
    yield "# Nobody but an admin sees the rows until you decide. Instead of {}, for example:\n"
    yield "#   {staff: true} every librarian; {public: true} everyone who is signed in;\n"
    yield "#   {branch: COLUMN, member: COLUMN} a branch its own, members their own rows.\n"
    yield "access: {}\n"
    yield "columns:\n"
    for column in found.columns:
        yield from _column(column, found)
    yield from _example(found)


def _title(file: Path, name: str) -> str:
    """The file's name in plain words."""
    words = re.findall(r"[\w.-]+", file.name.split(".")[0].replace("_", " "))
    return " ".join(words).strip().capitalize() or name


def _mode(found: Profile, pattern: Path | None) -> Iterator[str]:
    if found.key or pattern:
        yield "# merge: rows of a new file are added or changed; snapshot: the others also go.\n"
        yield "mode: merge\n"
    else:
        yield "mode: snapshot\n"


def _source(found: Profile, pattern: Path | None) -> Iterator[str]:
    source = found.source
    yield "source:\n"
    if found.kind:
        yield f"  kind: {found.kind.kind}\n"
    yield f"  path: {_quoted(_path(found.arrival.path, pattern))}\n"
    if found.kind:
        for key, value in found.kind.model_dump(exclude={"kind", "path", "unpivot"}).items():
            if value != type(found.kind).model_fields[key].default:
                yield f"  {key}: {json.dumps(value, ensure_ascii=False)}\n"
    else:
        yield f"  delimiter: {_quoted(found.arrival.dialect.delimiter)}\n"
        yield f"  # encoding: {found.arrival.dialect.encoding}, found by looking\n"
    if not source.header:
        yield "  header: false\n"
    if source.preamble:
        yield f"  preamble: {source.preamble}\n"
    if source.comment:
        yield f"  comment: {_quoted(source.comment)}\n"
    if source.footer:
        yield f"  footer: {_quoted(source.footer)}\n"
    wide = [c.source for c in found.columns if re.fullmatch(r"\d{4}-\d{1,2}", c.source)]
    if len(wide) > 5:
        yield f"  # {len(wide)} columns are months. To turn them into rows, with columns month\n"
        yield "  # and value instead of them:\n"
        yield "  # unpivot: {columns: '\\d{4}-\\d{1,2}', name: month, value: value}\n"


def _path(file: Path, pattern: Path | None) -> str:
    """The file or glob as a source path: below the landing folder where it lies there."""
    folder = settings().landing_folder.resolve()
    near = file.relative_to(folder) if file.is_relative_to(folder) else file
    return str(
        Path(glob.escape(str(near.parent)), pattern.name if pattern else glob.escape(near.name))
    )


def _column(column: ColumnProfile, found: Profile) -> Iterator[str]:
    """A column, under comments that say what a person should look at."""
    if column.privacy:
        yield _comment(column.privacy.note, "  ")
    for note in column.kind.notes:
        yield _comment(note, "  ")
    fields = {k: v for k, v in _fields(column, found).items() if v}
    yield "".join(
        f"  {'-' if i == 0 else ' '} {key}: {value}\n"
        for i, (key, value) in enumerate(fields.items())
    )
    if column.few_values and column.kind.type == "text":
        yield f"    # allowed: {_listed(column.few_values)}\n"


def _fields(column: ColumnProfile, found: Profile) -> dict[str, str]:
    """The column's keys and values in YAML; an empty value is left out."""
    kind = column.kind
    return {
        "name": _plain(column.name),
        "type": kind.type,
        "from": _quoted(column.source) if column.source != column.name else "",
        "meaning": _quoted(_meaning(column)),
        "privacy": column.privacy.privacy if column.privacy else "",
        "nulls": _listed(("", *kind.nulls)) if kind.nulls else "",
        "formats": _listed(kind.formats) if kind.formats else "",
        "scale": str(kind.scale) if kind.scale not in (None, 4) else "",
        "pivot": str(kind.pivot) if kind.pivot is not None else "",
        "required": "true" if _required(column, found) else "",
    }


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _meaning(column: ColumnProfile) -> str:
    if not column.header:
        return f"Column {column.source} of the file"
    shown = "".join(c if c.isprintable() else "?" for c in column.header)
    return f"Column {shown} of the file"


def _required(column: ColumnProfile, found: Profile) -> bool:
    """Whether no cell is blank; a dropped column asks for nothing."""
    if column.privacy and column.privacy.privacy == "drop":
        return False
    return column.name in found.key or bool(
        found.records and column.kind.filled == column.kind.rows and not column.kind.nulls
    )


def _example(found: Profile) -> Iterator[str]:
    """One row by its headers, without anything that a person wrote or that is a person's."""
    yield "# Cells of persons and free text are made up: x for a letter, 0 for a digit.\n"
    yield "examples:\n  - {"
    cells = (f"{_quoted(c.source)}: {_shown(c)}" for c in found.columns)
    yield ",\n     ".join(cells)
    yield "}\n"


def _shown(column: ColumnProfile) -> str:
    if column.example is None:
        return "null"
    closed = column.kind.distinct <= SHORT_SET and column.kind.distinct * 5 <= column.kind.rows
    plain = column.kind.type != "text" or closed
    if plain and column.privacy is None:
        return _quoted(column.example[:60])
    return _quoted(re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "0", column.example))[:60])


# The contract's text ----------------------------------------------------------------------------


def _contract(dataset: Dataset, found: Profile) -> Iterator[str]:
    yield f"# What must hold of {dataset.table}. Drafted by `carrel add`: add what you know.\n"
    yield f"dataset: carrel/carrel/silver/{dataset.table}\n"
    yield "checks:\n  - schema: {name: columns as declared}\n"
    if found.records:
        yield "  - row_count: {name: holds rows, threshold: {must_be_greater_than: 0}}\n"
    key = ", ".join(map(_plain, dataset.key_columns))
    yield f"  - duplicate: {{name: key unique, columns: [{key}]}}\n"
    yield "columns:\n"
    required = {c.name for c in dataset.columns if c.required}
    for name, kind in ddl.silver_columns(dataset).items():
        yield f"  - name: {_plain(name)}\n    data_type: {kind.split(' without')[0]}\n"
        if name in required:
            yield f"    checks:\n      - missing: {{name: {name} given}}\n"
