-- Sales: one line of an invoice, as warehouse/streams/retail/sales.yml says.
-- Row policies and grants are not in it: `carrel migrate` derives them from the spec each time.

create table bronze.retail_sales (
    arrived_on date not null,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    logged_at timestamptz not null,
    ingested_at timestamptz not null,
    late boolean not null,
    event_id text not null,
    sold_at timestamptz not null,
    sold_at_text text not null,
    invoice text not null,
    stock_code text not null,
    description text,
    quantity bigint not null,
    unit_price numeric not null,
    customer_key text,
    country text not null,
    segment text,
    channel text,
    producer text,
    rest text,
    primary key (partition, "offset", arrived_on)
) partition by range (arrived_on);
comment on table bronze.retail_sales is
    'Each valid event once; one partition a day of arrival (UTC), made by the consumer';
comment on column bronze.retail_sales.rest is 'Fields that the schema does not name, as JSON';
comment on column bronze.retail_sales.sold_at_text is 'sold_at as it was sent';

create table silver.retail_sales_by (
    dimension text not null,
    day date not null,
    value text not null,
    lines bigint not null,
    sales bigint not null,
    pieces bigint not null,
    gross numeric not null,
    cancellations bigint not null,
    cancelled numeric not null,
    net numeric not null,
    nameless bigint not null,
    restated_at timestamptz,
    primary key (dimension, day, value)
) with (fillfactor = 70);
comment on table silver.retail_sales_by is
    'Sales by dimension and day, folded as events arrive: one row a value of a dimension and day';
comment on column silver.retail_sales_by.restated_at is
    'When events that came too late were folded in after all; null: none were';

create table silver.retail_sales_by_person (
    like silver.retail_sales_by including indexes
) with (fillfactor = 70);
comment on table silver.retail_sales_by_person is
    'The same by dimensions whose values are pseudonyms of people';

create table silver.retail_sales_late (
    partition integer not null,
    "offset" bigint not null,
    arrived_on date not null,
    event_id text not null,
    sold_at timestamptz not null,
    late_by interval not null,
    arrived_at timestamptz not null,
    folded_at timestamptz,
    primary key (partition, "offset")
);
comment on table silver.retail_sales_late is
    'Events too far behind their partition''s newest to be in the figures, unless folded in since';

create table quarantine.retail_sales (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    logged_at timestamptz not null,
    quarantined_at timestamptz not null,
    reason text not null,
    message bytea not null,
    primary key (topic, partition, "offset")
);
comment on table quarantine.retail_sales is 'Messages that are no event, as they came, and why';
