"""Stream specs: what a stream of events is, written once in YAML and validated here.

`streams()` discovers every `<domain>/<name>.yml` below `warehouse/streams` and below the project
folder's `streams`. What an event must look like is a JSON schema (draft 2020-12) of flat objects.
It may grow, but never so that an event of yesterday is no event today: `incompatible` says why not,
and `register`, which `carrel migrate` calls, refuses it.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, ValidationError, field_validator, model_validator

from warehouse import stream_tables, zones
from warehouse.errors import ConfigurationError, SpecError
from warehouse.policies import access_sql
from warehouse.settings import settings
from warehouse.shop import Analysis
from warehouse.sources import Name, Strict
from warehouse.spec import Access, Dataset, Span, datasets
from warehouse.written import parsed

SHIPPED = Path(__file__).parent / "streams"
LONGEST_TABLE = 48  # what is put behind it must fit in PostgreSQL's 63, too
Kind = Literal["string", "integer", "number", "boolean"]
WIDER = {("integer", "number")}
# Columns that bronze, the late events and expressions have of ours.
OF_EVENTS = {
    "arrived_on", "topic", "partition", "offset", "logged_at", "ingested_at", "late", "rest",
    "late_by", "arrived_at", "folded_at", "local", "day",
}  # fmt: skip
OF_SUMS = {"dimension", "day", "value", "person", "restated_at", "members", "n"}
MOST: dict[Kind, int] = {"integer": 2**63 - 1, "number": 10**14 - 1}  # bigint, decimal(18,4)


class Property(Strict):
    """One field of an event: the part of JSON schema that is checked column by column."""

    type: Kind | tuple[Kind, Literal["null"]]
    description: str
    format: Literal["date-time"] | None = None
    minLength: int | None = None  # noqa: N815 - JSON schema's words
    maxLength: int | None = None  # noqa: N815
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    enum: tuple[str | None, ...] | None = None
    pseudonym: Name | None = Field(
        None, description="It names a person: kept as a pseudonym, in this column"
    )

    @property
    def kind(self) -> Kind:
        """The type of what is not null."""
        return self.type if isinstance(self.type, str) else self.type[0]

    @property
    def nullable(self) -> bool:
        """Whether null may stand for it."""
        return not isinstance(self.type, str)

    @model_validator(mode="after")
    def _bounded(self) -> Property:
        if self.kind in ("integer", "number") and None in (self.minimum, self.maximum):
            raise ValueError("a number needs minimum and maximum: the database has bounds too")
        most = MOST.get(self.kind, 0)
        if any(abs(bound) > most for bound in (self.minimum, self.maximum) if bound is not None):
            raise ValueError(f"minimum and maximum of such a number lie within ±{most:,}")
        if self.kind == "string" and not (self.maxLength or self.format or self.enum):
            raise ValueError("a text needs maxLength, format or enum")
        return self


class EventSchema(Strict):
    """What an event must look like. Fields that are not named are kept, and not looked at."""

    required: tuple[Name, ...]
    properties: dict[Name, Property]

    @property
    def json_schema(self) -> dict[str, Any]:
        """As JSON schema."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            **self.model_dump(mode="json", exclude_none=True),
        }


class Dimension(Strict):
    """A way to group the figures."""

    name: Name
    by: str = Field(description="DuckDB expression over an event's columns")
    meaning: str
    person: bool = Field(False, description="Its values are pseudonyms: no viewer reads them")


class Measure(Strict):
    """A sum."""

    name: Name
    sum: str = Field(description="DuckDB expression over an event's columns")
    meaning: str


class Lookup(Strict):
    """Columns of a dataset that an event gets when it is read, as text."""

    dataset: Name = Field(description="<domain>_<name>")
    by: Name = Field(description="The event's column that holds the dataset's key")
    key: Name = Field(description="That key")
    where: dict[Name, str] = Field({}, description="Further columns of the key, and their values")
    columns: dict[Name, Name] = Field(description="What they are called here, and there")


