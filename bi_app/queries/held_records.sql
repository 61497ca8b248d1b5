-- The records of a dataset that lie open before the viewer.
select h.request_id, h.load_id, h.line_no, h.place, h.faults, h.cells, h.edited
from app.held_records h join app.requests r using (request_id)
where r.subject = %(dataset)s
order by h.load_id desc, h.line_no
