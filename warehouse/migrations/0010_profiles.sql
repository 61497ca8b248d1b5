-- What columns hold, metrics of runs over time, and what was unusual about them.

create table quality.profiles (
    dataset text not null,
    at timestamptz not null default clock_timestamp(),
    position smallint not null,
    column_name text not null,
    run_id text,
    measures jsonb not null,
    primary key (dataset, at, column_name)
);
comment on table quality.profiles is
    'A row a column and profile; holds no value that fewer than five rows (or persons) share';
comment on column quality.profiles.measures is
    'type, rows, nulls, distinct, min, max, mean, quantiles, top, patterns, bins, drift';

create table quality.metrics (
    dataset text not null,
    metric text not null,
    day date not null,
    at timestamptz not null default clock_timestamp(),
    run_id text not null,
    value double precision not null,
    size bigint,
    primary key (dataset, metric, run_id)
);
create index on quality.metrics (dataset, day desc) include (metric, value, size);
create index on quality.metrics (dataset, metric, day desc) include (value, size);
comment on table quality.metrics is 'One number a dataset, metric and run, to be compared over time';
comment on column quality.metrics.day is 'Day of the run in the time zone of the settings';
comment on column quality.metrics.size is 'How many rows the value rests on, where it is a share or a mean';

create table quality.anomalies (
    anomaly_id bigint generated always as identity primary key,
    dataset text not null,
    metric text not null,
    kind text not null check (kind in ('jump', 'drift', 'missing', 'joint')),
    day date not null,
    run_id text,
    found_at timestamptz not null default clock_timestamp(),
    value double precision,
    low double precision,
    high double precision,
    score double precision not null,
    severity text not null check (severity in ('warning', 'critical')),
    message text not null,
    unique (dataset, metric, kind, day)
);
create index on quality.anomalies (day desc, dataset);
comment on table quality.anomalies is 'Metrics that were unlike their own history, in words';
comment on column quality.anomalies.score is 'Distance from what was expected, in robust spreads';
comment on column quality.anomalies.low is 'What is usual: nine of ten such days lie from low to high';

create table quality.models (
    dataset text primary key,
    fitted_on date not null,
    model jsonb not null
);
comment on table quality.models is
    'How metrics of a dataset move together; fitted anew every four weeks (quality/joint.py)';

create view quality.latest_profiles with (security_invoker) as
select p.*
from (select substr(table_name, 8) as dataset from ops.catalogue where layer = 'silver') c
cross join lateral (
    select at from quality.profiles p where p.dataset = c.dataset order by at desc limit 1
) newest
join quality.profiles p on p.dataset = c.dataset and p.at = newest.at;
comment on view quality.latest_profiles is 'The last profile of each dataset, a row a column';

grant select on quality.profiles, quality.metrics, quality.anomalies, quality.latest_profiles
    to :admin, :librarian;