class StreamRetention(Strict):
    """How long what is not a sum is kept, and why. `carrel stream retain` carries it out."""

    bronze: Span | None = Field(
        None, description="Age at which a day's events leave bronze; their sums stay"
    )
    quarantine: Span = Field("30 days", description="Age at which what is no event is dropped")
    log: Span = Field("7 days", description="Age at which read segments of the folder log go")
    personal: Span | None = Field(
        None, description="Age at which bronze and the sums forget whom an event is about"
    )
    months: bool = Field(True, description="Past months' days of bronze are put together")
    reason: str | None = None


class Stream(Strict):
    """One stream of events."""

    domain: Name
    name: Name
    path: Path
    title: str
    description: str = ""
    grain: str
    licence: str | None = None
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")
    partitions: int = Field(ge=1, le=1000)
    together: Name
    id: Name
    time: Name
    timezone: str
    lateness: int = Field(600, ge=0)
    clock_ahead: int = Field(300, ge=0)
    duplicates_within: int = Field(200_000, ge=0, le=5_000_000)
    access: Access
    retention: StreamRetention = StreamRetention()
    event: EventSchema
    lookups: tuple[Lookup, ...] = ()
    derived: dict[Name, str] = Field(default_factory=dict)
    measures: tuple[Measure, ...]
    dimensions: tuple[Dimension, ...]
    gold: Analysis | None = None

    @property
    def table(self) -> str:
        """The name that its tables begin with."""
        return f"{self.domain}_{self.name}"

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        return zones.known(name)

    @model_validator(mode="after")
    def _rows_are_of_nobody(self) -> Stream:
        if self.access.branch or self.access.member:
            raise ValueError("sums have no rows of a branch or a member: access is staff or public")
        return self

    @model_validator(mode="after")
    def _columns_have_names_of_their_own(self) -> Stream:
        if len(self.table) > LONGEST_TABLE:
            raise ValueError(f"{self.table} is longer than {LONGEST_TABLE} characters")
        pieces = ((n, f"{n}_text") if f.format else (f.pseudonym or n,)
                  for n, f in self.event.properties.items())  # fmt: skip
        known = [*chain.from_iterable(pieces)]
        for one in self.lookups:
            if one.by not in known:
                raise ValueError(f"lookups: {one.by} is no column of the event")
            if self.columns[one.by] not in {"varchar", "bigint"}:
                raise ValueError(f"lookups: {one.by} is neither text nor a whole number")
            known += one.columns
        names = [*known, *self.derived]
        if taken := sorted(OF_EVENTS & set(names)):
            raise ValueError(f"no property may be called {', '.join(taken)}: we call a column so")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two columns of one name: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _names_fields(self) -> Stream:
        fields = self.event.properties
        for name in (self.together, self.id, self.time, *self.event.required):
            if name not in fields:
                raise ValueError(f"{name} is no property of the event")
        for name in (self.together, self.id, self.time):
            if name not in self.event.required:
                raise ValueError(f"{name} must be required")
            if fields[name].nullable:
                raise ValueError(f"{name} may not be null")
        if fields[self.time].format != "date-time":
            raise ValueError(f"{self.time} must have the format date-time")
        for kind in ("dimensions", "measures"):
            names = [one.name for one in getattr(self, kind)]
            if len(names) != len(set(names)):
                raise ValueError(f"two {kind} of one name")
        if taken := sorted(OF_SUMS & {m.name for m in self.measures}):
            raise ValueError(f"no measure may be called {taken[0]}: the sums have that already")
        return self

    @cached_property
    def columns(self) -> dict[str, str]:
        """Columns that an event's fields become, and the DuckDB type of each."""
        kinds = {
            "string": "varchar",
            "integer": "bigint",
            "number": "decimal(18,4)",
            "boolean": "boolean",
        }
        found: dict[str, str] = {}
        for name, field in self.event.properties.items():
            if field.format:
                found |= {name: "timestamptz", f"{name}_text": "varchar"}
            else:
                found[field.pseudonym or name] = kinds[field.kind]
        return found | {name: "varchar" for one in self.lookups for name in one.columns}

    @property
    def person_columns(self) -> list[str]:
        """Columns of bronze that hold pseudonyms of people."""
        return [p.pseudonym for p in self.event.properties.values() if p.pseudonym]

    @property
    def meanings(self) -> dict[str, str]:
        """What the columns of silver mean."""
        events = {name: field.description for name, field in self.event.properties.items()}
        return (
            events
            | {m.name: m.meaning for m in self.measures}
            | {
                "dimension": "; ".join(f"{d.name}: {d.meaning}" for d in self.dimensions),
                "day": f"Day of the event, in {self.timezone}",
                "value": "Value of the dimension",
                "restated_at": "When late events were folded in; null: none were",
                "partition": "Partition of the log",
                "offset": "Number of the record in its partition",
                "arrived_on": "Day of arrival (UTC)",
                "arrived_at": "When it was committed",
                "late_by": "How far it was behind the newest event of its partition",
                "folded_at": "When it was folded in after all; null: it was not",
                "events": "How many: duplicates, dropped because their id had counted",
            }
        )

    @property
    def sums(self) -> tuple[str, str]:
        """Silver's tables of sums, a column a measure: of all, of people."""
        return f"{self.table}_by", f"{self.table}_by_person"

    @property
    def tables(self) -> dict[str, list[str]]:
        """Silver's tables that viewers may ask, and the columns of each that nobody may."""
        return {
            self.sums[0]: [],
            self.sums[1]: ["value"],
            f"{self.table}_late": [],
            f"{self.table}_duplicates": [],
        }


