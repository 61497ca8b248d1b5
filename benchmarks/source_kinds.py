"""Where the rows of `sources.py` come from: each kind written, described, and read plainly.

The same rows for every kind but MARC, which has titles. A kind's `made` writes them and yields
where they are: a file, a URL of a server of its own, or a database's.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import random
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

COLUMNS: dict[str, Any] = {"id": "bigint", "title": "text", "branch": "text", "lent_on": "date"}
COLUMNS |= {"returned_at": "timestamp", "fine": "numeric", "code": "text"}
NESTED = COLUMNS | {n: {"type": COLUMNS[n], "from": f"loan.{n}"} for n in ("lent_on", "fine")}
NESTED |= {"code": {"type": "text", "from": "item.shelf.code"}}
PLACES = {"number": "001", "title": "245$ab", "author": "100$a", "published": "260$c"}
PLACES |= {"language": "008[35:38]", "subject": "650$a"}
TITLES: dict[str, Any] = dict.fromkeys(PLACES, "text")
DATES = ["lent_on", "returned_at"]
PAGE = 1_000
SECRET = "CARREL_SECRET_BENCH"  # pragma: allowlist secret
SOURCE_DATABASE = "carrel_bench_source"
Rows = list[tuple[Any, ...]]
Made = Callable[[Path, int], Any]  # a context manager that yields the place


def records(count: int) -> Rows:
    some = random.Random(1).randrange
    days = [
        dt.datetime.fromtimestamp(some(10**9), dt.UTC).replace(tzinfo=None) for _ in range(count)
    ]
    return [
        (n, f"Title {some(9999)}", "NS"[n % 2], day.date(), day, some(999) / 100, f"{n % 999:05}")
        for n, day in enumerate(days)
    ]


def objects(count: int) -> Iterator[dict[str, Any]]:
    for row in records(count):
        found = dict(zip(COLUMNS, row, strict=True))
        yield found | {name: str(found[name]) for name in DATES}


def nested(count: int) -> Iterator[dict[str, Any]]:
    for row in objects(count):
        loan = {name: row.pop(name) for name in ("lent_on", "fine")}
        yield row | {"loan": loan, "item": {"shelf": {"code": row.pop("code")}}}


@dataclass(frozen=True)
class Kind:
    """`read` is the plain library's way to a frame; `half`: only what is new of the second half.

    `rows` of the wanted number are made: of MARC a fifth. `streams`: its memory should not grow.
    """

    source: dict[str, Any]
    made: Made
    read: Callable[[str], Any]
    columns: dict[str, Any] = field(default_factory=lambda: COLUMNS)
    part: int = 1
    half: bool = False
    streams: bool = True


def file(name: str, write: Callable[[Path, int], None]) -> Made:
    """A file that a function writes."""

    @contextmanager
    def made(folder: Path, rows: int) -> Iterator[str]:
        write(folder / name, rows)
        yield str(folder / name)

    return made


def pandas() -> Any:
    return import_module("pandas")


def dated(frame: Any) -> Any:
    """Its dates as dates: a table of types takes no text for one."""
    return frame.assign(**{name: pandas().to_datetime(frame[name]) for name in DATES})


# Files ------------------------------------------------------------------------------------------


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(chain([tuple(COLUMNS)], records(rows)))


def read_csv(path: str) -> Any:
    return pandas().read_csv(path, dtype={"code": str}, parse_dates=DATES)


def write_xlsx(path: Path, rows: int) -> None:
    book = import_module("openpyxl").Workbook(write_only=True)
    book.create_sheet("Loans")
    for row in chain([tuple(COLUMNS)], records(rows)):
        book.worksheets[0].append(row)
    book.save(path)


NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns"
ODS = (
    f'<office:document-content xmlns:office="{NAMESPACE}:office:1.0"'
    f' xmlns:table="{NAMESPACE}:table:1.0" xmlns:text="{NAMESPACE}:text:1.0"><office:body>'
    '<office:spreadsheet><table:table table:name="Loans">'
)
MANIFEST = f'<manifest:manifest xmlns:manifest="{NAMESPACE}:manifest:1.0"/>'
ODS_END = "</table:table></office:spreadsheet></office:body></office:document-content>"


def write_ods(path: Path, rows: int) -> None:
    """No library here writes it; this much is what a reader needs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        with archive.open("content.xml", "w", force_zip64=True) as stream:
            stream.write(ODS.encode())
            for row in chain([tuple(COLUMNS)], records(rows)):
                cells = "".join(map(ods_cell, row))
                stream.write(f"<table:table-row>{cells}</table:table-row>".encode())
            stream.write(ODS_END.encode())


def ods_cell(value: Any) -> str:
    if isinstance(value, str):
        kind = 'office:value-type="string"'
    elif isinstance(value, dt.date):
        kind = f'office:value-type="date" office:date-value="{value.isoformat()}"'
    else:
        kind = f'office:value-type="float" office:value="{value}"'
    return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"


