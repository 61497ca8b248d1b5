-- What people see and decide about themselves: consent to a history, their own data, another e-mail.

-- Consent to a history --------------------------------------------------------------------------------
-- What a member said on the page, beside what the library's system says. The newest word counts.

create table app.history_consents (
    consent_id bigint generated always as identity primary key,
    member_key text not null,
    said text not null check (said in ('given', 'withdrawn')),
    at timestamptz not null default clock_timestamp()
);
create index on app.history_consents (member_key, consent_id);
comment on table app.history_consents is
    'What members said of the keeping of a history; only ever added to, as its proof';

create function app.history_since(stated date, zone text) returns timestamp
language sql stable security definer set search_path = pg_catalog as $$
    with said as (
        select c.consent_id, c.said, c.at from app.history_consents c
        where c.member_key = (select app.viewer_member())
    ),
    taken_back as (
        select max(consent_id) as consent_id, max(at) at time zone zone as at
        from said where said = 'withdrawn'
    )
    select least(
        (select min(s.at) at time zone zone from said s
         where s.said = 'given' and s.consent_id > coalesce(t.consent_id, 0)),
        case when t.at is null or stated > t.at::date then stated::timestamp end
    )
    from taken_back t
$$;
comment on function app.history_since is
    'Since when the member of the claim wants a history, in local time; null: not wanted. `stated` is'
    ' the day that the library''s system has: it counts unless it was taken back since';

create function app.say_of_history(agreed boolean) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
declare
    member text := app.viewer_member();
    word text := case when agreed then 'given' else 'withdrawn' end;
    latest app.history_consents;
begin
    if app.viewer_role() is distinct from 'member' or member is null then
        raise exception 'Only a member says this.' using errcode = '42501';
    end if;
    perform pg_advisory_xact_lock(hashtext('carrel consent'), hashtext(member));
    select * into latest from app.history_consents c
    where c.member_key = member order by c.consent_id desc limit 1;
    if latest.said = word and (agreed or latest.at > clock_timestamp() - interval '1 minute') then
        return false;  -- the system may have another consent later, so taking back may be said again
    end if;
    insert into app.history_consents (member_key, said) values (member, word);
    return true;
end $$;
comment on function app.say_of_history is
    'A member agrees to a history from now on, or takes that back; false where it is so already';

-- Another e-mail ----------------------------------------------------------------------------------------

create table app.email_changes (
    change_id bigint generated always as identity primary key,
    account_id bigint not null references app.accounts on delete cascade,
    old_email text not null,
    new_email text not null,
    asked_at timestamptz not null default now(),
    confirm_sha256 bytea unique,
    confirm_until timestamptz,
    object_sha256 bytea unique,
    object_until timestamptz,
    done_at timestamptz,
    given_up_at timestamptz,
    objected_at timestamptz,
    undone_at timestamptz
);
create index on app.email_changes (account_id);
comment on table app.email_changes is
    'An account''s change of address: done when the new one confirms, stopped when the old one objects;'
    ' the tokens of both links are not kept';

alter table app.letters
    drop constraint letters_kind_check,
    add constraint letters_kind_check
        check (kind in ('join', 'reset', 'changed', 'confirm_email', 'object_email'));
comment on column app.letters.note is
    'changed: what; confirm_email, object_email: the number of the change';

-- What was typed as an e-mail may be a password: only accounts' addresses stay.
update app.sign_ins s set email = '(no account)'
where not exists (select from app.accounts a where lower(a.email) = lower(s.email));
comment on column app.sign_ins.email is
    'An account''s address; of others a keyed hash, since it may be a password';

-- The own data --------------------------------------------------------------------------------------------
-- Each view shows what is about the viewer of the claim, to every role alike, and nothing else.

create view app.own_addresses with (security_barrier) as
with me as (
    select a.account_id, a.email, a.created_at from app.accounts a
    where lower(a.email) = lower((select app.viewer_user()))
),
changed as (select c.* from app.email_changes c join me using (account_id)),
switched as (
    select m.created_at as at, coalesce(
        (select c.old_email from changed c where c.done_at is not null order by c.done_at limit 1),
        m.email
    ) as address
    from me m
    union all select c.done_at, c.new_email from changed c where c.done_at is not null
    union all select c.undone_at, c.old_email from changed c where c.undone_at is not null
)
select lower(address) as address, at as since,
    coalesce(lead(at) over (order by at), 'infinity') as until
from switched;
comment on view app.own_addresses is
    'The viewer''s address now and before, each while it was theirs: others may have had it since';

create view app.my_account with (security_barrier) as
select a.account_id, a.email, a.name, a.role, a.branches, a.member_key is not null as card_linked,
    a.has_password, a.created_at, a.approved_at, f.confirmed_at as second_factor_since,
    (select count(*) from app.recovery_codes r
     where r.account_id = a.account_id and r.used_at is null) as recovery_codes_left
from app.accounts a left join app.second_factors f using (account_id)
where lower(a.email) = lower((select app.viewer_user()));

create view app.my_identities with (security_barrier) as
select i.linked_at, i.issuer, i.subject
from app.identities i join app.my_account m using (account_id);

create view app.my_sessions with (security_barrier) as
select s.started_at, s.seen_at, s.expires_at, s.ended_at, s.address, s.client, s.method
from app.sessions s join app.my_account m using (account_id);

create view app.my_devices with (security_barrier) as
select d.made_at, d.seen_at from app.devices d join app.my_account m using (account_id);

create view app.my_keys with (security_barrier) as
select k.created_at, k.name, k.prefix, k.scopes, k.expires_at, k.last_used_at, k.ended_at
from app.api_keys k join app.my_account m using (account_id);

create view app.my_email_changes with (security_barrier) as
select c.asked_at, c.old_email, c.new_email, c.done_at, c.given_up_at, c.objected_at, c.undone_at
from app.email_changes c join app.my_account m using (account_id);

create view app.my_consents with (security_barrier) as
select c.at, c.said from app.history_consents c
where c.member_key = (select app.viewer_member());

create view app.my_sign_ins with (security_barrier) as
select s.at, s.email, s.address, s.outcome
from app.sign_ins s
join app.own_addresses o on lower(s.email) = o.address and s.at >= o.since and s.at < o.until;

create view app.my_activity with (security_barrier) as
select e.entry_id, e.at, e.who, e.role, e.address, e.door, e.act, e.subject, e.outcome, e.details
from audit.entries e
join app.own_addresses o on lower(e.who) = o.address and e.at >= o.since and e.at < o.until;

create view app.my_requests with (security_barrier) as
select r.asked_at, r.action, r.subject, r.state, r.done_at
from app.requests r
join app.own_addresses o
    on lower(r.asked_by) = o.address and r.asked_at >= o.since and r.asked_at < o.until;

create view app.my_alert_acts with (security_barrier) as
select v.at, v.alert_id, v.action, v.to_state, v.note
from quality.alert_events v
join app.own_addresses o on lower(v.who) = o.address and v.at >= o.since and v.at < o.until;

-- Rights ----------------------------------------------------------------------------------------------------

revoke all on function app.history_since, app.say_of_history from public;
grant execute on function app.history_since, app.say_of_history to :member;
grant select, insert, update on app.email_changes to :app;
grant select on app.own_addresses, app.my_account, app.my_identities, app.my_sessions, app.my_devices, app.my_keys,
    app.my_email_changes, app.my_consents, app.my_sign_ins, app.my_activity, app.my_requests,
    app.my_alert_acts to :admin, :librarian, :member;
