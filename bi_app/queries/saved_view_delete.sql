-- Delete an own view or card.
delete from app.saved_views where view_id = %(id)s and owner = %(me)s
returning view_id
