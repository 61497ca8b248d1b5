-- LibrariesWest issues: one row a month, authority and type of item.
-- Printed from the spec by `carrel datasets --migration library_librarieswest_issues`.
-- Who sees it: everyone who is signed in.

create table bronze."library_librarieswest_issues_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_librarieswest_issues" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_librarieswest_issues_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_librarieswest_issues" (
    "month" date not null,
    "authority" text not null,
    "item_type" text not null,
    "issues" integer not null,
    "renewals" integer not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_librarieswest_issues" add primary key ("month", "authority", "item_type");
create index on "silver"."library_librarieswest_issues" using brin ("month");

create table quarantine."library_librarieswest_issues" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_librarieswest_issues" (load_id, record_no);

comment on table "silver"."library_librarieswest_issues" is 'LibrariesWest issues: one row a month, authority and type of item';
comment on column "silver"."library_librarieswest_issues"."month" is 'First day of the month of issue';
comment on column "silver"."library_librarieswest_issues"."authority" is 'Library service that lent the items';
comment on column "silver"."library_librarieswest_issues"."item_type" is 'Type of item, as the system names it';
comment on column "silver"."library_librarieswest_issues"."issues" is 'First loans in the month';
comment on column "silver"."library_librarieswest_issues"."renewals" is 'Loans extended in the month';