def streams() -> dict[str, Stream]:
    """Every stream by its table's name.

    Raises:
        SpecError: a spec is wrong; the message names the key.
    """
    folders = (SHIPPED, settings().project / "streams")
    found = [read(path) for folder in folders for path in sorted(folder.glob("*/*.yml"))]
    return {stream.table: stream for stream in found}


def stream(name: str) -> Stream:
    """The stream whose tables begin with the name.

    Raises:
        ConfigurationError: there is none.
    """
    known = streams()
    if name not in known:
        raise ConfigurationError(
            f"There is no stream {name!r}.", remedy=f"Known: {', '.join(known) or 'none'}."
        )
    return known[name]


def read(path: Path) -> Stream:
    """One spec.

    Raises:
        SpecError: it is wrong.
    """
    given = parsed(path.read_text("utf-8"), path)
    if not isinstance(given, dict):
        raise SpecError(path, "is no mapping.")
    place = {"domain": path.parent.name, "name": path.stem, "path": path}
    try:
        return Stream(**{**given, **place})
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SpecError(path, "; ".join(faults)) from error


# Registration ------------------------------------------------------------------------------------


def incompatible(old: EventSchema, new: EventSchema) -> list[str]:
    """Why events of the old schema could be refused, or read otherwise, by the new one."""
    faults = [f"{name} is required now" for name in new.required if name not in old.required]
    for name, was in old.properties.items():
        now = new.properties.get(name)
        if now is None:
            faults.append(f"{name} is gone")
        else:
            faults += [f"{name}: {fault}" for fault in _narrower(was, now)]
    return faults


def _narrower(was: Property, now: Property) -> list[str]:
    faults = []
    if was.kind != now.kind and (was.kind, now.kind) not in WIDER:
        faults.append(f"was {was.kind}, is {now.kind}")
    if was.nullable and not now.nullable:
        faults.append("may not be null any more")
    for word, less in (("minLength", False), ("minimum", False), ("maxLength", True),
                       ("maximum", True)):  # fmt: skip
        before, after = getattr(was, word), getattr(now, word)
        if after is not None and (before is None or (after < before if less else after > before)):
            faults.append(f"{word} was {before}, is {after}")
    for word in ("pattern", "format"):
        if getattr(now, word) not in (None, getattr(was, word)):
            faults.append(f"{word} was {getattr(was, word)}, is {getattr(now, word)}")
    if now.enum is not None and (was.enum is None or set(was.enum) - set(now.enum)):
        faults.append("fewer values are allowed")
    if was.pseudonym != now.pseudonym:
        faults.append("stands for a person otherwise than before")
    return faults


