-- The REST API: refresh tokens, keys of programs, answers kept for requests that are sent again.

create table app.refresh_tokens (
    token_sha256 bytea primary key,
    session_id uuid not null references app.sessions on delete cascade,
    issued_at timestamptz not null default now(),
    used_at timestamptz
);
create index on app.refresh_tokens (session_id);
comment on table app.refresh_tokens is
    'Each is good once. A session''s tokens are one family: an old one used again ends the session';

create table app.api_keys (
    key_id bigint generated always as identity primary key,
    account_id bigint not null references app.accounts on delete cascade,
    name text not null check (length(name) between 1 and 100),
    prefix text not null,
    key_sha256 bytea not null unique,
    scopes text[] not null
        check (scopes <> '{}' and scopes <@ array['read', 'export', 'act', 'admin']),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    last_used_at timestamptz,
    ended_at timestamptz
);
create index on app.api_keys (account_id);
comment on table app.api_keys is
    'Keys of programs: a key sees what its account sees, and does no more than its scopes';

create table app.answers (
    account_id bigint not null references app.accounts on delete cascade,
    key text not null check (length(key) between 1 and 200),
    request_sha256 bytea not null,
    at timestamptz not null default now(),
    status smallint,
    body text,
    primary key (account_id, key)
);
create index on app.answers (at);
comment on table app.answers is
    'Answers to requests with an Idempotency-Key, kept for a day; without a status: under way';

grant select, insert, update on app.refresh_tokens, app.api_keys to :app;
grant select, insert, update, delete on app.answers to :app;