def read_excel(path: str) -> Any:
    return dated(pandas().read_excel(path, engine="calamine", dtype={"code": str}))


def write_json(path: Path, rows: int) -> None:
    with path.open("w") as stream:
        json.dump(list(objects(rows)), stream)


def write_nested(path: Path, rows: int) -> None:
    with path.open("w") as stream:
        json.dump({"took": 3, "result": {"total": rows, "items": list(nested(rows))}}, stream)


def write_lines(path: Path, rows: int) -> None:
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in objects(rows))


def read_json(path: str) -> Any:
    with Path(path).open() as stream:
        return dated(pandas().DataFrame(json.load(stream)))


def read_nested(path: str) -> Any:
    with Path(path).open() as stream:
        found = pandas().json_normalize(json.load(stream)["result"]["items"])
    return dated(found.rename(columns=lambda name: name.rpartition(".")[2]))


def read_lines(path: str) -> Any:
    with gzip.open(path, "rt") if path.endswith(".gz") else Path(path).open() as stream:
        return dated(pandas().DataFrame(map(json.loads, stream)))


def write_parquet(path: Path, rows: int) -> None:
    arrow = import_module("pyarrow")
    table = arrow.table(
        dict(zip(COLUMNS, map(list, zip(*records(rows), strict=True)), strict=True))
    )
    import_module("pyarrow.parquet").write_table(table, path, row_group_size=50_000)


def read_parquet(path: str) -> Any:
    return pandas().read_parquet(path)


# MARC -------------------------------------------------------------------------------------------


def marc_records(count: int) -> Iterator[Any]:
    marc, some = import_module("pymarc"), random.Random(1).randrange
    for n in range(count):
        record = marc.Record(force_utf8=True, leader="00000nam a2200000 a 4500")
        record.add_field(marc.Field("001", data=f"n{n:08}"))
        record.add_field(
            marc.Field("008", data=f"{n % 999999:06}s1999    nyu           000 1 eng d")
        )
        for tag, parts in (
            ("020", [("a", f"978{n:010}")]),
            ("100", [("a", f"Müller, Author {some(9999)}"), ("d", "1950-")]),
            ("245", [("a", f"Title {some(9999)} :"), ("b", "a subtitle of it /"), ("c", "by A.")]),
            ("260", [("a", "New York :"), ("b", "Press,"), ("c", str(1900 + n % 120))]),
            ("300", [("a", "320 p. ;"), ("c", "23 cm.")]),
            *(("650", [("a", f"Subject {some(999)}"), ("x", "History")]) for _ in range(3)),
            *(("852", [("b", "Main"), ("p", f"3{some(10**9):013}")]) for _ in range(4)),
        ):
            subfields = [marc.Subfield(*part) for part in parts]
            record.add_field(marc.Field(tag, marc.Indicators("1", "0"), subfields))
        yield record


def write_marc(path: Path, rows: int) -> None:
    with path.open("wb") as stream:
        stream.writelines(record.as_marc() for record in marc_records(rows))


def write_marcxml(path: Path, rows: int) -> None:
    writer = import_module("pymarc").XMLWriter(path.open("wb"))
    for record in marc_records(rows):
        writer.write(record)
    writer.close()


def read_marc(path: str) -> Any:
    with Path(path).open("rb") as stream:
        return pandas().DataFrame(map(title, import_module("pymarc").MARCReader(stream)))


def read_marcxml(path: str) -> Any:
    return pandas().DataFrame(map(title, import_module("pymarc").parse_xml_to_array(path)))


def title(record: Any) -> dict[str, Any]:
    def joined(tag: str, *codes: str) -> str:
        return " | ".join(" ".join(f.get_subfields(*codes)) for f in record.get_fields(tag))

    return {
        "number": record["001"].data,
        "title": joined("245", "a", "b"),
        "author": joined("100", "a"),
        "published": joined("260", "c"),
        "language": record["008"].data[35:38],
        "subject": joined("650", "a"),
    }


# Databases --------------------------------------------------------------------------------------

QUERY = f"select {', '.join(COLUMNS)} from loans"
TABLE = """create table loans (id bigint primary key, title varchar(99), branch varchar(9),
 lent_on date, returned_at timestamp null, fine numeric(9,2), code varchar(9))"""


@contextmanager
def postgresql(folder: Path, rows: int) -> Iterator[str]:
    """A database beside ours on the same server."""
    import psycopg

    from tests.fix_warehouse import as_admin, drop_database
    from warehouse.settings import settings

    as_admin("drop database if exists {} with (force)", SOURCE_DATABASE)
    as_admin("create database {}", SOURCE_DATABASE)
    url = settings().url().set(database=SOURCE_DATABASE, drivername="postgresql")
    shown = url.render_as_string(hide_password=False)
    try:
        with psycopg.connect(shown) as connection:
            connection.execute(TABLE)
            with connection.cursor().copy("copy loans from stdin") as copy:
                for row in records(rows):
                    copy.write_row(row)
        yield shown
    finally:
        drop_database(SOURCE_DATABASE)


