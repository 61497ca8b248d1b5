-- Keep a view, or keep it anew under its name; nothing where there are too many.
insert into app.saved_views (owner, page, name, state, card)
select %(me)s, %(page)s, %(name)s, %(state)s, %(card)s
where %(most)s > (
    select count(*) from app.saved_views
    where owner = %(me)s and card = %(card)s and (page = %(page)s or card) and name <> %(name)s
)
on conflict (owner, page, card, name) do update
set state = excluded.state, changed_at = clock_timestamp()
returning view_id
