-- The stream in operation: what its consumers report, what was let go of, and its metrics.

create table ops.stream_runs (
    run_id text primary key,
    stream text not null,
    topic text not null,
    host text not null,
    pid integer not null,
    started_at timestamptz not null,
    reported_at timestamptz not null,
    ended_at timestamptz,
    lateness interval not null,
    batches bigint not null default 0,
    events bigint not null default 0,
    rate double precision not null default 0,
    rate_most double precision not null default 0,
    delay_s double precision,
    memory_bytes bigint not null default 0,
    log_bytes bigint,
    log_free_bytes bigint,
    ends jsonb not null default '{}',
    failure text
);
create index on ops.stream_runs (stream, reported_at desc);
comment on table ops.stream_runs is
    'Runs of consumers: what each did, as it says every few seconds (CARREL_STREAM_REPORT_S)';
comment on column ops.stream_runs.rate is 'Records a second in the last interval';
comment on column ops.stream_runs.delay_s is
    'Longest from being logged to being committed in the last interval, in seconds';
comment on column ops.stream_runs.ends is
    'By partition, the first record that the log holds and the number of its next one';

create table ops.stream_removals (
    stream text not null,
    arrived_on date not null,
    events bigint not null,
    late bigint not null,
    removed_at timestamptz not null default now(),
    primary key (stream, arrived_on)
);
comment on table ops.stream_removals is
    'Days of arrival whose events bronze let go of; their sums are kept in bronze.<stream>_kept_by';

create table ops.stream_ids (
    stream text not null,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    id text not null,
    primary key (stream, topic, partition, "offset")
);
comment on table ops.stream_ids is
    'Ids of events that bronze let go of, as long as a duplicate of them could still come';

create table ops.stream_rebuilds (
    rebuild_id bigint generated always as identity primary key,
    stream text not null,
    events bigint not null,
    differing bigint not null,
    rebuilt_at timestamptz not null default now()
);
comment on table ops.stream_rebuilds is
    'Each time that silver was made anew from bronze: events, and how many sums were wrong before';

grant select on ops.stream_runs, ops.stream_removals, ops.stream_rebuilds to :admin, :librarian;

