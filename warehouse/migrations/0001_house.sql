-- The house: schemas, the ledger of loads, quality results, accounts, and the viewer's claim.
-- Role names (:owner, :app, :admin, :librarian, :member) are filled in by warehouse/migrate.py.

create schema bronze;
create schema silver;
create schema quarantine;
create schema gold;
create schema if not exists ops;
create schema quality;
create schema app;
create schema private;
create schema staging;

-- Files and loads -------------------------------------------------------------------------------

create table ops.files (
    file_id bigint generated always as identity primary key,
    dataset text not null,
    path text not null,
    sha256 text not null,
    bytes bigint not null,
    encoding text not null,
    delimiter text not null,
    first_seen_at timestamptz not null default now()
);
create index on ops.files (dataset, sha256);
comment on table ops.files is 'Each distinct file that arrived for a dataset';

create table ops.loads (
    load_id bigint generated always as identity primary key,
    dataset text not null,
    file_id bigint references ops.files,
    state text not null check (state in ('landing', 'landed', 'done', 'unchanged', 'failed')),
    run_id text,
    actor text not null default session_user,
    forced boolean not null default false,
    started_at timestamptz not null default clock_timestamp(),
    landed_at timestamptz,
    done_at timestamptz,
    lines bigint,
    rows_in bigint,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    rows_unchanged bigint,
    rows_quarantined bigint,
    rows_ignored bigint,
    rows_before bigint,
    rows_after bigint,
    changed_days date[],
    error text,
    constraint nothing_lost check (
        state <> 'done'
        or rows_in = rows_inserted + rows_updated + rows_unchanged + rows_quarantined + rows_ignored
    )
);
create index on ops.loads (dataset, load_id desc);
comment on table ops.loads is 'Audit of loads: who, when, which file, and where each record went';
comment on column ops.loads.changed_days is
    'Event days whose rows changed; null when gold must be rebuilt whole';

create table ops.steps (
    step_id bigint generated always as identity primary key,
    run_id text not null,
    dataset text,
    step text not null,
    state text not null check (state in ('done', 'failed', 'held')),
    started_at timestamptz not null,
    ended_at timestamptz not null default clock_timestamp(),
    rows bigint,
    message text
);
create index on ops.steps (run_id);
create index on ops.steps (dataset, step_id desc);
comment on table ops.steps is 'Each step of each run: start, end, rows, outcome';

create table ops.publications (
    table_name text primary key,
    published_at timestamptz not null,
    complete_to timestamptz not null,
    run_id text,
    rows bigint not null,
    sources text[] not null
);
comment on table ops.publications is
    'Gold tables as they stand: all changes before complete_to are in';

create table ops.catalogue (
    table_name text primary key,
    layer text not null,
    domain text not null,
    name text not null,
    title text not null,
    grain text not null,
    description text not null default '',
    licence text,
    key_columns text[] not null,
    access jsonb not null,
    columns jsonb not null
);
comment on table ops.catalogue is
    'What each dataset and gold table is; columns: [{name, type, meaning, privacy}]';

-- Quality ---------------------------------------------------------------------------------------

create table quality.verdicts (
    verdict_id bigint generated always as identity primary key,
    dataset text not null,
    load_id bigint references ops.loads,
    run_id text,
    outcome text not null check (outcome in ('passed', 'failed', 'error')),
    checks integer not null,
    passed integer not null,
    judged_at timestamptz not null default clock_timestamp(),
    message text
);
create index on quality.verdicts (dataset, verdict_id desc);

create table quality.results (
    verdict_id bigint not null references quality.verdicts on delete cascade,
    name text not null,
    check_type text not null,
    column_name text,
    outcome text not null,
    measured double precision,
    threshold text,
    primary key (verdict_id, name)
);
comment on table quality.results is 'Each check of each verdict, with its measured value';

