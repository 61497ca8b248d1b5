-- Library Carpentry books: one row a copy, as far as the export tells copies apart.
-- Printed from the spec by `carrel datasets --migration library_lc_books`.
-- Who sees it: everyone who is signed in.

create table bronze."library_lc_books_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_lc_books" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_lc_books_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_lc_books" (
    "content_key" text not null,
    "call_number" text,
    "title" text,
    "responsibility" text,
    "location_code" text not null,
    "checkouts" integer not null,
    "last_checked_out_at" timestamp without time zone,
    "subjects" text,
    "standard_numbers" text,
    "call_number_item" text,
    "date_one" text,
    "format_code" text not null,
    "collection_code" text not null,
    "published_year" integer,
    "isbn" text,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_lc_books" add primary key ("content_key");

create table quarantine."library_lc_books" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_lc_books" (load_id, record_no);

comment on table "silver"."library_lc_books" is 'Library Carpentry books: one row a copy, as far as the export tells copies apart';
comment on column "silver"."library_lc_books"."call_number" is 'Shelf mark of the title';
comment on column "silver"."library_lc_books"."title" is 'Title and remainder (MARC 245 a, b), with the cataloguer''s punctuation';
comment on column "silver"."library_lc_books"."responsibility" is 'Who wrote or made it, as on the title page (MARC 245 c)';
comment on column "silver"."library_lc_books"."location_code" is 'Where the copy stands: stk stacks, usd government documents, ref reference, juv juvenile, others local';
comment on column "silver"."library_lc_books"."checkouts" is 'Loans of the copy so far';
comment on column "silver"."library_lc_books"."last_checked_out_at" is 'When the copy was last lent; null if never or not known';
comment on column "silver"."library_lc_books"."subjects" is 'Subject headings, separated by |';
comment on column "silver"."library_lc_books"."standard_numbers" is 'ISBNs and ISSNs with their notes, ISBNs separated by ~; also stray prices';
comment on column "silver"."library_lc_books"."call_number_item" is 'Shelf mark of the copy where it differs';
comment on column "silver"."library_lc_books"."date_one" is 'First date of the record (MARC 008) as written; u, x, z stand for unknown digits';
comment on column "silver"."library_lc_books"."format_code" is 'Kind of material: a book, s e-government document, w microform, m image, e serial, o map, n database, k CD-ROM, 5 kit or object, 4 online video';
comment on column "silver"."library_lc_books"."collection_code" is 'Collection: - general, u government documents, j juvenile, r reference, b school materials, s special, t theses, c computer files, a archives, z reserves';
comment on column "silver"."library_lc_books"."published_year" is 'Year of publication; null where the record has no plain year';
comment on column "silver"."library_lc_books"."isbn" is 'First ISBN of the record, as written; null for serials and where there is none';
