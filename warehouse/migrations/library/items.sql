-- Items: one row a copy.
-- Printed from the spec by `carrel datasets --migration library_items`.
-- Who sees it: everyone who is signed in.

create table bronze."library_items_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_items" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_items_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_items" (
    "source_code" text not null,
    "item_code" text not null,
    "title_code" text not null,
    "title" text not null,
    "author" text,
    "isbn" text,
    "dewey" text,
    "collection_code" text not null,
    "item_type" text,
    "branch_code" text not null,
    "price_amount" numeric,
    "published_year" integer,
    "acquired_on" date,
    "withdrawn_on" date,
    "language_code" text,
    "dewey_class" integer,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_items" add primary key ("source_code", "item_code");

create table quarantine."library_items" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_items" (load_id, record_no);

comment on table "silver"."library_items" is 'Items: one row a copy';
comment on column "silver"."library_items"."source_code" is 'System the copy comes from; keys are unique within it';
comment on column "silver"."library_items"."item_code" is 'Number of the copy, as on its barcode';
comment on column "silver"."library_items"."title_code" is 'Number of the title that it is a copy of';
comment on column "silver"."library_items"."title" is 'Title';
comment on column "silver"."library_items"."author" is 'Author as Surname, First name';
comment on column "silver"."library_items"."isbn" is 'ISBN with 13 digits; null where there is none or its check digit is wrong';
comment on column "silver"."library_items"."dewey" is 'Dewey number; null for what is shelved otherwise';
comment on column "silver"."library_items"."collection_code" is 'Collection, such as adult_fiction, junior_nonfiction, audio, dvd, periodical';
comment on column "silver"."library_items"."item_type" is 'Kind of material, which decides how long it is lent';
comment on column "silver"."library_items"."branch_code" is 'Branch that the copy belongs to';
comment on column "silver"."library_items"."price_amount" is 'Price paid, in the library''s currency';
comment on column "silver"."library_items"."published_year" is 'Year of publication; null where the catalogue has no plain year';
comment on column "silver"."library_items"."acquired_on" is 'Day the copy was added';
comment on column "silver"."library_items"."withdrawn_on" is 'Day the copy was withdrawn; null while it is held';
comment on column "silver"."library_items"."language_code" is 'Language, ISO 639-2';
comment on column "silver"."library_items"."dewey_class" is 'Dewey class in hundreds, 0 to 900';
