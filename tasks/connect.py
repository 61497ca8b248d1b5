"""Connect a library system: give the canonical datasets its tables or lists as their source.

A system is a folder of `warehouse/systems`: `system.yml` and a file a dataset that says how its
query yields the dataset's columns. Filled in, the files go to `sources/library` of the project
folder, where a person may read and change them; `warehouse.spec.datasets` takes them from there.
Datasets that a system does not tell get a folder of CSV files instead of the sample's.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from psycopg import sql
from pydantic import Field, ValidationError

from tasks.ledger import only_run
from warehouse import gold
from warehouse.database import connect
from warehouse.errors import ConfigurationError, SourceUnavailable, SpecError
from warehouse.settings import ROOT, secret, settings
from warehouse.sources import CsvSource, HttpSource, JoinedSource, Strict
from warehouse.spec import Dataset, Elsewhere, discover

SYSTEMS = ROOT / "warehouse" / "systems"
DOMAIN = "library"
SAMPLE = "library/sample/"
SIGN_IN = {"/authn/login-with-expiry": "folioAccessToken", "/authn/login": "x-okapi-token"}


class System(Strict):
    """What is said of a system besides its datasets."""

    title: str
    url: str
    databases: tuple[str, ...] = ()
    files: dict[str, str] = Field({})
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Connection:
    """A system as one organisation has it: the secret with its URL, or a folder of its files."""

    name: str
    secret: str
    folder: Path | None = None

    @cached_property
    def system(self) -> System:
        """What is said of the system.

        Raises:
            ConfigurationError: there is no such system, or it has no files.
        """
        path = SYSTEMS / self.name / "system.yml"
        if not self.name.isidentifier() or not path.is_file():
            known = ", ".join(sorted(p.parent.name for p in SYSTEMS.glob("*/system.yml")))
            raise ConfigurationError(
                f"{self.name!r} is no known system.", remedy=f"Known: {known}."
            )
        try:
            found = System.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except ValidationError as error:
            raise SpecError(path, str(error)) from error
        if self.folder and not found.files:
            raise ConfigurationError(
                f"{found.title} is read from its database, not from files.",
                remedy="Leave out --files.",
            )
        return found

    @property
    def address(self) -> str:
        """The URL that the secret holds; it may hold a password.

        Raises:
            ConfigurationError: the secret is not set, or is a URL of another kind.
        """
        try:
            value = secret(self.secret)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error.message} It is to hold {self.system.url}", remedy=error.remedy
            ) from None
        if urlsplit(value).scheme not in (self.system.databases or ("https", "http")):
            raise ConfigurationError(
                f"The secret {self.secret!r} is no URL of {self.system.title}.",
                remedy=f"Write it as {self.system.url}",
            )
        return value


# What is written --------------------------------------------------------------------------------


def sources(connection: Connection) -> dict[Path, str]:
    """The files to write into the project folder, and their text.

    Raises:
        ConfigurationError: no such system; the secret is not set or no URL of it.
        SourceUnavailable: a FOLIO does not answer, or does not let us in.
    """
    place = settings().project / "sources" / DOMAIN
    values = _values(connection)
    found = {}
    for dataset in canonical():
        template = SYSTEMS / connection.name / f"{dataset.name}.yml"
        if template.exists():
            text = template.read_text("utf-8")
            for name, value in values.items():
                text = text.replace("{{" + name + "}}", value)
            if connection.folder:
                text = _of_files(text, connection.folder, connection.system.files)
        else:
            text = _csv(connection, dataset)
        found[place / f"{dataset.name}.yml"] = text
    return found


def canonical() -> list[Dataset]:
    """The datasets of the canonical library model: those that the sample fills."""
    shipped = discover(ROOT / "warehouse" / "datasets").values()
    return [
        d for d in shipped if isinstance(d.source, CsvSource) and d.source.path.startswith(SAMPLE)
    ]


def _values(connection: Connection) -> dict[str, str]:
    """What stands for the names in double braces."""
    values = {"secret": connection.secret, "timezone": settings().timezone}
    if connection.folder or connection.system.databases:
        if not connection.folder:
            _ = connection.address
        unused = dict.fromkeys(("base", "tenant", "login", "token"), "unused")
        return unused | {"base": "https://unused.invalid"} | values
    parts = urlsplit(connection.address)
    host = parts.netloc.rpartition("@")[2]
    tenant = parts.path.strip("/")
    if not host or not tenant or "/" in tenant:
        raise ConfigurationError(
            f"The secret {connection.secret!r} names no host and tenant.",
            remedy=f"Write it as {connection.system.url}",
        )
    base = f"{parts.scheme}://{host}"
    login, token = _login(connection, base, tenant)
    return values | {"base": base, "tenant": tenant, "login": login, "token": token}


def _login(connection: Connection, base: str, tenant: str) -> tuple[str, str]:
    """Where this FOLIO signs people in, and what it calls the token: newer ones, then older."""
    from tasks.remote import Client, Refused
    from tasks.sources.http import sign_in

    for path, token in SIGN_IN.items():
        source = HttpSource(
            kind="http", url=base, auth="login", secret=connection.secret,
            token_url=base + path, token=token, headers={"X-Okapi-Tenant": tenant},
        )  # fmt: skip
        with Client(base, source.timeout_s, source.headers) as client:
            try:
                sign_in(client, source)
            except Refused as error:
                if error.status in (401, 403, 422, 400):
                    raise
                continue
        return path, token
    raise SourceUnavailable(
        f"{base}: answers at none of {', '.join(SIGN_IN)}.",
        remedy="Name the host of its API (Okapi or Kong), not that of its pages.",
    )


def _of_files(text: str, folder: Path, patterns: Mapping[str, str]) -> str:
    """The same source, its inputs read from JSON files."""
    data = yaml.safe_load(text)
    for name, one in data["source"]["inputs"].items():
        place = glob.escape(str(folder.absolute()))
        one["source"] = {"kind": "json", "path": f"{place}/{patterns[name]}"}
    comment = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    return comment + yaml.dump(data, Dumper=_Readable, sort_keys=False, allow_unicode=True)


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Readable.add_representer(str, _text)


def _csv(connection: Connection, dataset: Dataset) -> str:
    return (
        f"# {connection.system.title} does not tell {dataset.title.lower()} to Carrel: put files"
        " there, if you like.\n"
        f'source: {{kind: csv, path: "{DOMAIN}/{connection.name}/{dataset.name}/*.csv"}}\n'
    )


def write(files: Mapping[Path, str]) -> Iterator[str]:
    """Write the files; yields what is to be said of each. One that a person changed is kept."""
    for path, text in files.items():
        if path.exists() and path.read_text("utf-8") != text:
            yield f"{path}: differs from what would be written, and is kept"
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        yield str(path)


# What is asked of the system --------------------------------------------------------------------


def needs(connection: Connection) -> dict[str, list[str]]:
    """Tables and columns that the system's queries read, all datasets together."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted((SYSTEMS / connection.name).glob("*.yml")):
        content = yaml.safe_load(path.read_text("utf-8"))
        for table, columns in content.get("needs", {}).items():
            found.setdefault(table, {}).update(dict.fromkeys(columns))
    return {table: list(columns) for table, columns in sorted(found.items())}


