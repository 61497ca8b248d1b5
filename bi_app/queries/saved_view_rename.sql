-- Give an own view another name.
update app.saved_views set name = %(name)s, changed_at = clock_timestamp()
where view_id = %(id)s and owner = %(me)s
returning view_id
