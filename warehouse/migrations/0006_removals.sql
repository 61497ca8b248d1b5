-- What retention let go of, so that a missing thing is known to be gone on purpose.

create table ops.removals (
    removal_id bigint generated always as identity primary key,
    dataset text,
    what text not null check (what in ('bronze', 'personal', 'quarantine', 'file')),
    name text not null,
    load_id bigint references ops.loads,
    rows bigint,
    bytes bigint,
    reason text not null,
    run_id text,
    actor text not null default session_user,
    removed_at timestamptz not null default clock_timestamp()
);
create index on ops.removals (dataset, removal_id desc);
comment on table ops.removals is 'Audit of retention: who let go of what, when and why';
comment on column ops.removals.load_id is 'The load whose bronze partition was dropped';
grant select on ops.removals to :admin;
