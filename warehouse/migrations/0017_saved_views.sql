-- What a person keeps of the pages: saved views, and cards, which are views of Explore that stand on
-- a page of their own. A view is the address of a page without its host: choices, never rows or rights.

create table app.saved_views (
    view_id bigint generated always as identity primary key,
    owner text not null,
    page text not null check (page ~ '^/[a-z][a-z0-9_]{0,59}$'),
    name text not null check (length(name) between 1 and 80),
    state text not null check (length(state) <= 2000),
    card boolean not null default false,
    shared_with text check (shared_with in ('admin', 'librarian', 'member')),
    made_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    unique (owner, page, card, name)
);
create index on app.saved_views (shared_with, page) where shared_with is not null;
comment on table app.saved_views is
    'Choices on a page under a name, read by who saved them and, if shared, by that role';
comment on column app.saved_views.owner is 'E-mail of the account';
comment on column app.saved_views.state is
    'The query of the page''s address: who opens it asks with the own rights';

create function app.views_follow_account() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if tg_op = 'DELETE' then
        delete from app.saved_views v where v.owner = old.email;
    elsif new.email <> old.email then
        update app.saved_views v set owner = new.email where v.owner = old.email;
    end if;
    return null;
end $$;
revoke all on function app.views_follow_account from public;
create trigger views_follow after delete or update of email on app.accounts
    for each row execute function app.views_follow_account();

grant select, insert (owner, page, name, state, card), delete,
    update (name, state, shared_with, changed_at)
    on app.saved_views to :admin, :librarian, :member;
alter table app.saved_views enable row level security;
create policy own on app.saved_views to :admin, :librarian, :member
    using (owner = (select app.viewer_user()))
    with check (
        owner = (select app.viewer_user())
        and (shared_with is null or shared_with = (select app.viewer_role()))
    );
create policy shared on app.saved_views for select to :admin, :librarian, :member
    using (shared_with = (select app.viewer_role()));
