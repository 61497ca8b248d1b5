"""PostgreSQL statements made from a dataset spec: tables, comments, access.

Names come from validated specs (`spec.Name`) and are quoted; texts are quoted as literals.
"""

from __future__ import annotations

from psycopg import sql

from warehouse.policies import access_sql
from warehouse.spec import Column, Dataset, Derived

PG_TYPES = {
    "text": "text",
    "integer": "integer",
    "bigint": "bigint",
    "numeric": "numeric",
    "double": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp without time zone",
}


OURS = {"_load_id": "bigint", "_hash": "bigint"}  # silver's last columns: for loading alone


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return sql.Literal(value).as_string(None)


def silver_columns(dataset: Dataset) -> dict[str, str]:
    """Names and PostgreSQL types of silver's columns, in order."""
    first = {"content_key": "text"} if dataset.key == "content" else {}
    stored = {c.name: PG_TYPES[c.type] for c in dataset.stored}
    return first | stored | OURS


def create_silver(dataset: Dataset, schema: str = "silver", table: str | None = None) -> str:
    """`create table` of silver, without its key: that is built after the rows are in."""
    needed = {*dataset.key_columns, "_load_id"}
    needed |= {c.name for c in dataset.columns if c.required and c.privacy != "drop"}
    columns = ",\n".join(
        f'    "{name}" {kind}{" not null" if name in needed else ""}'
        for name, kind in silver_columns(dataset).items()
    )
    return f'create table "{schema}"."{table or dataset.table}" (\n{columns}\n);'


def add_key(dataset: Dataset, schema: str = "silver", table: str | None = None) -> str:
    """Statements that add silver's primary key and the indexes for one day and for one member."""
    target = f'"{schema}"."{table or dataset.table}"'
    key = ", ".join(f'"{c}"' for c in dataset.key_columns)
    lines = [f"alter table {target} add primary key ({key});"]
    if dataset.event:
        lines.append(f'create index on {target} using brin ("{dataset.event}");')
    if dataset.access.member and dataset.access.member not in dataset.key_columns[:1]:
        lines.append(f'create index on {target} ("{dataset.access.member}");')
    return "\n".join(lines)


def create_bronze(dataset: Dataset) -> str:
    """Bronze: the file's lines as they arrived, in pages of some; a partition of pages a load.

    The view shows them a row a line.
    """
    return (
        f'create table bronze."{dataset.table}_pages" (\n'
        "    load_id bigint not null,\n    first_line bigint not null,\n"
        "    last_line bigint not null,\n    lines text not null\n"
        ") partition by list (load_id);\n"
        f'create view bronze."{dataset.table}" as\n'
        "select load_id, first_line + n - 1 as line_no, line\n"
        f'from bronze."{dataset.table}_pages",\n'
        "    string_to_table(lines, e'\\n') with ordinality as each (line, n)\n"
        "where first_line + n - 1 <= last_line;"
    )


def create_quarantine(dataset: Dataset) -> str:
    """Quarantine: a row a finding; a record counts once (distinct load_id, record_no)."""
    return (
        f'create table quarantine."{dataset.table}" (\n'
        "    load_id bigint not null,\n    file_id bigint not null,\n"
        "    record_no bigint not null,\n    line_no bigint not null,\n"
        "    rule text not null,\n    column_name text,\n    value text,\n"
        "    severity text not null default 'error'\n);\n"
        f'create index on quarantine."{dataset.table}" (load_id, record_no);'
    )


def comments(dataset: Dataset, schema: str = "silver") -> str:
    """Comments on silver: what a row is, and what each column means."""
    target = f'"{schema}"."{dataset.table}"'
    lines = [f"comment on table {target} is {literal(f'{dataset.title}: {dataset.grain}')};"]
    lines += [
        f'comment on column {target}."{c.name}" is {literal(c.meaning)};' for c in dataset.stored
    ]
    return "\n".join(lines)


def access(dataset: Dataset, schema: str = "silver", table: str | None = None) -> str:
    """Row policies and column grants of silver."""
    private = [c.name for c in dataset.stored if is_private(c)]
    columns = [c for c in silver_columns(dataset) if c not in OURS]
    return access_sql(schema, table or dataset.table, dataset.access, columns, private)


def is_private(column: Column | Derived) -> bool:
    """Whether only the person whom a row is about may see the column."""
    return isinstance(column, Column) and column.privacy is not None


def migration(dataset: Dataset) -> str:
    """The migration that makes a dataset's tables, for a person to read.

    Row policies and grants are not in it: `carrel migrate` derives them from the spec each time.
    """
    return (
        "\n\n".join(
            [
                f"-- {dataset.title}: {dataset.grain}.\n-- Printed from the spec by"
                f" `carrel datasets --migration {dataset.table}`.\n"
                f"-- Who sees it: {who_sees(dataset)}.",
                create_bronze(dataset),
                create_silver(dataset),
                add_key(dataset),
                create_quarantine(dataset),
                comments(dataset),
            ]
        )
        + "\n"
    )


def who_sees(dataset: Dataset) -> str:
    """In words, who sees which rows."""
    rule = dataset.access
    if rule.public:
        return "everyone who is signed in"
    parts = ["admins all rows"]
    if rule.staff:
        parts.append("librarians all rows")
    elif rule.branch:
        parts.append(f"librarians their branches ({rule.branch})")
    if rule.member:
        parts.append(f"members their own ({rule.member})")
    return ", ".join(parts)
