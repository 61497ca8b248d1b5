-- Records that were held back and sent again, so that each is in one load only and the way from the
-- file to silver is known.

alter table ops.loads add column origin bigint references ops.loads;
comment on column ops.loads.origin is
    'Of a replay of held-back records: the load in which they first arrived';
create index on ops.loads (origin) where origin is not null;

create table ops.replays (
    load_id bigint not null references ops.loads,
    line_no bigint not null,
    from_load bigint not null references ops.loads,
    from_line bigint not null,
    first_load bigint not null references ops.loads,
    first_line bigint not null,
    edited boolean not null,
    replaces boolean not null,
    primary key (load_id, line_no),
    unique (from_load, from_line)
);
comment on table ops.replays is
    'Records of quarantine that were sent again: the replay and its line, and whence each came';
comment on column ops.replays.first_line is 'Its line in the file with which it first arrived';
comment on column ops.replays.edited is 'A person changed the record';
comment on column ops.replays.replaces is
    'It was held back as a second row of its key; edited, it takes the place of the first';
grant select on ops.replays to :admin;
