-- What each gold table was built from, so that a run knows which tables are behind their sources.

alter table ops.publications
    add column loads jsonb not null default '{}',
    add column sql_sha256 text;
comment on column ops.publications.loads is
    'The newest load of each source whose rows are in, as {dataset: load_id}';
comment on column ops.publications.sql_sha256 is 'Digest of the SELECT that built it';
