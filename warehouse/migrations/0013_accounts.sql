-- How people come to an account, prove who they are, and lose it again.

-- Accounts ------------------------------------------------------------------------------------------
-- An account without a password was invited, or signs in elsewhere. One that nobody approved waits.

alter table app.accounts
    alter column password_hash drop not null,
    add column has_password boolean generated always as (password_hash is not null) stored,
    add column approved_at timestamptz default now(),
    add column stated_key text;
comment on column app.accounts.stated_key is
    'Pseudonym of the member number that the person stated; it shows nothing until an admin links it';

create table app.identities (
    issuer text not null,
    subject text not null,
    account_id bigint not null references app.accounts on delete cascade,
    linked_at timestamptz not null default now(),
    primary key (issuer, subject)
);
create index on app.identities (account_id);
comment on table app.identities is 'Whom a provider of OpenID Connect knows under which subject';

create table app.second_factors (
    account_id bigint primary key references app.accounts on delete cascade,
    secret bytea not null,
    made_at timestamptz not null default now(),
    confirmed_at timestamptz,
    last_step bigint not null default 0
);
comment on column app.second_factors.secret is 'AES-256-GCM: nonce, then the sealed secret';
comment on column app.second_factors.last_step is 'Newest time step whose code was accepted';

create table app.recovery_codes (
    account_id bigint not null references app.second_factors on delete cascade,
    code_sha256 bytea not null,
    used_at timestamptz,
    primary key (account_id, code_sha256)
);

create table app.tokens (
    token_sha256 bytea primary key,
    purpose text not null check (purpose in ('join', 'reset', 'second')),
    account_id bigint references app.accounts on delete cascade,
    email text,
    name text,
    stated_key text,
    attempts integer not null default 0,
    made_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint for_whom check ((account_id is null) = (email is not null))
);
create index on app.tokens (account_id);
comment on table app.tokens is
    'What a link or a half-done sign-in stands for; each is used once, and the token is not kept';

create table app.letters (
    letter_id bigint generated always as identity primary key,
    kind text not null check (kind in ('join', 'reset', 'changed')),
    email text not null,
    name text not null default '',
    stated_key text,
    note text not null default '',
    asked_at timestamptz not null default clock_timestamp(),
    next_try_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    last_error text
);
create index on app.letters (next_try_at);
comment on table app.letters is
    'Mails to be written. A link is made when its mail is sent, so that none is kept here';

create function app.letter_asked() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    notify carrel_letters;
    return null;
end $$;
create trigger asked after insert on app.letters
    for each statement execute function app.letter_asked();

-- Sessions, devices, sign-ins -----------------------------------------------------------------------

alter table app.sessions add column method text not null default 'password';

