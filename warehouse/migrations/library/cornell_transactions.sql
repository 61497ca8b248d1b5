-- Cornell circulation transactions: one row a circulation transaction.
-- Printed from the spec by `carrel datasets --migration library_cornell_transactions`.
-- Who sees it: everyone who is signed in.

create table bronze."library_cornell_transactions_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_cornell_transactions" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_cornell_transactions_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_cornell_transactions" (
    "content_key" text not null,
    "transaction_id" bigint,
    "item_id" bigint,
    "bib_id" bigint not null,
    "transacted_on" date not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_cornell_transactions" add primary key ("content_key");
create index on "silver"."library_cornell_transactions" using brin ("transacted_on");

create table quarantine."library_cornell_transactions" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_cornell_transactions" (load_id, record_no);

comment on table "silver"."library_cornell_transactions" is 'Cornell circulation transactions: one row a circulation transaction';
comment on column "silver"."library_cornell_transactions"."transaction_id" is 'Number of the transaction; 0 throughout the public file';
comment on column "silver"."library_cornell_transactions"."item_id" is 'Number of the copy; 0 throughout the public file';
comment on column "silver"."library_cornell_transactions"."bib_id" is 'Random stand-in for the number of the title';
comment on column "silver"."library_cornell_transactions"."transacted_on" is 'Day of the transaction, moved at random by up to 400 days; years 89 to 16 in the file are 1989 to 2016';
