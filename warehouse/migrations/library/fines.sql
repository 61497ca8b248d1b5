-- Fines: one row a charge, payment or waiver.
-- Printed from the spec by `carrel datasets --migration library_fines`.
-- Who sees it: admins all rows, librarians their branches (branch_code), members their own (member_key).

create table bronze."library_fines_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_fines" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_fines_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_fines" (
    "source_code" text not null,
    "fine_id" text not null,
    "member_key" text not null,
    "loan_id" text,
    "branch_code" text not null,
    "kind" text not null,
    "amount" numeric not null,
    "charged_at" timestamp without time zone not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_fines" add primary key ("source_code", "fine_id");
create index on "silver"."library_fines" using brin ("charged_at");
create index on "silver"."library_fines" ("member_key");

create table quarantine."library_fines" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_fines" (load_id, record_no);

comment on table "silver"."library_fines" is 'Fines: one row a charge, payment or waiver';
comment on column "silver"."library_fines"."source_code" is 'System the entry comes from; keys are unique within it';
comment on column "silver"."library_fines"."fine_id" is 'Number of the entry in its system';
comment on column "silver"."library_fines"."member_key" is 'Pseudonym of the member';
comment on column "silver"."library_fines"."loan_id" is 'Loan that it is about';
comment on column "silver"."library_fines"."branch_code" is 'Branch where the copy was returned';
comment on column "silver"."library_fines"."kind" is 'What happened: charged, paid or waived';
comment on column "silver"."library_fines"."amount" is 'Sum in the library''s currency, never negative';
comment on column "silver"."library_fines"."charged_at" is 'When it was charged, paid or waived, local time';
