-- Goodbooks catalogue: one row a book.
-- Printed from the spec by `carrel datasets --migration library_goodbooks`.
-- Who sees it: everyone who is signed in.

create table bronze."library_goodbooks_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_goodbooks" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_goodbooks_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_goodbooks" (
    "book_id" integer not null,
    "goodreads_book_id" bigint not null,
    "best_book_id" bigint not null,
    "work_id" bigint not null,
    "books_count" integer not null,
    "isbn_10" text,
    "isbn_13_rounded" double precision,
    "authors" text not null,
    "published_year" integer,
    "original_title" text,
    "title" text not null,
    "language_code" text,
    "average_rating" numeric not null,
    "ratings_count" integer not null,
    "work_ratings_count" integer not null,
    "work_text_reviews_count" integer not null,
    "ratings_1" integer not null,
    "ratings_2" integer not null,
    "ratings_3" integer not null,
    "ratings_4" integer not null,
    "ratings_5" integer not null,
    "image_url" text,
    "small_image_url" text,
    "isbn" text,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_goodbooks" add primary key ("book_id");

create table quarantine."library_goodbooks" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_goodbooks" (load_id, record_no);

comment on table "silver"."library_goodbooks" is 'Goodbooks catalogue: one row a book';
comment on column "silver"."library_goodbooks"."book_id" is 'Rank and number, 1 is most rated';
comment on column "silver"."library_goodbooks"."goodreads_book_id" is 'Number of the edition there';
comment on column "silver"."library_goodbooks"."best_book_id" is 'Number of its best known edition';
comment on column "silver"."library_goodbooks"."work_id" is 'Number of the work';
comment on column "silver"."library_goodbooks"."books_count" is 'Editions of the work';
comment on column "silver"."library_goodbooks"."isbn_10" is 'ISBN-10 as in the file; leading noughts are missing';
comment on column "silver"."library_goodbooks"."isbn_13_rounded" is 'ISBN-13 as in the file, rounded to 12 digits';
comment on column "silver"."library_goodbooks"."authors" is 'Authors and others, separated by commas';
comment on column "silver"."library_goodbooks"."published_year" is 'Year of the first edition; negative before Christ';
comment on column "silver"."library_goodbooks"."original_title" is 'Title in the original language';
comment on column "silver"."library_goodbooks"."title" is 'Title, series and volume';
comment on column "silver"."library_goodbooks"."language_code" is 'Language, three letters or language-country; null in 1,084 books';
comment on column "silver"."library_goodbooks"."average_rating" is 'Mean rating of one to five stars';
comment on column "silver"."library_goodbooks"."ratings_count" is 'Ratings of the edition';
comment on column "silver"."library_goodbooks"."work_ratings_count" is 'Ratings of all editions; the sum of ratings_1 to ratings_5';
comment on column "silver"."library_goodbooks"."work_text_reviews_count" is 'Written reviews of all editions';
comment on column "silver"."library_goodbooks"."ratings_1" is 'Ratings of one star';
comment on column "silver"."library_goodbooks"."ratings_2" is 'Ratings of two stars';
comment on column "silver"."library_goodbooks"."ratings_3" is 'Ratings of three stars';
comment on column "silver"."library_goodbooks"."ratings_4" is 'Ratings of four stars';
comment on column "silver"."library_goodbooks"."ratings_5" is 'Ratings of five stars';
comment on column "silver"."library_goodbooks"."image_url" is 'Address of the cover; pages never load it';
comment on column "silver"."library_goodbooks"."small_image_url" is 'Address of the small cover; pages never load it';
comment on column "silver"."library_goodbooks"."isbn" is 'ISBN-13 of isbn_10, with its noughts put back and the check digit made anew (it is wrong in 23 books upstream)';