-- Accounts and sessions (read and written by the app's own login only) ------------------------------

create table app.accounts (
    account_id bigint generated always as identity primary key,
    email text not null,
    name text not null,
    role text not null check (role in ('admin', 'librarian', 'member')),
    branches text[] not null default '{}',
    member_key text,
    password_hash text not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz
);
create unique index on app.accounts (lower(email));

create table app.sessions (
    session_id uuid primary key default gen_random_uuid(),
    account_id bigint not null references app.accounts on delete cascade,
    token_sha256 bytea not null unique,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    address text,
    client text
);
create index on app.sessions (account_id);

create table app.sign_ins (
    sign_in_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    email text not null,
    address text,
    outcome text not null check (outcome in ('ok', 'refused', 'locked'))
);
create index on app.sign_ins (lower(email), at desc);

create table app.requests (
    request_id bigint generated always as identity primary key,
    asked_at timestamptz not null default now(),
    asked_by text not null,
    action text not null,
    subject text not null,
    state text not null default 'open',
    done_at timestamptz,
    message text
);
comment on table app.requests is 'What people asked the pipelines to do; deployments act on it';

-- The viewer's claim ---------------------------------------------------------------------------------
-- The app signs "user|role|branches|member|expiry" and sets it for one transaction; policies call
-- app.viewer_*(), which trust a claim only when its signature, its expiry and its role hold.
-- PostgreSQL has no HMAC without pgcrypto, so it is built here from sha256() (RFC 2104).

create table private.claim_key (
    key_id smallint primary key check (key_id = 1),
    ipad bytea not null,
    opad bytea not null
);

create function private.checked_claim() returns text[]
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
    claim text := current_setting('carrel.claim', true);
    body text;
    parts text[];
    signature text;
begin
    if claim is null or claim = '' then
        return null;
    end if;
    body := substring(claim from '^(.*)\|[0-9a-f]{64}$');
    select encode(sha256(k.opad || sha256(k.ipad || convert_to(body, 'UTF8'))), 'hex')
      into signature from private.claim_key k;
    if signature is distinct from right(claim, 64) then
        return null;
    end if;
    parts := string_to_array(body, '|');
    if array_length(parts, 1) <> 5 or parts[5]::bigint < extract(epoch from clock_timestamp()) then
        return null;
    end if;
    if session_user <> (:'role_prefix' || '_' || parts[2]) then
        return null;
    end if;
    return parts;
end $$;

create function app.viewer_user() returns text
language sql stable security definer set search_path = pg_catalog as
$$ select (private.checked_claim())[1] $$;

create function app.viewer_role() returns text
language sql stable security definer set search_path = pg_catalog as
$$ select (private.checked_claim())[2] $$;

create function app.viewer_branches() returns text[]
language sql stable security definer set search_path = pg_catalog as
$$ select string_to_array(nullif((private.checked_claim())[3], ''), ',') $$;

create function app.viewer_member() returns text
language sql stable security definer set search_path = pg_catalog as
$$ select nullif((private.checked_claim())[4], '') $$;

-- Rights ---------------------------------------------------------------------------------------------

revoke all on schema public from public;
revoke all on all functions in schema app, private from public;

grant usage on schema app, ops, quality to :app;
grant select, insert, update on app.accounts, app.sessions to :app;
grant select, insert on app.sign_ins to :app;

grant usage on schema silver, gold, ops, quality, app to :admin, :librarian, :member;
grant execute on function app.viewer_user(), app.viewer_role(), app.viewer_branches(),
    app.viewer_member() to :admin, :librarian, :member;
grant select on ops.publications, ops.catalogue to :app, :admin, :librarian, :member;
grant select on quality.verdicts to :admin, :librarian, :member;
grant select on quality.results, ops.loads, ops.steps to :admin, :librarian;
grant insert (asked_by, action, subject) on app.requests to :admin;
alter table app.requests enable row level security;
create policy admin_asks on app.requests for insert to :admin
    with check (asked_by = (select app.viewer_user()) and (select app.viewer_role()) = 'admin');