create table app.devices (
    device_id uuid primary key default gen_random_uuid(),
    account_id bigint not null references app.accounts on delete cascade,
    token_sha256 bytea not null unique,
    made_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
create index on app.devices (account_id);
comment on table app.devices is
    'Browsers that an account signed in from: what strangers get wrong does not slow them down';

alter table app.sign_ins
    drop constraint sign_ins_outcome_check,
    add constraint sign_ins_outcome_check
        check (outcome in ('ok', 'refused', 'locked', 'second', 'asked')),
    add column device_id uuid;
create index on app.sign_ins (address, at desc);
create index on app.sign_ins (at);
comment on column app.sign_ins.outcome is
    'ok; refused: wrong password; second: wrong second factor; locked: told to wait;'
    ' asked: for an account or a new password';

-- A change of rights ends every session at once, whoever makes it; one admin always stays.

create function app.rights_changed() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if old.role = 'admin' and old.disabled_at is null
        and (new.role <> 'admin' or new.disabled_at is not null) then
        perform pg_advisory_xact_lock(hashtext('carrel admins'));
        if not exists (
            select from app.accounts a
            where a.role = 'admin' and a.disabled_at is null and a.approved_at is not null
                and a.account_id <> old.account_id
                and (a.has_password or exists (
                    select from app.identities i where i.account_id = a.account_id
                ))
        ) then
            raise exception 'No other admin could sign in.' using errcode = 'CA001';
        end if;
    end if;
    update app.sessions set ended_at = clock_timestamp()
    where account_id = new.account_id and ended_at is null;
    return null;
end $$;
create trigger rights_changed
    after update of role, branches, member_key, disabled_at, approved_at on app.accounts
    for each row when (
        (old.role, old.branches, old.member_key, old.disabled_at, old.approved_at)
        is distinct from
        (new.role, new.branches, new.member_key, new.disabled_at, new.approved_at)
    )
    execute function app.rights_changed();

-- What admins may -----------------------------------------------------------------------------------

create function app.member_is_known(key text) returns boolean
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
    found_it boolean;
begin
    if app.viewer_role() is distinct from 'admin'
        or to_regclass('silver.library_members') is null then
        return null;
    end if;
    execute 'select exists (select from silver.library_members where member_key = $1)'
        into found_it using key;
    return found_it;
end $$;
comment on function app.member_is_known is
    'Whether the library knows a member under a pseudonym, for admins; null when it cannot say';

create function app.remove_second_factor(which bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if app.viewer_role() is distinct from 'admin' then
        raise exception 'Admins do this.' using errcode = '42501';
    end if;
    delete from app.second_factors where account_id = which;
    return found;
end $$;
comment on function app.remove_second_factor is
    'Take the second factor from who lost it, for admins';

-- Rights --------------------------------------------------------------------------------------------

revoke all on function app.letter_asked, app.rights_changed, app.member_is_known,
    app.remove_second_factor from public;
grant execute on function app.member_is_known, app.remove_second_factor to :admin;

grant select, insert, update, delete on app.identities, app.second_factors, app.recovery_codes,
    app.tokens, app.devices to :app;
grant insert on app.letters to :app, :admin;

grant select (
    account_id, email, name, role, branches, member_key, has_password, approved_at, stated_key,
    created_at, disabled_at
), insert (email, name, role, branches, member_key),
    update (name, role, branches, member_key, stated_key, approved_at, disabled_at)
    on app.accounts to :admin;
grant select (
    session_id, account_id, started_at, seen_at, expires_at, ended_at, address, client, method
), update (ended_at) on app.sessions to :admin;
grant select on app.sign_ins, app.identities to :admin;
grant select (account_id, confirmed_at) on app.second_factors to :admin;

alter table app.accounts enable row level security;
alter table app.sessions enable row level security;
alter table app.sign_ins enable row level security;
alter table app.identities enable row level security;
alter table app.second_factors enable row level security;
alter table app.letters enable row level security;

create policy sign_in_form on app.accounts to :app using (true) with check (true);
create policy sign_in_form on app.sessions to :app using (true) with check (true);
create policy sign_in_form on app.sign_ins to :app using (true) with check (true);
create policy sign_in_form on app.identities to :app using (true) with check (true);
create policy sign_in_form on app.second_factors to :app using (true) with check (true);
create policy sign_in_form on app.letters for insert to :app with check (true);
create policy admins_do on app.accounts to :admin
    using ((select app.viewer_role()) = 'admin') with check ((select app.viewer_role()) = 'admin');
create policy admins_do on app.sessions to :admin
    using ((select app.viewer_role()) = 'admin') with check ((select app.viewer_role()) = 'admin');
create policy admins_read on app.sign_ins for select to :admin
    using ((select app.viewer_role()) = 'admin');
create policy admins_read on app.identities for select to :admin
    using ((select app.viewer_role()) = 'admin');
create policy admins_read on app.second_factors for select to :admin
    using ((select app.viewer_role()) = 'admin');
create policy admins_ask on app.letters for insert to :admin
    with check ((select app.viewer_role()) = 'admin');
