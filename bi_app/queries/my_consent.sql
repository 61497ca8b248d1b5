-- Since when the viewer wants past loans kept, in local time; what the library's system says of it;
-- and what the viewer said last on the page: given or withdrawn, and when.
select
    app.history_since(max(m.history_consent_on), %(zone)s) as since,
    max(m.history_consent_on) as stated,
    (select c.said from app.my_consents c order by c.at desc limit 1) as said,
    (select max(c.at) from app.my_consents c) as said_at
from silver.library_members m
where m.member_key = %(member)s
