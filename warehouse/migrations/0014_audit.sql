-- The audit log: who did what, when, from where, with what outcome. Rows are only ever added, each
-- holds the hash of the one before, and signatures made with a key that is not in this database
-- (secrets.json: audit_key) stand beside it. `carrel audit verify` checks all of it.

create schema audit;

create table audit.entries (
    entry_id bigint primary key,
    at timestamptz not null,
    noted_at timestamptz not null,
    who text not null,
    role text not null,
    address text not null,
    door text not null check (door ~ '^[a-z_]{1,20}$'),
    act text not null check (act ~ '^[a-z_]{1,40}$'),
    subject text not null,
    outcome text not null check (outcome in ('begun', 'done', 'refused', 'failed')),
    details jsonb not null,
    login text not null,
    previous bytea not null,
    hash bytea not null
);
create index on audit.entries (noted_at);
create index on audit.entries (at);
create index on audit.entries (lower(who), entry_id);
create index on audit.entries (act, entry_id);
comment on table audit.entries is 'One row an act; rows are only ever added, through audit.append';
comment on column audit.entries.at is 'When it was done';
comment on column audit.entries.noted_at is 'When it was written down: views are, a moment later';
comment on column audit.entries.who is 'E-mail of an account, or a user of the system';
comment on column audit.entries.login is 'The database login through which it was written down';
comment on column audit.entries.previous is 'Hash of the entry before; 32 zero bytes before the first';
comment on column audit.entries.hash is 'SHA-256 of audit.canonical(entry)';

create table audit.chain (
    one smallint primary key check (one = 1),
    entry_id bigint not null,
    hash bytea not null,
    signed_id bigint not null,
    signed_at timestamptz not null
);
insert into audit.chain values (1, 0, decode(repeat('00', 32), 'hex'), 0, '1970-01-01 00:00:00+00');
comment on table audit.chain is 'The end of the chain; its one row is locked while entries are added';

create table audit.heads (
    entry_id bigint primary key,
    hash bytea not null,
    signed_at timestamptz not null,
    key_print text not null,
    signature text not null
);
comment on table audit.heads is
    'Hashes of entries, signed with a key that is outside this database (HMAC-SHA-256)';

create table audit.anchors (
    anchor_id bigint generated always as identity primary key,
    kind text not null check (kind in ('cut', 'taken over')),
    entry_id bigint not null,
    hash bytea not null,
    signed_at timestamptz not null,
    key_print text not null,
    signature text not null
);
comment on table audit.anchors is
    'Signed places from which what is left is verified: all before a cut went by retention; all'
    ' before a taking-over came from a backup with another key';

-- Hashing --------------------------------------------------------------------------------------------

create function audit.part(value text) returns text
language sql immutable strict set search_path = pg_catalog as
$$ select octet_length(convert_to(value, 'UTF8')) || ':' || value || ',' $$;

create function audit.moment(at timestamptz) returns text
language sql stable strict set search_path = pg_catalog as
$$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

create function audit.canonical(e audit.entries) returns bytea
language sql stable strict set search_path = pg_catalog as $$
    select convert_to(
        audit.part('carrel audit 1') || audit.part(e.entry_id::text)
        || audit.part(audit.moment(e.at)) || audit.part(audit.moment(e.noted_at))
        || audit.part(e.who) || audit.part(e.role) || audit.part(e.address)
        || audit.part(e.door) || audit.part(e.act) || audit.part(e.subject)
        || audit.part(e.outcome) || audit.part(e.details::text) || audit.part(e.login)
        || audit.part(encode(e.previous, 'hex')),
        'UTF8'
    )
$$;
comment on function audit.canonical is
    'What is hashed: each part as "<bytes>:<text>,", so that no two entries are written alike';

-- Adding ---------------------------------------------------------------------------------------------

