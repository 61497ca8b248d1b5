-- LibrariesWest reservations: one row a month, owning authority and pickup authority.
-- Printed from the spec by `carrel datasets --migration library_librarieswest_reservations`.
-- Who sees it: everyone who is signed in.

create table bronze."library_librarieswest_reservations_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_librarieswest_reservations" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_librarieswest_reservations_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_librarieswest_reservations" (
    "month" date not null,
    "item_authority" text not null,
    "pickup_authority" text not null,
    "reservations" integer not null,
    "days_taken" integer not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_librarieswest_reservations" add primary key ("month", "item_authority", "pickup_authority");
create index on "silver"."library_librarieswest_reservations" using brin ("month");

create table quarantine."library_librarieswest_reservations" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_librarieswest_reservations" (load_id, record_no);

comment on table "silver"."library_librarieswest_reservations" is 'LibrariesWest reservations: one row a month, owning authority and pickup authority';
comment on column "silver"."library_librarieswest_reservations"."month" is 'First day of the month in which the reservations were placed';
comment on column "silver"."library_librarieswest_reservations"."item_authority" is 'Service that owns the copy';
comment on column "silver"."library_librarieswest_reservations"."pickup_authority" is 'Service where it was collected';
comment on column "silver"."library_librarieswest_reservations"."reservations" is 'Reservations fulfilled';
comment on column "silver"."library_librarieswest_reservations"."days_taken" is 'Mean days from placing to arrival, rounded to whole days';
