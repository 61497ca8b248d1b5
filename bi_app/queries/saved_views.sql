-- The views of a page that are the asker's own or shared with the asker's role, or the own cards.
select view_id, page, name, state, owner = %(me)s as own, shared_with is not null as shared, owner
from app.saved_views
where card = %(card)s and (owner = %(me)s or not card)
    and (page = %(page)s or %(page)s::text is null)
order by own desc, lower(name), view_id
limit 200
