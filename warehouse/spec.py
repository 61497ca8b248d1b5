"""Dataset specs: what a dataset is, written once in YAML and validated here.

`datasets()` discovers every `<domain>/<name>.yml` below `warehouse/datasets` and below the project
folder's `datasets`. DDL, cleaning SQL, merge, row policies and catalogue all derive from a spec.
A file `sources/<domain>/<name>.yml` of the project folder says that a dataset's rows come from
elsewhere here (`Elsewhere`); `carrel connect` writes such files.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from warehouse.errors import ConfigurationError, SpecError
from warehouse.sources import AnySource, CsvSource, Name, Strict
from warehouse.written import parsed

Line = Annotated[str, StringConstraints(pattern=r"^[^\r\n]+$")]  # stands in an SQL comment
ColumnType = Literal[
    "text", "integer", "bigint", "numeric", "double", "boolean", "date", "timestamp"
]
CleanStep = Literal[
    "trim", "squeeze", "upper", "lower", "title", "digits", "isbn13", "first_isbn", "year"
]
Span = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4} (day|week|month|year)s?$")]
Privacy = Literal["pseudonym", "drop", "personal"]


class Open(Strict):
    """Rows of one matter, which is open until one of them says that it is over."""

    by: tuple[Name, ...] = Field(
        min_length=1, description="Columns whose values the rows of one matter share"
    )
    until: dict[Name, tuple[str, ...]] = Field(
        min_length=1, description="Column and its values: a row with one of them ends the matter"
    )


class History(Open):
    """Matters that are over are shown to their member only if they began after the consent.

    Who agrees today does not see yesterday's; who never agreed sees open matters alone.
    """

    began: Name = Field(description="Column whose earliest value is when a matter began")
    consent: str = Field(
        pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$",
        description="Dataset and its column with the day of consent, as library_members.agreed_on;"
        " the dataset names the member in a column of the same name",
    )


class Access(Strict):
    """Which rows which role sees. Admins see all.

    A librarian sees the rows of the own branches (`branch`), or all with `staff` or `public`;
    a member sees the own rows (`member`), or all with `public`.
    """

    branch: Name | None = Field(None, description="Column that holds the branch code")
    member: Name | None = Field(None, description="Column that holds the member's pseudonym")
    staff: bool = Field(False, description="Every librarian sees every row")
    public: bool = Field(False, description="Every signed-in person sees every row")
    history: History | None = Field(
        None, description="Members see what is over only from the day they agreed to its keeping"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Access:
        if self.public and (self.branch or self.member or self.staff):
            raise ValueError("public rows are for everyone: leave out branch, member and staff")
        if self.history and not self.member:
            raise ValueError("history is of a member's own rows: say which column is the member's")
        return self


class Retention(Strict):
    """How long rows are kept, and why. `carrel retain` carries it out."""

    bronze: Span = Field("30 days", description="Age at which files' lines are dropped")
    versions: int | None = Field(
        None, ge=1, description="Contents of one path (snapshot: of all) kept; default: any number"
    )
    personal: Span | None = Field(None, description="Age at which a row forgets the person")
    personal_by: Name | None = Field(
        None, description="Date or timestamp column that gives a row's age; default: event"
    )
    personal_unless: Open | None = Field(
        None, description="Rows of an open matter keep the person, whatever their age"
    )
    reason: str | None = None

    @property
    def named(self) -> list[str]:
        """The columns that the rules name."""
        open_ = self.personal_unless
        return [c for c in [self.personal_by] if c] + ([*open_.by, *open_.until] if open_ else [])


class Column(Strict):
    """One column of silver."""

    name: Name
    type: ColumnType
    source: str | None = Field(None, alias="from", description="Header in the file; default: name")
    aliases: tuple[str, ...] = Field((), description="Other headers the column has had")
    meaning: str
    clean: tuple[CleanStep, ...] = ("trim",)
    nulls: tuple[str, ...] = Field(("",), description="Values that mean 'nothing', after cleaning")
    formats: tuple[str, ...] = Field((), description="strptime formats of a date or timestamp")
    pivot: int | None = Field(
        None, ge=0, le=99, description="Two-digit years above this are 19xx, others 20xx"
    )
    scale: int = Field(
        4, ge=0, le=20, description="Decimals a numeric keeps; a value with more is no such number"
    )
    required: bool = False
    optional: bool = Field(False, description="The file may lack the column; it is then null")
    allowed: tuple[str, ...] | None = Field(None, description="The only values accepted")
    min: float | None = None
    max: float | None = None
    privacy: Privacy | None = None
    default: str | None = Field(None, description="Value of a null, in SQL literal text")

    @model_validator(mode="after")
    def _dates_only(self) -> Column:
        if (self.formats or self.pivot is not None) and self.type not in ("date", "timestamp"):
            raise ValueError(f"column {self.name}: formats and pivot are for date and timestamp")
        if self.privacy == "pseudonym" and self.type != "text":
            raise ValueError(f"column {self.name}: a pseudonym is text")
        return self

    @property
    def header(self) -> str:
        """The column's name in the file."""
        return self.source or self.name


