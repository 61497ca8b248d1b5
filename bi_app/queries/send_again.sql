-- Write a person's edits to the records that lie open, and ask that they be sent again; nothing is
-- asked unless each edited record is among them.
with edits as (
    select * from jsonb_to_recordset(%(edits)s::jsonb) as e (load bigint, line bigint, cells jsonb)
),
changed as (
    update app.held_records h set edited = (
        select e.cells from edits e where (e.load, e.line) = (h.load_id, h.line_no))
    where h.request_id = %(of)s
    returning h.edited
)
insert into app.requests (asked_by, action, subject, detail)
select (select app.viewer_user()), 'replay', %(subject)s, jsonb_build_object('of', %(of)s::bigint)
where (select count(*) from changed where edited is not null) = (select count(*) from edits)
    and exists (select from edits)
returning request_id
