-- Remote hosts that failed of late, and until when they are left alone.

create table ops.breakers (
    host text primary key,
    state text not null check (state in ('closed', 'open', 'half-open')),
    failures integer not null default 0,
    until timestamptz,
    changed_at timestamptz not null default clock_timestamp(),
    last_error text,
    constraint until_when check (state = 'closed' or until is not null)
);
comment on table ops.breakers is 'Circuit breakers: one a remote host that failed of late';
comment on column ops.breakers.state is
    'closed: asked; open: left alone; half-open: one run tries it, the others wait for that';
comment on column ops.breakers.failures is 'Failures in a row';
comment on column ops.breakers.until is 'When it is next tried';
grant select on ops.breakers to :admin;
