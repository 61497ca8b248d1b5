-- Loan events: one row each time a copy is lent, renewed, returned or found used in the house.
-- Printed from the spec by `carrel datasets --migration library_loan_events`.
-- Who sees it: admins all rows, librarians their branches (branch_code), members their own (member_key).

create table bronze."library_loan_events_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_loan_events" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_loan_events_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_loan_events" (
    "source_code" text not null,
    "event_id" text not null,
    "loan_id" text,
    "kind" text not null,
    "occurred_at" timestamp without time zone not null,
    "branch_code" text not null,
    "item_code" text not null,
    "member_key" text,
    "due_on" date,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_loan_events" add primary key ("source_code", "event_id");
create index on "silver"."library_loan_events" using brin ("occurred_at");
create index on "silver"."library_loan_events" ("member_key");

create table quarantine."library_loan_events" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_loan_events" (load_id, record_no);

comment on table "silver"."library_loan_events" is 'Loan events: one row each time a copy is lent, renewed, returned or found used in the house';
comment on column "silver"."library_loan_events"."source_code" is 'System the event comes from; keys are unique within it';
comment on column "silver"."library_loan_events"."event_id" is 'Number of the event in its system';
comment on column "silver"."library_loan_events"."loan_id" is 'Number that a checkout shares with its renewals and return; null for in-house use';
comment on column "silver"."library_loan_events"."kind" is 'What happened: checkout, renewal, return or in_house_use';
comment on column "silver"."library_loan_events"."occurred_at" is 'When it happened, local time of the library';
comment on column "silver"."library_loan_events"."branch_code" is 'Branch where it happened';
comment on column "silver"."library_loan_events"."item_code" is 'Copy it happened to';
comment on column "silver"."library_loan_events"."member_key" is 'Pseudonym of the borrower; null for in-house use';
comment on column "silver"."library_loan_events"."due_on" is 'Day by which the copy is due after this event, or was due at its return';
