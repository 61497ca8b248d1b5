-- Put the records of a dataset away that lie open before the viewer.
delete from app.held_records h using app.requests r
where r.request_id = h.request_id and r.subject = %(dataset)s
returning h.request_id
