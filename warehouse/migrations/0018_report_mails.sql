-- Reports by mail: who wants which page when, and what became of each mail.

create table app.subscriptions (
    subscription_id bigint generated always as identity primary key,
    account_id bigint not null references app.accounts on delete cascade,
    page text not null check (page ~ '^[a-z_]{1,40}$'),
    choice jsonb not null default '{}',
    every text not null check (every in ('day', 'week', 'month')),
    on_day smallint,
    at_hour smallint not null check (at_hour between 0 and 23),
    files text[] not null,
    made_at timestamptz not null default clock_timestamp(),
    next_due_at timestamptz not null,
    paused_at timestamptz,
    paused_why text check (length(paused_why) <= 300),
    constraint choice_is_short check (
        jsonb_typeof(choice) = 'object' and length(choice::text) <= 4000
    ),
    constraint day_of_what check (
        case every
            when 'day' then on_day is null
            when 'week' then on_day is not null and on_day between 1 and 7
            else on_day is not null and on_day between 1 and 31
        end
    ),
    constraint files_are_known check (
        files <@ array['pdf', 'xlsx'] and cardinality(files) between 1 and 2
    )
);
create index on app.subscriptions (account_id);
create index on app.subscriptions (next_due_at) where paused_at is null;
comment on table app.subscriptions is
    'Reports that people have mailed to them; made with the rights that they have at that moment';
comment on column app.subscriptions.choice is 'The filters, as in the page''s address: {key: [text]}';
comment on column app.subscriptions.on_day is
    'ISO weekday, or day of the month, of a shorter month its last; null where daily';
comment on column app.subscriptions.at_hour is 'Hour of the day where the library is';
comment on column app.subscriptions.paused_why is 'Why Carrel sends it no more; in its words';

create table app.sendings (
    sending_id bigint generated always as identity primary key,
    subscription_id bigint not null references app.subscriptions on delete cascade,
    due_at timestamptz not null,
    state text not null default 'waiting'
        check (state in ('waiting', 'sending', 'sent', 'uncertain', 'not sent')),
    attempts integer not null default 0,
    next_try_at timestamptz not null default clock_timestamp(),
    made_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    note text,
    told boolean not null default false,
    unique (subscription_id, due_at)
);
create index on app.sendings (next_try_at) where state = 'waiting';
create index on app.sendings (state) where state in ('sending', 'uncertain');
comment on table app.sendings is 'One row a mail that fell due; rows go when they are a year old';
comment on column app.sendings.state is
    'sending: being handed to the mail server, noted before it is; uncertain: a process died'
    ' meanwhile, so that nobody knows, and it is not sent again unless its person asks for it';
comment on column app.sendings.told is 'Whether a later mail said that this one is uncertain';

-- Whose they are --------------------------------------------------------------------------------------

create function app.viewer_account() returns bigint
language sql stable security definer set search_path = pg_catalog as $$
    select account_id from app.accounts
    where lower(email) = lower(app.viewer_user()) and disabled_at is null
$$;
comment on function app.viewer_account is 'The account of who asks; null without a valid claim';

create function app.send_again(which bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
    update app.sendings g set state = 'waiting', next_try_at = clock_timestamp(), attempts = 0
    from app.subscriptions s
    where g.sending_id = which and g.state in ('uncertain', 'not sent')
        and s.subscription_id = g.subscription_id and s.account_id = app.viewer_account();
    return found;
end $$;
comment on function app.send_again is
    'Have an own mail sent again that was not sent, or of which nobody knows';

create function app.unsubscribe(which bigint) returns text
language plpgsql security definer set search_path = pg_catalog as $$
declare
    whose text;
begin
    delete from app.subscriptions s using app.accounts a
    where s.subscription_id = which and a.account_id = s.account_id
    returning a.email into whose;
    return whose;
end $$;
comment on function app.unsubscribe is
    'End a subscription by the signed link of its mail; whose it was, null where it was ended before';

create function app.subscription_page(which bigint) returns text
language sql stable security definer set search_path = pg_catalog as $$
    select page from app.subscriptions where subscription_id = which
$$;

-- Rights ----------------------------------------------------------------------------------------------

revoke all on function app.viewer_account, app.send_again, app.unsubscribe, app.subscription_page
    from public;
grant execute on function app.viewer_account, app.send_again to :admin, :librarian, :member;
grant execute on function app.unsubscribe, app.subscription_page to :app;

grant select, delete, insert (account_id, page, choice, every, on_day, at_hour, files, next_due_at),
    update (every, on_day, at_hour, files, next_due_at, paused_at, paused_why)
    on app.subscriptions to :admin, :librarian, :member;
grant select on app.sendings to :admin, :librarian, :member;

alter table app.subscriptions enable row level security;
alter table app.sendings enable row level security;
create policy own on app.subscriptions to :admin, :librarian, :member
    using (account_id = (select app.viewer_account()))
    with check (account_id = (select app.viewer_account()));
create policy admins_see on app.subscriptions for select to :admin
    using ((select app.viewer_role()) = 'admin');
create policy admins_end on app.subscriptions for delete to :admin
    using ((select app.viewer_role()) = 'admin');
create policy of_what_is_seen on app.sendings for select to :admin, :librarian, :member
    using (exists (
        select from app.subscriptions s where s.subscription_id = sendings.subscription_id
    ));