def register(connection: psycopg.Connection[Any], one: Stream) -> int:
    """Note the schema of a stream's events; its version, from 1.

    Raises:
        SpecError: events of the version before would be refused, or read otherwise.
    """
    row = connection.execute(
        "select version, schema from ops.stream_schemas where stream = %s"
        " order by version desc limit 1",
        [one.table],
    ).fetchone()
    version, known = row or (0, None)
    if known is not None:
        if known == one.event.json_schema:
            return int(version)
        old = EventSchema(required=known["required"], properties=known["properties"])
        if faults := incompatible(old, one.event):
            raise SpecError(
                one.path,
                f"the schema of events is not compatible with version {version}:"
                f" {'; '.join(faults)}.",
                remedy="Events of that version may still be in the log. Add an optional property,"
                " widen one, or make a stream of another name.",
            )
    connection.execute(
        "insert into ops.stream_schemas (stream, version, schema) values (%s, %s, %s)",
        [one.table, version + 1, Jsonb(one.event.json_schema)],
    )
    return int(version) + 1


# In the order in which consumers move partitions, so that none waits for another.
SEND_BACK = """
with locked as (
    select stream, topic, partition from ops.stream_partitions where stream = %s
    order by topic, partition for update
)
update ops.stream_partitions p set epoch = p.epoch + 1, consumer = null, held_until = null
from locked l where (p.stream, p.topic, p.partition) = (l.stream, l.topic, l.partition)
"""


def send_back(connection: psycopg.Connection[Any], one: Stream) -> None:
    """Have consumers wait until the transaction ends, and begin anew from the database then.

    What they had under way is refused. They go by the spec as it is written by then, and learn
    the ids that came in other ways.
    """
    connection.execute(SEND_BACK, [one.table])


def derive(connection: psycopg.Connection[Any]) -> None:
    """Register the schemas, and give the streams their tables, with columns, policies and grants.

    Raises:
        SpecError: a schema or an expression does not fit.
    """
    known = datasets()
    for one in streams().values():
        send_back(connection, one)
        register(connection, one)
        for lookup in one.lookups:
            _check_lookup(one, lookup, known.get(lookup.dataset))
        stream_tables.grow(connection, one)
        for table, private in one.tables.items():
            columns = list(stored(connection, table))
            connection.execute(access_sql("silver", table, one.access, columns, private).encode())


def _check_lookup(one: Stream, lookup: Lookup, dataset: Dataset | None) -> None:
    """Refuse what cannot be looked up, or what not all who see the sums may see.

    Raises:
        SpecError: naming it.
    """
    there = {c.name: c for c in dataset.stored} if dataset else {}
    key = {lookup.key, *lookup.where}
    lost = sorted({*key, *lookup.columns.values()} - there.keys())
    private = [n for n in lookup.columns.values() if getattr(there.get(n), "privacy", None)]
    fault = None
    if dataset is None:
        fault = "is no dataset"
    elif lost:
        fault = f"has no column {', '.join(lost)}"
    elif set(dataset.key_columns) != key:
        fault = f"has the key {', '.join(dataset.key_columns)}, not {', '.join(sorted(key))}"
    elif private:
        fault = f"says of a person: {', '.join(private)}"
    elif not (dataset.access.public or (dataset.access.staff and not one.access.public)):
        fault = "is not seen by all who see the stream's sums"
    if fault:
        raise SpecError(one.path, f"lookups: {lookup.dataset} {fault}.")


def stored(connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """The columns that a table of silver has, and the PostgreSQL type of each."""
    found = stream_tables.columns(connection, f"silver.{table}")
    return {name: kind for name, (kind, _) in found.items()}
