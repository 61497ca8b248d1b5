-- Branches: one row a branch.
-- Printed from the spec by `carrel datasets --migration library_branches`.
-- Who sees it: everyone who is signed in.

create table bronze."library_branches_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_branches" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_branches_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_branches" (
    "source_code" text not null,
    "branch_code" text not null,
    "name" text not null,
    "area_code" text,
    "latitude" double precision,
    "longitude" double precision,
    "opened_on" date,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_branches" add primary key ("source_code", "branch_code");

create table quarantine."library_branches" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_branches" (load_id, record_no);

comment on table "silver"."library_branches" is 'Branches: one row a branch';
comment on column "silver"."library_branches"."source_code" is 'System the branch comes from; keys are unique within it';
comment on column "silver"."library_branches"."branch_code" is 'Short code of the branch';
comment on column "silver"."library_branches"."name" is 'Name of the branch';
comment on column "silver"."library_branches"."area_code" is 'Area that it stands in';
comment on column "silver"."library_branches"."latitude" is 'Latitude in degrees, WGS 84';
comment on column "silver"."library_branches"."longitude" is 'Longitude in degrees, WGS 84';
comment on column "silver"."library_branches"."opened_on" is 'Day it opened';