def check(connection: Connection, files: Mapping[Path, str]) -> Iterator[str]:
    """Whether what the files describe is there and may be read; yields a line of what was found.

    Raises:
        ConfigurationError: naming every table and column that is missing or closed to us.
        SourceUnavailable: the server does not answer, or refuses a list.
    """
    if connection.system.databases:
        from tasks.sources.database import columns

        wanted = needs(connection)
        there = columns(connection.system.title, connection.secret)
        if lacking := _lacking(wanted, there):
            raise ConfigurationError(
                f"{connection.system.title}: not there, or not to be read by this user:"
                f" {'; '.join(lacking)}.",
                remedy=f"`carrel connect {connection.name} --grants` prints the rights it needs;"
                " or is it an older version?",
            )
        yield f"{connection.system.title} answers: {len(wanted)} tables, all columns are there."
        return
    yield from _check_inputs(connection, files)


def _lacking(wanted: Mapping[str, Iterable[str]], there: Mapping[str, set[str]]) -> list[str]:
    return [
        f"{table} ({', '.join(gone)})" if table in there else f"{table} (the whole table)"
        for table, columns in wanted.items()
        if (gone := [c for c in columns if c not in there.get(table, set())])
    ]


def _check_inputs(connection: Connection, files: Mapping[Path, str]) -> Iterator[str]:
    """Ask each list for its first page, or look for its files."""
    from tasks.sources.joined import peek

    seen: set[str] = set()
    known = {d.name: d for d in canonical()}
    for path, text in files.items():
        dataset = known[path.stem].model_copy(update={"source_path": path})
        source = Elsewhere.model_validate(yaml.safe_load(text)).source
        for name, one in source.inputs.items() if isinstance(source, JoinedSource) else ():
            if name not in seen:
                seen.add(name)
                yield f"{name}: {peek(dataset, one)}"


def grants(connection: Connection) -> Iterator[str]:
    """The statements that give a database's user the rights it needs, or FOLIO's permissions."""
    yield from connection.system.permissions
    if not connection.system.databases:
        return
    mysql = "mysql" in connection.system.databases
    user = "'carrel'@'%'" if mysql else "carrel"
    schemas = sorted({t.partition(".")[0] for t in needs(connection)})
    if not mysql:
        yield f"grant usage on schema {', '.join(schemas)} to carrel;"
    for table, columns in needs(connection).items():
        place = f"KOHA_DATABASE.{table}" if mysql else table
        names = ", ".join(f"`{c}`" if mysql else f'"{c}"' for c in columns)
        yield f"grant select ({names}) on {place} to {user};"


# What others loaded -----------------------------------------------------------------------------


def others(connection: Connection) -> dict[str, int]:
    """Rows of silver that come from elsewhere, as `table (source)`: count."""
    found = {}
    with connect() as database:
        for dataset in canonical():
            query = sql.SQL(
                "select source_code, count(*) from {} where source_code <> %s group by 1 order by 1"
            ).format(sql.Identifier("silver", dataset.table))
            for code, count in database.execute(query, [connection.name]).fetchall():
                found[f"{dataset.table} ({code})"] = count
    return found


def remove_others(connection: Connection) -> None:
    """Remove rows of silver that come from elsewhere; the next publication makes gold whole."""
    for dataset in canonical():
        with only_run(dataset), connect() as database:
            names: dict[str, Any] = {
                "silver": sql.Identifier("silver", dataset.table),
                "quarantine": sql.Identifier("quarantine", dataset.table),
            }
            gone = database.execute(
                sql.SQL("delete from {silver} where source_code <> %s").format(**names),
                [connection.name],
            ).rowcount
            database.execute(sql.SQL("delete from {quarantine}").format(**names))
            if gone:
                database.execute(
                    "update ops.publications set sql_sha256 = null where %s = any(sources)",
                    [dataset.table],
                )
                gold.forget_blocks(database, dataset.table)


def connected() -> bool:
    """Whether the project folder gives a canonical dataset a source of its own."""
    return any((settings().project / "sources" / DOMAIN).glob("*.yml"))
