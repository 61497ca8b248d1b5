"""Kinds of source that a dataset spec may name. Each has a reader in `tasks/sources/<kind>.py`.

Another package adds a kind by an entry point in the group `carrel.sources`, named like the kind,
that leads to a module with a model `Source` (a subclass of `Source` here) and a function `read`.
The module is loaded before there are specs: at its top it imports nothing of Carrel but this.
"""

from __future__ import annotations

from functools import reduce
from importlib.metadata import entry_points
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

FAULT = "_fault"  # column of what a reader found: why a record cannot be read
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
Secret = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]

Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$")]

MARC_PLACE = r"(LDR|[0-9A-Zx]{3})(?:\$([0-9a-z]+))?(?:\[(\d{1,4}):(\d{1,4})\])?"
MarcPlaces = Annotated[str, StringConstraints(pattern=rf"^{MARC_PLACE}(\s*,\s*{MARC_PLACE})*$")]


class Strict(BaseModel):
    """A model that names a misspelt key instead of ignoring it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Unpivot(Strict):
    """Turn wide columns (one a month, say) into rows."""

    columns: str = Field(description="Regular expression that a wide column's header matches")
    name: Name = Field(description="Source name given to the column that holds the header")
    value: Name = Field(description="Source name given to the column that holds the cell")
    skip_blank: bool = Field(True, description="Count blank cells as ignored, not as bad rows")


class Source(Strict):
    """Where rows come from."""

    kind: str
    unpivot: Unpivot | None = None


class FileSource(Source):
    """Files."""

    path: str = Field(description="File or glob, below the landing folder unless absolute")


class CsvSource(FileSource):
    """Text files of delimited fields."""

    kind: Literal["csv"] = "csv"
    delimiter: str | None = Field(None, description="One character; found by looking when absent")
    quote: str | None = Field('"', description="Quote character; null when the file has none")
    encoding: str | None = Field(None, description="utf-8, utf-16, cp1252, …; found when absent")
    header: bool = Field(True, description="False: columns are named c1, c2, … in `from`")
    preamble: int = Field(0, ge=0, description="Lines before the header that are no data")
    footer: str | None = Field(
        None, description="Regular expression; the first line that matches it ends the data"
    )
    comment: str | None = Field(None, description="A line that starts with this is no data")


class ExcelSource(FileSource):
    """Workbooks: .xlsx, .xlsm, .xlsb, .xls, .ods."""

    kind: Literal["excel"]
    sheet: str | None = Field(
        None,
        description="Regular expression of whole sheet names; several are joined, with `_sheet`"
        " naming each; default: the first with the required columns, else the first with rows",
    )
    header_row: int | None = Field(
        None, ge=1, description="Row of the (last) header line; found by looking when absent"
    )
    header_rows: int = Field(1, ge=1, le=5, description="Lines that make up the header")
    header: bool | None = Field(
        None, description="False: there is none, and columns are named c1, c2, … in `from`"
    )
    footer: str | None = Field(
        None,
        description="Regular expression; the first row whose first filled cell matches ends the"
        " data",
    )


class JsonSource(FileSource):
    """JSON documents, arrays or lines; nested objects become columns `a.b`."""

    kind: Literal["json"]
    records: str | None = Field(
        None, description="Path of the list of records, as in `result.items`; default: the document"
    )
    explode: str | None = Field(
        None, description="Path of a list within a record that makes a row of each entry"
    )


class ParquetSource(FileSource):
    """Parquet files."""

    kind: Literal["parquet"]


class MarcSource(FileSource):
    """MARC records: ISO 2709 in MARC-8 or UTF-8, or MARCXML. A bad record goes to quarantine."""

    kind: Literal["marc"]
    fields: dict[Name, MarcPlaces] = Field(
        min_length=1,
        description="Column of the extract: where it stands, as in `245$ab`, `001`, `008[35:38]`,"
        " `LDR[6:8]`, `6xx$a`, `100$a, 110$a`; what is found several times is joined by ` | `",
    )
    encoding: str | None = Field(
        None, description="cp1251, …; default: MARC-8 or UTF-8, as each record's leader says"
    )


class DatabaseSource(Source):
    """A query on another database: PostgreSQL, MySQL, MariaDB, SQLite."""

    kind: Literal["database"]
    url: Secret = Field(description="Name of the secret (or CARREL_SECRET_<NAME>) with the URL")
    query: str = Field(
        description="One select statement; `:cursor` is the last value seen, null while there is"
        " none: `where :cursor is null or changed_at >= :cursor`"
    )
    params: dict[str, str | int | float] = Field({}, description="Values bound to the query")
    cursor: Name | None = Field(None, description="Silver column whose greatest value is bound")
    overlap: str = Field("0 days", description="How far before the cursor to read again")


class HttpSource(Source):
    """A REST API that answers JSON or CSV, a page at a time."""

    kind: Literal["http"]
    url: str
    params: dict[str, str | int] = {}
    records: str | None = Field(None, description="Path of the list of records in an answer")
    paging: Literal["none", "page", "offset", "cursor", "link"] = "none"
    page_param: str = Field("page", description="Parameter of the page, offset or cursor")
    size_param: str | None = Field(None, description="Parameter of the page size")
    page_size: int = Field(100, ge=1)
    first_page: int = 1
    next: str | None = Field(None, description="Path of the next cursor in an answer")
    headers: dict[Header, Line] = Field({}, description="Sent with each request; no secrets")
    auth: Literal["none", "bearer", "basic", "key", "oauth", "login"] = "none"
    secret: Secret | None = Field(None, description="Name of the secret that `auth` needs")
    key_header: str = Field(
        "X-Api-Key", description="Header that the secret (key) or the token (login) is sent in"
    )
    token_url: str | None = Field(None, description="Where oauth and login get a token")
    token: str = Field(
        "token", description="Of login: the cookie, header or field of the answer with the token"
    )
    max_pages: int = Field(10_000, ge=1)
    timeout_s: float = Field(30, gt=0)


class OaiSource(Source):
    """An OAI-PMH repository."""

    kind: Literal["oai_pmh"]
    url: str
    prefix: str = "oai_dc"
    set: str | None = None
    cursor: Name | None = Field(None, description="Silver column whose greatest value is `from`")
    fields: dict[Name, MarcPlaces] = Field(
        {}, description="As for marc, where the records are MARCXML (prefix marc21, marcxml, …)"
    )

    @model_validator(mode="after")
    def _are_free(self) -> OaiSource:
        if taken := self.fields.keys() & {"identifier", "datestamp"}:
            raise ValueError(f"fields: {min(taken)} is a column of every record's header already")
        return self


READ = (ExcelSource, JsonSource, ParquetSource, MarcSource, DatabaseSource, HttpSource, OaiSource)


class Input(Strict):
    """One of the sources that are joined."""

    source: Annotated[reduce(or_, READ), Field(discriminator="kind")]  # type: ignore[valid-type]
    columns: tuple[str, ...] = Field(
        min_length=1,
        description="Headers that the query uses: null where the source lacks one; others are not"
        " kept",
    )
    optional: bool = Field(False, description="No rows where there is no such file or page (404)")


class JoinedSource(Source):
    """Several sources, joined by a query in DuckDB SQL; every column of an input is text."""

    kind: Literal["joined"]
    inputs: dict[Name, Input] = Field(min_length=1, description="Tables that the query reads")
    query: str = Field(description="One select statement; `$name` is a parameter")
    params: dict[str, str | int | float] = Field({}, description="Values bound to the query")


BUILT_IN: tuple[type[Source], ...] = (CsvSource, *READ, JoinedSource)
GROUP = "carrel.sources"


def _csv_unless_said(data: Any) -> Any:
    return {"kind": "csv"} | data if isinstance(data, dict) else data


def _added() -> tuple[type[Source], ...]:
    return tuple(point.load().Source for point in entry_points(group=GROUP))


if TYPE_CHECKING:
    AnySource = Source
else:
    AnySource = Annotated[
        reduce(or_, (*BUILT_IN, *_added())),
        Field(discriminator="kind"),
        BeforeValidator(_csv_unless_said),
    ]
