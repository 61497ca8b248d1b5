-- The REST API: refresh tokens, keys of programs, answers kept for requests that are sent again, and
-- what an admin's own login may do to accounts.

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

-- Rights that change end what was opened with the old ones, whoever changes them.

create function app.end_sessions() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update app.sessions set ended_at = now()
    where account_id = new.account_id and ended_at is null;
    return null;
end $$;
create trigger rights_changed after update of role, branches, member_key, disabled_at on app.accounts
    for each row when (
        (old.role, old.branches, old.member_key, old.disabled_at)
        is distinct from (new.role, new.branches, new.member_key, new.disabled_at)
    ) execute function app.end_sessions();

-- Accounts, for admins: their login may call these, no other viewer's may; the claim is asked too.

create function app.check_admin() returns void
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    if app.viewer_role() is distinct from 'admin' then
        raise exception 'Accounts are looked after by admins.' using errcode = '42501';
    end if;
end $$;

create function app.users(after bigint default 0, most integer default 200, wanted bigint default null)
returns table (
    account_id bigint, email text, name text, role text, branches text[], linked boolean,
    created_at timestamptz, disabled_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    perform app.check_admin();
    return query
    select a.account_id, a.email, a.name, a.role, a.branches, a.member_key is not null,
        a.created_at, a.disabled_at
    from app.accounts a
    where a.account_id > after and (wanted is null or a.account_id = wanted)
    order by a.account_id limit most;
end $$;

create function app.add_user(
    email text, name text, role text, branches text[], member_key text, password_hash text
) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    made bigint;
begin
    perform app.check_admin();
    insert into app.accounts (email, name, role, branches, member_key, password_hash)
    values (add_user.email, add_user.name, add_user.role, add_user.branches, add_user.member_key,
        add_user.password_hash)
    on conflict (lower(accounts.email)) do nothing returning account_id into made;
    return made;
end $$;

create function app.change_user(
    which bigint, to_name text default null, to_role text default null,
    to_branches text[] default null, disable boolean default null
) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform app.check_admin();
    perform from app.accounts a
    where a.account_id = which and lower(a.email) = lower(app.viewer_user());
    if found and (disable or to_role is not null) then
        raise exception 'Nobody takes the own rights away.' using errcode = 'CA001';
    end if;
    update app.accounts a set
        name = coalesce(to_name, a.name),
        role = coalesce(to_role, a.role),
        branches = coalesce(to_branches, a.branches),
        disabled_at = case
            when disable is null then a.disabled_at
            when disable then coalesce(a.disabled_at, now())
        end
    where a.account_id = which;
end $$;

create function app.sessions_of(which bigint)
returns table (
    session_id uuid, started_at timestamptz, seen_at timestamptz, expires_at timestamptz,
    address text, client text
)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    perform app.check_admin();
    return query
    select s.session_id, s.started_at, s.seen_at, s.expires_at, s.address, s.client
    from app.sessions s
    where s.account_id = which and s.ended_at is null and s.expires_at > now()
    order by s.started_at desc, s.session_id limit 200;
end $$;

create function app.end_sessions_of(which bigint) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    ended integer;
begin
    perform app.check_admin();
    update app.sessions s set ended_at = now()
    where s.account_id = which and s.ended_at is null;
    get diagnostics ended = row_count;
    return ended;
end $$;

revoke all on function app.end_sessions, app.check_admin, app.users, app.add_user, app.change_user,
    app.sessions_of, app.end_sessions_of from public;
grant execute on function app.users, app.add_user, app.change_user, app.sessions_of,
    app.end_sessions_of to :admin;
