-- The stream: how far each partition of a log has been read, who reads it, and what events look like.

create table ops.stream_schemas (
    stream text not null,
    version integer not null,
    schema jsonb not null,
    registered_at timestamptz not null default now(),
    primary key (stream, version)
);
comment on table ops.stream_schemas is
    'JSON schemas of events; a version never refuses what the one before it took';

create table ops.stream_consumers (
    consumer uuid primary key,
    stream text not null,
    host text not null,
    pid integer not null,
    seen_at timestamptz not null
);
comment on table ops.stream_consumers is 'Consumers that were heard of lately; each gets a fair share';

create table ops.stream_partitions (
    stream text not null,
    topic text not null,
    partition integer not null,
    next_offset bigint not null default 0,
    newest_at timestamptz,
    epoch bigint not null default 0,
    consumer uuid,
    held_until timestamptz,
    events bigint not null default 0,
    counted bigint not null default 0,
    late bigint not null default 0,
    duplicates bigint not null default 0,
    quarantined bigint not null default 0,
    moved_at timestamptz,
    primary key (stream, topic, partition),
    constraint nothing_lost check (events = counted + late + duplicates + quarantined)
);
comment on table ops.stream_partitions is
    'Moved in the transaction that writes what was made of the records before next_offset';
comment on column ops.stream_partitions.newest_at is
    'Greatest time of an event so far; the watermark is the stream''s lateness before it';
comment on column ops.stream_partitions.epoch is
    'Grows with each taking: who comes with an older one was taken for dead, and is refused';
grant select on ops.stream_partitions to :admin, :librarian;
