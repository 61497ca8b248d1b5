"""A generated loans file: the same bytes for the same number of rows, 2.25 % of them dirty.

python benchmarks/loans.py FILE [ROWS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

HEADER = "id,member,item,branch,out,due,returned,renewals,fine,channel"
DIRTY = 0.0225
ROWS = """
copy (
    with numbers as (
        select i, (hash(i * 7 + 1) >> 2)::bigint as a, (hash(i * 13 + 5) >> 2)::bigint as b,
            (hash(i * 31 + 11) >> 2)::bigint as c,
            hash(i * 101 + 3) % 10000 as fault,
            ['NORTH', 'SOUTH', 'EAST', 'WEST', 'CENTRAL', 'PARK', 'HILL', 'LAKE', 'MILL',
             'DOCK', 'WOOD', 'FORD'] as branches
        from range({rows}) numbers(i)
    ),
    loans as (
        select *, timestamp '2019-01-01 09:00:00'
            + to_seconds(cast(i * (94608000.0 / {rows}) as bigint) + a % 600) as taken
        from numbers
    )
    select concat_ws(',',
        case when fault < 50 and i > 0 then i - cast(b % least(i, 50000) as bigint) else i + 1 end,
        case when fault between 50 and 74 then '' else cast(b % 80000 + 1 as varchar) end,
        'B' || lpad(cast(a % 200000 as varchar), 7, '0'),
        case when fault between 75 and 99 then 'NOWHERE'
            when b % 20 = 0 then ' ' || lower(branches[c % 12 + 1]) || ' '
            else branches[c % 12 + 1] end,
        case when fault between 100 and 149 then 'yesterday'
            when c % 10 = 0 then strftime(taken, '%d/%m/%Y %H:%M')
            else strftime(taken, '%Y-%m-%d %H:%M:%S') end,
        strftime(taken + interval 21 days, '%Y-%m-%d'),
        case when fault between 150 and 174
                then strftime(taken - interval 5 days, '%Y-%m-%d %H:%M:%S')
            when a % 9 = 0 then ''
            else strftime(taken + to_seconds(60 + c % 2592000), '%Y-%m-%d %H:%M:%S') end,
        b % 4,
        case when fault between 175 and 199 then '-1.50'
            when {changed} then '9.99'
            when b % 11 = 0 then cast(cast(c % 500 / 100.0 as decimal(10, 2)) as varchar)
            else '0.00' end,
        case when fault between 200 and 224 then 'desk,twice'
            else ['desk', 'self', 'app'][a % 3 + 1] end
    ) as "{header}"
    from loans where {kept} order by i
) to '{path}' (format csv, header true, delimiter '\x1f', quote '', escape '')
"""
SPEC = """
title: Loans
grain: one row each time a copy leaves the desk
source: {kind: csv, path: "loans/*.csv"}
key: [loan_id]
mode: merge
event: checked_out_at
access: {branch: branch_code}
columns:
  - {name: loan_id, type: bigint, from: id, meaning: Number printed on the slip}
  - {name: member_key, type: text, from: member, required: true, privacy: pseudonym,
     meaning: The borrower}
  - {name: item_code, type: text, from: item, required: true, meaning: The copy}
  - {name: branch_code, type: text, from: branch, clean: [trim, upper], required: true,
     allowed: [NORTH, SOUTH, EAST, WEST, CENTRAL, PARK, HILL, LAKE, MILL, DOCK, WOOD, FORD],
     meaning: Branch that lent the copy}
  - {name: checked_out_at, type: timestamp, from: out, required: true,
     formats: ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M"], meaning: Local time of the loan}
  - {name: due_on, type: date, from: due, required: true, meaning: Day it is due}
  - {name: returned_at, type: timestamp, from: returned, meaning: Local time of the return}
  - {name: renewals, type: integer, min: 0, max: 50, meaning: How often it was renewed}
  - {name: fine_amount, type: numeric, from: fine, min: 0, meaning: Fine charged}
  - {name: channel, type: text, allowed: [desk, self, app], meaning: Where it was lent}
rules:
  - {name: returned_before_checkout, reject_if: returned_at < checked_out_at, column: returned_at}
"""


def write_loans(path: Path, rows: int, *, changed: str = "false", kept: str = "true") -> Path:
    """Write a loans file.

    Args:
        changed: condition on `i` (the row's number from 0) for rows with another fine.
        kept: condition on `i` for rows that are written at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    statement = ROWS.format(rows=rows, path=path, header=HEADER, changed=changed, kept=kept)
    duckdb.connect().execute(statement)
    return path


if __name__ == "__main__":
    write_loans(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2_000_000)
