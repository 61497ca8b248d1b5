-- Newcastle item events: one row each time the system saw a copy.
-- Printed from the spec by `carrel datasets --migration library_newcastle_item_events`.
-- Who sees it: everyone who is signed in.

create table bronze."library_newcastle_item_events_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_newcastle_item_events" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_newcastle_item_events_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_newcastle_item_events" (
    "content_key" text not null,
    "isbn" text,
    "control_number" text,
    "seen_at" timestamp without time zone not null,
    "last_issued_at" timestamp without time zone,
    "branch_code" text not null,
    "item_code" text not null,
    "author" text,
    "title" text,
    "stock_area" text,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_newcastle_item_events" add primary key ("content_key");
create index on "silver"."library_newcastle_item_events" using brin ("seen_at");

create table quarantine."library_newcastle_item_events" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_newcastle_item_events" (load_id, record_no);

comment on table "silver"."library_newcastle_item_events" is 'Newcastle item events: one row each time the system saw a copy';
comment on column "silver"."library_newcastle_item_events"."isbn" is 'International Standard Book Number of the edition';
comment on column "silver"."library_newcastle_item_events"."control_number" is 'Number of the catalogue record; starts with N where the book has no barcode';
comment on column "silver"."library_newcastle_item_events"."seen_at" is 'When the copy was issued, renewed or returned, local time';
comment on column "silver"."library_newcastle_item_events"."last_issued_at" is 'When the copy was last issued, to a member or to a transit ticket; 507 are empty';
comment on column "silver"."library_newcastle_item_events"."branch_code" is 'Number of the library that handled the copy; 998 is no public branch';
comment on column "silver"."library_newcastle_item_events"."item_code" is 'Number of the copy';
comment on column "silver"."library_newcastle_item_events"."author" is 'Main author of the work';
comment on column "silver"."library_newcastle_item_events"."title" is 'Main title; the system cuts long ones off';
comment on column "silver"."library_newcastle_item_events"."stock_area" is 'ADULT or JUNIOR with FICTION or NON FICTION; added by hand upstream';
