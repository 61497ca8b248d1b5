-- Share an own view with the own role, or with nobody.
update app.saved_views set shared_with = %(role)s, changed_at = clock_timestamp()
where view_id = %(id)s and owner = %(me)s and not card
returning view_id
