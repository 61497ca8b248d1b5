-- Since when the viewer wants past loans kept.
select max(history_consent_on) as since
from silver.library_members
where member_key = %(member)s
