-- Newcastle issues by month: one row a branch and month that has a figure.
-- Printed from the spec by `carrel datasets --migration library_newcastle_monthly_issues`.
-- Who sees it: everyone who is signed in.

create table bronze."library_newcastle_monthly_issues_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_newcastle_monthly_issues" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_newcastle_monthly_issues_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_newcastle_monthly_issues" (
    "branch" text not null,
    "month" date not null,
    "issues" integer not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_newcastle_monthly_issues" add primary key ("branch", "month");
create index on "silver"."library_newcastle_monthly_issues" using brin ("month");

create table quarantine."library_newcastle_monthly_issues" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_newcastle_monthly_issues" (load_id, record_no);

comment on table "silver"."library_newcastle_monthly_issues" is 'Newcastle issues by month: one row a branch and month that has a figure';
comment on column "silver"."library_newcastle_monthly_issues"."branch" is 'Name of the branch';
comment on column "silver"."library_newcastle_monthly_issues"."month" is 'First day of the month';
comment on column "silver"."library_newcastle_monthly_issues"."issues" is 'Copies lent to members in the month; real peaks occur, so there is no upper bound';