-- One row a metric of a stream. Ages are in seconds before now; null where nothing is known yet.
create view ops.stream_metrics as
with partitions as (
    select stream,
        sum(events) as events, sum(counted) as counted, sum(late) as late,
        sum(duplicates) as duplicates, sum(quarantined) as quarantined,
        count(*) as partitions, count(*) filter (where held_until > now()) as held,
        count(distinct consumer) filter (where held_until > now()) as consumers,
        sum(epoch) as takings, max(moved_at) as moved_at, max(newest_at) as newest_at,
        -- A partition without news holds no watermark back.
        coalesce(min(newest_at) filter (where moved_at > now() - interval '10 minutes'),
            max(newest_at)) as slowest_at
    from ops.stream_partitions group by stream
),
newest as (
    select distinct on (stream) * from ops.stream_runs order by stream, reported_at desc
),
starts as (
    select stream, count(*) as starts from ops.stream_runs
    where started_at > now() - interval '1 day' group by stream
),
lags as (
    select n.stream, sum(greatest(0, e.upto - p.next_offset)) as lag,
        max(greatest(0, e.upto - p.next_offset)) as lag_most,
        sum(e.upto - e.since) as logged, sum(greatest(0, e.since - p.next_offset)) as lost
    from newest n
    join lateral (
        select key::integer as partition, (value ->> 0)::bigint as since,
            (value ->> 1)::bigint as upto
        from jsonb_each(n.ends)
    ) e on true
    join ops.stream_partitions p
        on (p.stream, p.topic, p.partition) = (n.stream, n.topic, e.partition)
    group by n.stream
),
removed as (
    select stream, count(*) as days, sum(events) as events from ops.stream_removals group by stream
),
rebuilt as (
    select distinct on (stream) * from ops.stream_rebuilds order by stream, rebuild_id desc
),
known as (
    select p.*, n.run_id, n.started_at, n.reported_at, n.batches, n.events as run_events, n.rate,
        n.rate_most, n.delay_s, n.memory_bytes, n.log_bytes, n.log_free_bytes,
        p.slowest_at - n.lateness as watermark,
        coalesce(s.starts, 0) as starts, l.lag, l.lag_most, l.logged, l.lost,
        coalesce(r.days, 0) as removed_days, coalesce(r.events, 0) as removed_events,
        b.rebuilt_at, b.differing, size.parts as bronze_parts, size.bytes as bronze_bytes
    from partitions p
    left join newest n using (stream)
    left join starts s using (stream)
    left join lags l using (stream)
    left join removed r using (stream)
    left join rebuilt b using (stream)
    left join lateral (
        select count(*) as parts, sum(pg_total_relation_size(i.inhrelid)) as bytes
        from pg_inherits i
        join pg_class c on c.oid = i.inhparent
        join pg_namespace n on n.oid = c.relnamespace  -- viewers may not use the schema itself
        where n.nspname = 'bronze' and c.relname = p.stream
    ) size on true
)
select k.stream, m.metric, m.unit, m.meaning, m.value::double precision as value
from known k
cross join lateral (values
    ('records', 'records', 'Records read from the log', k.events),
    ('counted', 'events', 'Events in the sums', k.counted),
    ('late', 'events', 'Events too late to be in the sums', k.late),
    ('duplicates', 'records', 'Records dropped because their id had counted', k.duplicates),
    ('quarantined', 'records', 'Records that are no event', k.quarantined),
    ('late_share', 'share', 'Late events among all records', k.late / nullif(k.events, 0)),
    ('duplicate_share', 'share', 'Duplicates among all records',
        k.duplicates / nullif(k.events, 0)),
    ('quarantined_share', 'share', 'Quarantined among all records',
        k.quarantined / nullif(k.events, 0)),
    ('partitions', 'partitions', 'Partitions of the log that are known', k.partitions),
    ('partitions_held', 'partitions', 'Partitions that a consumer reads now', k.held),
    ('consumers', 'consumers', 'Consumers that hold a partition now', k.consumers),
    ('takings', 'times', 'Times that a consumer took a partition', k.takings),
    ('lag', 'records', 'Records in the log that are not read yet', k.lag),
    ('lag_most', 'records', 'The same in the partition that is most behind', k.lag_most),
    ('logged', 'records', 'Records that the log holds', k.logged),
    ('lost', 'records', 'Records that left the log before they were read', k.lost),
    ('committed_age', 'seconds', 'Since the last batch was committed',
        extract(epoch from now() - k.moved_at)),
    ('newest_age', 'seconds', 'Since the newest event happened',
        extract(epoch from now() - k.newest_at)),
    ('watermark_age', 'seconds', 'Since the watermark: an event before it is too late',
        extract(epoch from now() - k.watermark)),
    ('reported_age', 'seconds', 'Since a consumer last reported',
        extract(epoch from now() - k.reported_at)),
    ('up', 'seconds', 'From the start of the newest run to its last report',
        extract(epoch from k.reported_at - k.started_at)),
    ('starts', 'times', 'Runs of consumers that began in the last 24 hours', k.starts),
    ('batches', 'batches', 'Batches that the newest run committed', k.batches),
    ('batch_size', 'records', 'Records in a batch of the newest run, on average',
        k.run_events::numeric / nullif(k.batches, 0)),
    ('rate', 'records a second', 'Throughput in the last interval of the newest run', k.rate),
    ('rate_run', 'records a second', 'Throughput of the newest run since its start',
        k.run_events / nullif(extract(epoch from k.reported_at - k.started_at), 0)),
    ('rate_most', 'records a second', 'Greatest throughput in an interval of the newest run',
        k.rate_most),
    ('delay', 'seconds', 'Longest from being logged to being committed, in the last interval',
        k.delay_s),
    ('memory', 'bytes', 'Memory of the newest run''s process', k.memory_bytes),
    ('log_size', 'bytes', 'What the folder log takes', k.log_bytes),
    ('log_free', 'bytes', 'What is free where the folder log stands', k.log_free_bytes),
    ('bronze_partitions', 'partitions', 'Partitions of bronze', k.bronze_parts),
    ('bronze_size', 'bytes', 'What bronze takes, with its indexes', k.bronze_bytes),
    ('removed_days', 'days', 'Days of arrival that bronze let go of', k.removed_days),
    ('removed_events', 'events', 'Events of those days', k.removed_events),
    ('rebuilt_age', 'seconds', 'Since silver was last made anew from bronze',
        extract(epoch from now() - k.rebuilt_at)),
    ('rebuilt_differing', 'sums', 'Sums that were wrong when silver was last made anew',
        k.differing)
) as m (metric, unit, meaning, value);
comment on view ops.stream_metrics is 'Metrics of each stream: name, unit, meaning, value now';
grant select on ops.stream_metrics to :admin, :librarian;

-- For the health of the API, which tells everyone no more than this.
create function app.streams_state() returns text
language sql stable security definer set search_path = pg_catalog as $$
    select case
        when bool_or(ended_at is null and reported_at < now() - interval '2 minutes') then 'away'
        when bool_or(ended_at is null) then 'ok'
        else 'off'
    end
    from (
        select distinct on (stream) * from ops.stream_runs order by stream, reported_at desc
    ) newest
$$;
comment on function app.streams_state() is
    'ok: who consumes says so; away: a consumer fell silent without an end; off: none is to run';
revoke all on function app.streams_state() from public;
grant execute on function app.streams_state() to :app;

alter table ops.catalogue add column version integer;
comment on column ops.catalogue.version is
    'Grows with each change of the shape: of a dataset''s migrations, of a stream''s event schema';