create function audit.append(notes jsonb)
returns table (last_id bigint, last_hash bytea, unsigned bigint, unsigned_for interval)
language plpgsql security definer set search_path = pg_catalog as $$
declare
    ends audit.chain;
    note jsonb;
    entry audit.entries;
    viewer text := app.viewer_user();
    of_viewers boolean := session_user in (
        :'role_prefix' || '_admin', :'role_prefix' || '_librarian', :'role_prefix' || '_member'
    );
begin
    if of_viewers and viewer is null then
        raise exception 'Without a valid claim nothing is noted.' using errcode = '42501';
    end if;
    select * into strict ends from audit.chain for update;
    for note in select n from jsonb_array_elements(notes) as n loop
        entry.entry_id := ends.entry_id + 1;
        entry.noted_at := clock_timestamp();
        entry.at := coalesce((note ->> 'at')::timestamptz, entry.noted_at);
        entry.who := coalesce(note ->> 'who', '');
        entry.role := coalesce(note ->> 'role', '');
        if of_viewers then  -- a viewer's login speaks for that viewer only, and of now
            entry.at := entry.noted_at;
            entry.who := viewer;
            entry.role := app.viewer_role();
        elsif (note ->> 'claimed')::boolean and not exists (
            select from app.accounts a where lower(a.email) = lower(entry.who)
        ) then  -- what was typed may be a password
            entry.who := '(no account)';
        end if;
        entry.address := coalesce(note ->> 'address', '');
        entry.door := note ->> 'door';
        entry.act := note ->> 'act';
        entry.subject := coalesce(note ->> 'subject', '');
        entry.outcome := coalesce(note ->> 'outcome', 'done');
        entry.details := coalesce(note -> 'details', '{}');
        entry.login := session_user;
        entry.previous := ends.hash;
        entry.hash := sha256(audit.canonical(entry));
        insert into audit.entries select entry.*;
        ends.entry_id := entry.entry_id;
        ends.hash := entry.hash;
    end loop;
    update audit.chain set entry_id = ends.entry_id, hash = ends.hash;
    return query select ends.entry_id, ends.hash, ends.entry_id - ends.signed_id,
        clock_timestamp() - ends.signed_at;
end $$;
comment on function audit.append is
    'Add entries to the chain; others wait from here to the end of the transaction';

create function audit.sign(signed bigint, of_hash bytea, at timestamptz, print text, mac text)
returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    update audit.chain c set signed_id = signed, signed_at = at
    where c.entry_id = signed and c.hash = of_hash;
    if not found then
        raise exception 'Only the end of the chain is signed.' using errcode = 'CA001';
    end if;
    insert into audit.heads values (signed, of_hash, at, print, mac) on conflict do nothing;
end $$;

-- Only ever added to ---------------------------------------------------------------------------------

create function audit.stays() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if tg_op = 'DELETE' and tg_table_name <> 'anchors'
        and current_setting('carrel.audit_cut', true) = 'on' then
        return old;  -- retention, which leaves a signed anchor; only the owner may delete at all
    end if;
    raise exception 'The audit log is only ever added to.' using errcode = 'CA001';
end $$;
create trigger stays before update or delete on audit.entries
for each row execute function audit.stays();
create trigger stays before update or delete on audit.heads
for each row execute function audit.stays();
create trigger stays before update or delete on audit.anchors
for each row execute function audit.stays();
create trigger stays_whole before truncate on audit.entries
for each statement execute function audit.stays();
create trigger stays_whole before truncate on audit.heads
for each statement execute function audit.stays();
create trigger stays_whole before truncate on audit.anchors
for each statement execute function audit.stays();

-- Rights ---------------------------------------------------------------------------------------------

revoke all on all functions in schema audit from public;
grant usage on schema audit to :app, :admin, :librarian, :member;
grant execute on function audit.append, audit.sign to :app, :admin, :librarian, :member;
grant select on audit.entries to :admin;
alter table audit.entries enable row level security;
create policy admin_reads on audit.entries for select to :admin
    using ((select app.viewer_role()) = 'admin');
