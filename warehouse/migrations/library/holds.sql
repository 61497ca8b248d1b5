-- Holds: one row a hold.
-- Printed from the spec by `carrel datasets --migration library_holds`.
-- Who sees it: admins all rows, librarians their branches (branch_code), members their own (member_key).

create table bronze."library_holds_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_holds" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_holds_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_holds" (
    "source_code" text not null,
    "hold_id" text not null,
    "title_code" text not null,
    "item_code" text,
    "member_key" text not null,
    "branch_code" text not null,
    "placed_at" timestamp without time zone not null,
    "shelved_at" timestamp without time zone,
    "ended_at" timestamp without time zone,
    "status" text not null,
    "frozen" boolean,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_holds" add primary key ("source_code", "hold_id");
create index on "silver"."library_holds" using brin ("placed_at");
create index on "silver"."library_holds" ("member_key");

create table quarantine."library_holds" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_holds" (load_id, record_no);

comment on table "silver"."library_holds" is 'Holds: one row a hold';
comment on column "silver"."library_holds"."source_code" is 'System the hold comes from; keys are unique within it';
comment on column "silver"."library_holds"."hold_id" is 'Number of the hold in its system';
comment on column "silver"."library_holds"."title_code" is 'Title that is wanted';
comment on column "silver"."library_holds"."item_code" is 'Copy set aside for it; null until there is one';
comment on column "silver"."library_holds"."member_key" is 'Pseudonym of the member who wants it';
comment on column "silver"."library_holds"."branch_code" is 'Branch where it is to be collected';
comment on column "silver"."library_holds"."placed_at" is 'When it was placed, local time';
comment on column "silver"."library_holds"."shelved_at" is 'When the copy came onto the hold shelf; null if it has not';
comment on column "silver"."library_holds"."ended_at" is 'When it was collected, expired or was cancelled; null while it runs';
comment on column "silver"."library_holds"."status" is 'How it stands';
comment on column "silver"."library_holds"."frozen" is 'Whether the member has put it off; such a hold is not active (KPIS 11)';
