-- What the retail figures are made of besides the sums: duplicates by day, and orders, cancellations
-- and baskets as `carrel stream analyse` makes them of bronze. Viewers read gold's tables instead.

create table silver.retail_sales_duplicates (
    day date primary key,
    events bigint not null
);
comment on table silver.retail_sales_duplicates is
    'Events that were dropped because their id had counted already, by the day of the sale';

create table silver.retail_sales_orders (
    invoice text primary key,
    customer_key text,
    country text not null,
    day date not null,
    lines bigint not null,
    sales bigint not null,
    gross numeric not null,
    net numeric not null
);
comment on table silver.retail_sales_orders is
    'Invoices: one row each, cancelling ones too; kept when bronze is let go';

create table silver.retail_sales_cancellations (
    partition integer not null,
    "offset" bigint not null,
    day date not null,
    stock_code text not null,
    country text not null,
    pieces bigint not null,
    amount numeric not null,
    outcome text not null,
    days_after integer,
    primary key (partition, "offset")
);
comment on table silver.retail_sales_cancellations is
    'Lines of cancelling invoices, with whether the sale that each takes back was found';
comment on column silver.retail_sales_cancellations.days_after is
    'Days from the sale to its cancellation; null where no sale was found';

create table silver.retail_sales_products (
    stock_code text primary key,
    description text,
    baskets bigint not null
);
comment on table silver.retail_sales_products is
    'Products, as described last, and in how many of the analysed baskets each is';

create table silver.retail_sales_pairs (
    first text not null,
    second text not null,
    baskets bigint not null,
    primary key (first, second)
);
comment on table silver.retail_sales_pairs is
    'Two products and in how many baskets both are; first is the lesser code';

create table silver.retail_sales_analysed (
    told_to date,
    baskets bigint not null,
    left_out bigint not null,
    first_day date,
    last_day date
);
comment on table silver.retail_sales_analysed is
    'One row: to which day all partitions have been read, and the baskets that were analysed';