class Derived(Strict):
    """A silver column computed from the others, by an expression in DuckDB SQL."""

    name: Name
    type: ColumnType
    sql: str
    meaning: str


class Rule(Strict):
    """A row-level rule: the row goes to quarantine when the expression holds."""

    name: Name
    reject_if: str
    column: Name | None = Field(None, description="Column the finding is shown at")
    meaning: str | None = None


class Elsewhere(Strict):
    """Where a dataset's rows come from in this organisation, in place of what its spec says."""

    source: AnySource
    mode: Literal["merge", "snapshot"] | None = Field(None, description="Default: the spec's")
    needs: dict[str, tuple[str, ...]] = Field(
        {}, description="Tables and columns of the database that the query reads"
    )


class Reference(Strict):
    """Columns that name a row of another dataset. Asked after each load; it refuses no row."""

    columns: tuple[Name, ...] = Field(min_length=1)
    to: Name = Field(description="The other dataset, <domain>_<name>")
    key: tuple[Name, ...] = Field((), description="Its columns, in the same order; default: same")
    severity: Literal["info", "warning", "critical"] = Field(
        "warning", description="critical holds gold back; warning and info do not"
    )
    most: float = Field(0, ge=0, le=100, description="Percent of the rows that may lead nowhere")
    samples: int = Field(5, ge=0, le=50, description="Keys shown, unless a column is private")

    @model_validator(mode="after")
    def _as_many(self) -> Reference:
        if self.key and len(self.key) != len(self.columns):
            raise ValueError("key must have as many columns as columns")
        return self

    @property
    def target(self) -> tuple[str, ...]:
        """The key's columns in the other dataset."""
        return self.key or self.columns


