-- LibrariesWest items: one row an authority and type of item.
-- Printed from the spec by `carrel datasets --migration library_librarieswest_items`.
-- Who sees it: everyone who is signed in.

create table bronze."library_librarieswest_items_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_librarieswest_items" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_librarieswest_items_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_librarieswest_items" (
    "authority" text not null,
    "item_type" text not null,
    "items" integer not null,
    "total_issues" integer not null,
    "total_renewals" integer not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_librarieswest_items" add primary key ("authority", "item_type");

create table quarantine."library_librarieswest_items" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_librarieswest_items" (load_id, record_no);

comment on table "silver"."library_librarieswest_items" is 'LibrariesWest items: one row an authority and type of item';
comment on column "silver"."library_librarieswest_items"."authority" is 'Library service that holds the copies';
comment on column "silver"."library_librarieswest_items"."item_type" is 'Type of item, as the system names it';
comment on column "silver"."library_librarieswest_items"."items" is 'Copies held';
comment on column "silver"."library_librarieswest_items"."total_issues" is 'Loans of these copies since they were bought';
comment on column "silver"."library_librarieswest_items"."total_renewals" is 'Renewals of these copies since they were bought';
