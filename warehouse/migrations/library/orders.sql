-- Orders: one row an order of one title for one branch.
-- Printed from the spec by `carrel datasets --migration library_orders`.
-- Who sees it: admins all rows, librarians their branches (branch_code).

create table bronze."library_orders_pages" (
    load_id bigint not null,
    first_line bigint not null,
    last_line bigint not null,
    lines text not null
) partition by list (load_id);
create view bronze."library_orders" as
select load_id, first_line + n - 1 as line_no, line
from bronze."library_orders_pages",
    string_to_table(lines, e'\n') with ordinality as each (line, n)
where first_line + n - 1 <= last_line;

create table "silver"."library_orders" (
    "source_code" text not null,
    "order_id" text not null,
    "title_code" text not null,
    "branch_code" text not null,
    "vendor_code" text,
    "fund_code" text,
    "ordered_on" date not null,
    "received_on" date,
    "copies" integer not null,
    "price_amount" numeric,
    "status" text not null,
    "_load_id" bigint not null,
    "_hash" bigint
);

alter table "silver"."library_orders" add primary key ("source_code", "order_id");

create table quarantine."library_orders" (
    load_id bigint not null,
    file_id bigint not null,
    record_no bigint not null,
    line_no bigint not null,
    rule text not null,
    column_name text,
    value text,
    severity text not null default 'error'
);
create index on quarantine."library_orders" (load_id, record_no);

comment on table "silver"."library_orders" is 'Orders: one row an order of one title for one branch';
comment on column "silver"."library_orders"."source_code" is 'System the order comes from; keys are unique within it';
comment on column "silver"."library_orders"."order_id" is 'Number of the order in its system';
comment on column "silver"."library_orders"."title_code" is 'Title that is ordered';
comment on column "silver"."library_orders"."branch_code" is 'Branch that it is for';
comment on column "silver"."library_orders"."vendor_code" is 'Vendor';
comment on column "silver"."library_orders"."fund_code" is 'Fund that pays';
comment on column "silver"."library_orders"."ordered_on" is 'Day of the order';
comment on column "silver"."library_orders"."received_on" is 'Day it arrived; null while it is open or if it was cancelled';
comment on column "silver"."library_orders"."copies" is 'Copies ordered';
comment on column "silver"."library_orders"."price_amount" is 'Price a copy, in the library''s currency';
comment on column "silver"."library_orders"."status" is 'How it stands';