class Dataset(Strict):
    """What a dataset is. `domain` and `name` come from the file's place."""

    domain: Name
    name: Name
    path: Path = Field(exclude=True)
    source_path: Path | None = Field(None, exclude=True)
    title: Line
    description: str = ""
    grain: Line
    group: Name = Field(description="Deployment that ingests it; default: the domain")
    source: AnySource
    key: tuple[Name, ...] | Literal["content"]
    mode: Literal["merge", "snapshot"] = "merge"
    duplicates: Literal["quarantine", "ignore"] = Field(
        "quarantine", description="What happens to a second row of the same key in one file"
    )
    after: tuple[Name, ...] = Field((), description="Datasets (<domain>_<name>) loaded before it")
    event: Name | None = Field(
        None, description="Date or timestamp column by which gold is refreshed a day at a time"
    )
    due: Span | None = Field(
        None, description="Longest time between two looks for files; default: learnt from the past"
    )
    licence: str | None = None
    access: Access
    retention: Retention = Retention()
    columns: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()
    rules: tuple[Rule, ...] = ()
    references: tuple[Reference, ...] = ()
    examples: tuple[dict[str, str | None], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _group_defaults_to_domain(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data.setdefault("group", data.get("domain"))
        return data

    @model_validator(mode="after")
    def _names_exist(self) -> Dataset:
        names = [c.name for c in self.columns] + [d.name for d in self.derived]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"column named twice: {', '.join(sorted(twice))}")
        kept = {c.name for c in self.stored}
        asked = {
            "key": () if self.key == "content" else self.key,
            "access": [c for c in (self.access.branch, self.access.member) if c],
            "event": [self.event] if self.event else [],
            "retention": self.retention.named,
            "rules": [r.column for r in self.rules if r.column],
            "references": [c for r in self.references for c in r.columns],
        }
        for where, wanted in asked.items():
            for column in wanted:
                if column not in kept:
                    raise ValueError(f"{where} names {column!r}, which is no column of silver")
        return self

    @model_validator(mode="after")
    def _short_enough(self) -> Dataset:
        if len(self.table) > 48:
            raise ValueError(f"{self.table} is longer than 48 characters, domain included")
        return self

    @property
    def table(self) -> str:
        """Name of its table in bronze, silver and quarantine: `<domain>_<name>`."""
        return f"{self.domain}_{self.name}"

    @property
    def text(self) -> CsvSource:
        """How the text is written that cleaning reads; other kinds are turned into plain CSV."""
        if isinstance(self.source, CsvSource):
            return self.source
        return CsvSource(path="", delimiter=",", encoding="utf-8", unpivot=self.source.unpivot)

    @property
    def sourced_at(self) -> Path:
        """The file that says where the rows come from."""
        return self.source_path or self.path

    @cached_property
    def stored(self) -> tuple[Column | Derived, ...]:
        """The columns of silver, in order: declared ones that are kept, then derived ones."""
        return tuple(c for c in self.columns if c.privacy != "drop") + self.derived

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The primary key of silver; `content_key` where the source has none."""
        return ("content_key",) if self.key == "content" else self.key


def read_spec(path: Path) -> Dataset:
    """Read and validate one spec.

    Raises:
        SpecError: naming the file and every key that is wrong.
    """
    data = _mapping(path)
    data |= {"domain": path.parent.name, "name": path.stem, "path": path}
    try:
        return Dataset.model_validate(data)
    except ValidationError as error:
        raise SpecError(path, _explain(error)) from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        data = parsed(path.read_text("utf-8"), path)
    except UnicodeDecodeError as error:
        raise SpecError(path, f"is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise SpecError(path, "holds no mapping")
    return data


def read_elsewhere(path: Path) -> Elsewhere:
    """Read and validate a file that says where a dataset's rows come from.

    Raises:
        SpecError: naming the file and every key that is wrong.
    """
    try:
        return Elsewhere.model_validate(_mapping(path))
    except ValidationError as error:
        raise SpecError(path, _explain(error)) from error


def _explain(error: ValidationError) -> str:
    """Say every fault as `key: what is wrong`."""
    faults = (f"{'.'.join(str(p) for p in e['loc']) or 'spec'}: {e['msg']}" for e in error.errors())
    return "; ".join(faults)


def discover(*folders: Path) -> dict[str, Dataset]:
    """Every dataset below the folders, by table name, in order of discovery.

    Raises:
        SpecError: a spec is wrong, or two specs claim one table.
    """
    found: dict[str, Dataset] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*.yml")):
            dataset = read_spec(path)
            if dataset.table in found:
                raise SpecError(path, f"{dataset.table} is also at {found[dataset.table].path}")
            found[dataset.table] = dataset
    return found


def datasets() -> dict[str, Dataset]:
    """The shipped datasets, then those of the project folder, with the sources it gives them.

    Raises:
        SpecError: a spec or a source is wrong, or a source is of no dataset.
    """
    from warehouse.settings import settings

    project = settings().project
    found = discover(Path(__file__).parent / "datasets", project / "datasets")
    for path in sorted((project / "sources").glob("*/*.yml")):
        table = f"{path.parent.name}_{path.stem}"
        if table not in found:
            raise SpecError(path, f"there is no dataset {table} that could have this source")
        found[table] = _moved(found[table], path)
    return found


def _moved(dataset: Dataset, path: Path) -> Dataset:
    """The dataset with the source and mode that a project's file gives it."""
    own = read_elsewhere(path)
    changes = {"source": own.source, "mode": own.mode or dataset.mode, "source_path": path}
    return dataset.model_copy(update=changes)


def dataset(name: str) -> Dataset:
    """The dataset called `<domain>_<name>` or, where it is unambiguous, `<name>`.

    Raises:
        ConfigurationError: no dataset, or more than one, has that name.
    """
    found = datasets()
    matches = [d for d in found.values() if name in (d.table, d.name)]
    if len(matches) == 1:
        return matches[0]
    problem = "is the name of several datasets" if matches else "is no dataset"
    raise ConfigurationError(f"{name!r} {problem}.", remedy=f"Known: {', '.join(found)}.")


def json_schema() -> dict[str, Any]:
    """The JSON schema of a spec, for editors; the file's place gives domain and name."""
    schema = Dataset.model_json_schema(by_alias=True)
    for hidden in ("domain", "name", "path", "source_path"):
        schema["properties"].pop(hidden, None)
        if hidden in schema["required"]:
            schema["required"].remove(hidden)
    schema["required"].remove("group")
    return schema
