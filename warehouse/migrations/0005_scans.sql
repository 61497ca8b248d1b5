-- What each scanner saw of each file when it last looked, so that the next scan can tell what is
-- new, changed or gone, and reads again only what has another size or time.

create table ops.scans (
    scanner text not null,
    folder text not null,
    path text not null,
    bytes bigint not null,
    modified_ns bigint not null,
    sha256 text,
    type text not null,
    compression text,
    encoding text,
    rows bigint,
    estimated boolean not null,
    header text[],
    reason text,
    looked boolean not null,
    seen_at timestamptz not null default clock_timestamp(),
    primary key (scanner, folder, path)
);
comment on table ops.scans is 'Each file of a scanned folder as it was last seen';
comment on column ops.scans.scanner is 'Who looked: scan (a person) or watch (the schedule)';
comment on column ops.scans.modified_ns is 'Time of the last change, in nanoseconds since 1970';
comment on column ops.scans.looked is 'Whether header and rows were looked for';
comment on column ops.scans.reason is 'Why the file was not read or not counted';
