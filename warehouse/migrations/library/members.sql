-- Members: one row a member.
-- Printed from the spec by `carrel datasets --migration library_members`.
-- Who sees it: admins all rows, members their own (member_key).

create table bronze."library_members_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_members" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_members_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_members" (
    "source_code" text not null,
    "member_key" text not null,
    "area_code" text,
    "member_type" text not null,
    "joined_on" date,
    "expires_on" date,
    "history_consent_on" date,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_members" add primary key ("source_code", "member_key");
create index on "silver"."library_members" ("member_key");

create table quarantine."library_members" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_members" (load_id, record_no);

comment on table "silver"."library_members" is 'Members: one row a member';
comment on column "silver"."library_members"."source_code" is 'System the member comes from; keys are unique within it';
comment on column "silver"."library_members"."member_key" is 'Pseudonym of the card number';
comment on column "silver"."library_members"."area_code" is 'Area of the county that the member lives in';
comment on column "silver"."library_members"."member_type" is 'Kind of membership';
comment on column "silver"."library_members"."joined_on" is 'Day of joining';
comment on column "silver"."library_members"."expires_on" is 'Day on which the card runs out, or ran out';
comment on column "silver"."library_members"."history_consent_on" is 'Day on which the member agreed that past loans are kept; null if never';