@contextmanager
def sqlite(folder: Path, rows: int) -> Iterator[str]:
    with sqlite3.connect(folder / "loans.db") as connection:
        connection.execute(TABLE)
        found = ([*row[:3], str(row[3]), str(row[4]), *row[5:]] for row in records(rows))
        connection.executemany("insert into loans values (?, ?, ?, ?, ?, ?, ?)", found)
    connection.close()
    yield f"sqlite:///{folder / 'loans.db'}"


@contextmanager
def mariadb(folder: Path, rows: int) -> Iterator[str]:
    """A server of its own."""
    import pymysql
    from sqlalchemy import make_url

    from tests.tasks.fix_mariadb import served

    with served() as url:
        at = make_url(url)
        with (
            pymysql.connect(host=at.host, port=at.port, user="root", database="other") as opened,
            opened.cursor() as cursor,
        ):
            cursor.execute(TABLE)
            values = "insert into loans values (%s, %s, %s, %s, %s, %s, %s)"
            cursor.executemany(values, records(rows))
            opened.commit()
        yield url


def read_database(url: str) -> Any:
    return dated(pandas().read_sql_query(QUERY, plain_engine(url)))


def read_new(url: str) -> Any:
    """What the table `plain` has not yet; the first time one half."""
    from warehouse.database import connect

    with connect() as connection:
        (last,) = connection.execute("select max(id) from plain").fetchone() or (None,)
    where = f"id > {last}" if last is not None else "id < (select count(*) / 2 from loans)"
    return dated(pandas().read_sql_query(f"{QUERY} where {where}", plain_engine(url)))


def plain_engine(url: str) -> Any:
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    kind, _, rest = url.partition("://")
    return import_module("sqlalchemy").create_engine(f"{drivers.get(kind, kind)}://{rest}")


# A REST API -------------------------------------------------------------------------------------


@contextmanager
def api(folder: Path, rows: int) -> Iterator[str]:
    """Pages of 1,000 from a server in this process, which waits for the one that is measured."""
    found = list(objects(rows))
    pages = [
        json.dumps({"page": at // PAGE + 1, "items": found[at : at + PAGE]}).encode()
        for at in range(0, rows + PAGE, PAGE)
    ]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            content = pages[int(asked["page"][0]) - 1]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/loans"
    finally:
        server.shutdown()
        server.server_close()


def read_api(url: str) -> Any:
    found: list[Any] = []
    with import_module("httpx").Client() as client:
        page = 1
        while items := client.get(url, params={"page": page}).json()["items"]:
            found += items
            page += 1
    return dated(pandas().DataFrame(found))


# All of them ------------------------------------------------------------------------------------

EXCEL, JSON = {"kind": "excel"}, {"kind": "json"}
MARC = {"kind": "marc", "fields": PLACES}
DATABASE = {"kind": "database", "url": "bench", "query": QUERY}
NEW = DATABASE | {
    "cursor": "id",
    "query": f"{QUERY} where (:cursor is null and id < (select count(*) / 2 from loans))"
    " or id > :cursor",
}
HTTP = {"kind": "http", "paging": "page", "records": "items"}
KINDS = {
    "csv": Kind({"kind": "csv"}, file("loans.csv", write_csv), read_csv),
    "excel .xlsx": Kind(EXCEL, file("loans.xlsx", write_xlsx), read_excel, streams=False),
    "excel .ods": Kind(EXCEL, file("loans.ods", write_ods), read_excel, streams=False),
    "json array": Kind(JSON, file("loans.json", write_json), read_json),
    "json nested": Kind(
        JSON | {"records": "result.items"}, file("loans.json", write_nested), read_nested, NESTED
    ),
    "json lines": Kind(JSON, file("loans.jsonl", write_lines), read_lines),
    "json lines .gz": Kind(JSON, file("loans.jsonl.gz", write_lines), read_lines),
    "parquet": Kind({"kind": "parquet"}, file("loans.parquet", write_parquet), read_parquet),
    "marc": Kind(MARC, file("titles.mrc", write_marc), read_marc, TITLES, part=5),
    "marcxml": Kind(MARC, file("titles.xml", write_marcxml), read_marcxml, TITLES, part=5),
    "postgresql": Kind(DATABASE, postgresql, read_database),
    "postgresql new": Kind(NEW, postgresql, read_new, half=True),
    "sqlite": Kind(DATABASE, sqlite, read_database),
    "sqlite new": Kind(NEW, sqlite, read_new, half=True),
    "http": Kind(HTTP, api, read_api),
}
if shutil.which("mariadbd"):
    KINDS |= {
        "mariadb": Kind(DATABASE, mariadb, read_database),
        "mariadb new": Kind(NEW, mariadb, read_new, half=True),
    }
